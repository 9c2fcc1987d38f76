"""From a step, a Python function, to its equations."""

from collections.abc import Callable
from typing import Any

import jax

from rnnjax.loops.equations import CARRIED, FIXED, GIVEN, Equations, alive, run
from rnnjax.loops.gates import devices, gates
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
    """The `Equations` of a step, the values of their `params`, y's tree, and which leaves of the state move.

    What a step gives back as it was, as the key of a mask, is among the params of the equations.
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
    closed, leaves, first, moving = settled(closed, leaves, first, second)
    for rewrite in (None, products, splits, sums, *[gates] * (devices() > 1)):
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
    given, carried = later
    equations = Equations(fixed, given, carried, [*jaxpr.constvars, *params], state, x, after, y, weights, level, uses)
    return equations, [*closed.consts, *leaves[:first]], trees[0].children()[1], moving


def settled(closed, leaves, first, second):
    """The same equations, with the leaves of the state that come back as they were among the params."""
    ins, outs = closed.jaxpr.invars, closed.jaxpr.outvars
    moving = [before is not after for before, after in zip(ins[first:second], outs)]
    if all(moving):
        return closed, leaves, first, moving
    order = sorted(range(len(ins)), key=lambda i: i >= first and (i >= second or moving[i - first]))

    def ordered(*leaves):
        values = [leaf for _, leaf in sorted(zip(order, leaves), key=lambda pair: pair[0])]
        out = run(closed.jaxpr, closed.consts, values)
        return [s for s, moves in zip(out, moving) if moves] + out[len(moving) :]

    leaves = [leaves[i] for i in order]
    return jax.make_jaxpr(ordered)(*leaves), leaves, first + moving.count(False), moving


def _primitives(eqns):
    """The names of all primitives in equations, however deep."""
    for eqn in eqns:
        yield eqn.primitive.name
        for inner in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda p: hasattr(p, "eqns")):
            if hasattr(inner, "eqns"):
                yield from _primitives(inner.eqns)
