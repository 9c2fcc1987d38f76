"""A step as equations, calls within it opened."""

import jax

from rnnjax.gradients.pattern import CALLS
from rnnjax.loops.equations import bind, inner, run
from rnnjax.loops.rewrites import again


def opened(step, params, state, x):
    """The jaxpr of a step, the values of its inputs and constants by variable, and the tree of (state, y)."""
    leaves, tree = jax.tree.flatten((params, state, x))
    first, second = len(jax.tree.leaves(params)), len(jax.tree.leaves((params, state)))
    trees = []

    def flat(*leaves):
        out, shape = jax.tree.flatten(step(*jax.tree.unflatten(tree, leaves)))
        trees.append(shape)
        return out

    closed = again(jax.make_jaxpr(flat)(*leaves), leaves, (first, second), lambda *_: _open)
    jaxpr = closed.jaxpr
    return jaxpr, dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *leaves])), trees[0]


def _open(eqn, values):
    return run(*inner(eqn), values, _open) if eqn.primitive.name in CALLS else bind(eqn, values)
