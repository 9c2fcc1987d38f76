"""From a step, a Python function, to its equations."""

from collections.abc import Callable
from typing import Any

import jax

from rnnjax.loops.equations import CARRIED, FIXED, GIVEN, Equations, alive
from rnnjax.loops.rewrites import again, count, levels, products, splits, sums

# JAX cannot map these, or cannot transpose their derivative once it has been mapped.
UNMAPPED = {"cond", "custom_vjp_call", "custom_vjp_call_jaxpr", "pure_callback", "ffi_call"}
# What `lax.scan` may run all the same, for it traces the state and the input only.
UNTRACED = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


def trace(step: Callable, params: Any, state: Any, x: Any):
    """The `Equations` of a step, the values of their `params`, and y's tree.

    None if the step cannot be taken apart: it has side effects, or takes decisions in Python on what is not traced by
    `lax.scan`, or has equations of the input or the state that are `UNMAPPED`.
    """
    leaves, tree = jax.tree.flatten((params, state, x))
    trees = []

    def flat(*leaves):
        out, shape = jax.tree.flatten(step(*jax.tree.unflatten(tree, leaves)))
        trees.append(shape)
        return out

    try:
        closed = jax.make_jaxpr(flat)(*leaves)
    except UNTRACED:
        return None
    if closed.effects:
        return None
    first, second = len(jax.tree.leaves(params)), len(jax.tree.leaves((params, state)))
    for rewrite in (None, products, splits, sums):
        closed = again(closed, leaves, (first, second), rewrite)
    jaxpr = closed.jaxpr
    params, state, x = (jaxpr.invars[a:b] for a, b in ((0, first), (first, second), (second, None)))
    after, y = jaxpr.outvars[: len(state)], jaxpr.outvars[len(state) :]
    level, eqns = levels(jaxpr, first, second), alive(jaxpr.eqns, jaxpr.outvars)
    fixed, *later = ([eqn for eqn in eqns if level[eqn.outvars[0]] == kind] for kind in (FIXED, GIVEN, CARRIED))
    if not UNMAPPED.isdisjoint(name for kind in later for name in _primitives(kind)):
        return None
    weights = [v for v in count([eqn for kind in later for eqn in kind], jaxpr.outvars) if level[v] == FIXED]
    uses = count(eqns, jaxpr.outvars)
    equations = Equations(fixed, *later, [*jaxpr.constvars, *params], state, x, after, y, weights, level, uses)
    return equations, [*closed.consts, *leaves[:first]], trees[0].children()[1]


def _primitives(eqns):
    """The names of all primitives in equations, however deep."""
    for eqn in eqns:
        yield eqn.primitive.name
        for inner in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda p: hasattr(p, "eqns")):
            if hasattr(inner, "eqns"):
                yield from _primitives(inner.eqns)
