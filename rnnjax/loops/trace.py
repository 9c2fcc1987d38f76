"""From a step, a Python function, to its equations."""

import collections
import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Literal

from rnnjax.loops.equations import CARRIED, FIXED, GIVEN, Equations, alive, bind, evaluate, read, variables

# JAX cannot transpose the derivative of these once it has been mapped (a batched `cond`, `custom_vjp` by `jax.vmap`).
UNMAPPED = {"cond", "custom_vjp_call", "custom_vjp_call_jaxpr"}


def trace(step: Callable, params: Any, state: Any, x: Any):
    """The `Equations` of a step, the values of their `params`, and y's tree.

    None if the step has side effects, or equations whose derivatives JAX cannot both map and transpose.
    """
    leaves, tree = jax.tree.flatten((params, state, x))
    trees = []

    def flat(*leaves):
        out, shape = jax.tree.flatten(step(*jax.tree.unflatten(tree, leaves)))
        trees.append(shape)
        return out

    closed = jax.make_jaxpr(flat)(*leaves)
    if closed.effects or not UNMAPPED.isdisjoint(_primitives(closed.jaxpr)):
        return None
    first, second = len(jax.tree.leaves(params)), len(jax.tree.leaves((params, state)))
    closed = _again(closed, leaves)
    closed = _again(closed, leaves, _splits(closed.jaxpr))
    closed = _again(closed, leaves, _sums(closed.jaxpr, first, second))
    jaxpr = closed.jaxpr
    params, state, x = (jaxpr.invars[a:b] for a, b in ((0, first), (first, second), (second, None)))
    after, y = jaxpr.outvars[: len(state)], jaxpr.outvars[len(state) :]
    level, eqns = _levels(jaxpr, first, second), alive(jaxpr.eqns, jaxpr.outvars)
    fixed, *later = ([eqn for eqn in eqns if level[eqn.outvars[0]] == kind] for kind in (FIXED, GIVEN, CARRIED))
    weights = [v for v in _uses([eqn for kind in later for eqn in kind], jaxpr.outvars) if level[v] == FIXED]
    uses = _uses(eqns, jaxpr.outvars)
    equations = Equations(fixed, *later, [*jaxpr.constvars, *params], state, x, after, y, weights, level, uses)
    return equations, [*closed.consts, *leaves[:first]], trees[0].children()[1]


def _primitives(jaxpr):
    """The names of all primitives in a jaxpr, however deep."""
    for eqn in jaxpr.eqns:
        yield eqn.primitive.name
        for inner in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda p: hasattr(p, "eqns")):
            if hasattr(inner, "eqns"):
                yield from _primitives(inner)


def _again(closed, leaves, bind=bind):
    """The same equations traced anew, which opens inner calls."""

    def run(*leaves):
        env = dict(zip([*closed.jaxpr.constvars, *closed.jaxpr.invars], [*closed.consts, *leaves]))
        return read(evaluate(closed.jaxpr.eqns, env, bind), closed.jaxpr.outvars)

    return jax.make_jaxpr(run)(*leaves)


def _levels(jaxpr, first, second):
    """What each variable waits for, where the inputs are the params up to `first`, the state up to `second`, and x."""
    level = dict.fromkeys(jaxpr.constvars, FIXED)
    level |= {v: FIXED if i < first else CARRIED if i < second else GIVEN for i, v in enumerate(jaxpr.invars)}
    for eqn in jaxpr.eqns:
        level |= dict.fromkeys(eqn.outvars, max((level[v] for v in variables(eqn.invars)), default=FIXED))
    return level


def _uses(eqns, outvars):
    return collections.Counter(v for atoms in (*(eqn.invars for eqn in eqns), outvars) for v in variables(atoms))


def _splits(jaxpr):
    """Where slices take an array apart, as users write it, cut it once by a split, as `jnp.split` does."""
    sliced, pieces = collections.defaultdict(list), {}
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "slice":
            sliced[id(eqn.invars[0])].append(_cut(eqn))

    def split(eqn, values):
        v, cuts = id(eqn.invars[0]) if eqn.invars else None, []
        if eqn.primitive.name == "slice" and None not in sliced[v] and len({axis for axis, _, _ in sliced[v]}) == 1:
            cuts = sorted(set(sliced[v]))
        axis = cuts[0][0] if cuts else 0
        if not cuts or [0, *(z for *_, z in cuts)] != [*(a for _, a, _ in cuts), eqn.invars[0].aval.shape[axis]]:
            return bind(eqn, values)
        if v not in pieces:
            pieces[v] = dict(zip(cuts, jax.lax.split(values[0], [z - a for _, a, z in cuts], axis)))
        return [pieces[v][_cut(eqn)]]

    return split


def _cut(eqn):
    """The axis that a slice cuts, and from where to where; None if it cuts several, or leaves gaps."""
    starts, limits, strides = (eqn.params[name] for name in ("start_indices", "limit_indices", "strides"))
    sizes = eqn.invars[0].aval.shape
    cuts = [(i, a, z) for i, (a, z, size) in enumerate(zip(starts, limits, sizes)) if z - a != size]
    return cuts[0] if len(cuts) == 1 and not strides else None


def _sums(jaxpr, first, second):
    """Add up first what does not wait for the state: of x W + h U + b the loop is left with one sum of two."""
    level, uses, terms = _levels(jaxpr, first, second), _uses(jaxpr.eqns, jaxpr.outvars), {}

    def regrouped(eqn, values):
        if eqn.primitive.name != "add" or level[eqn.outvars[0]] != CARRIED:
            return bind(eqn, values)
        parts = {FIXED: [], GIVEN: [], CARRIED: []}
        for v, value in zip(eqn.invars, values):
            inner = terms.get(v) if not isinstance(v, Literal) and uses[v] == 1 else None
            for kind, more in (inner or {FIXED if isinstance(v, Literal) else level[v]: [value]}).items():
                parts[kind] += more
        terms[eqn.outvars[0]] = parts
        late = functools.reduce(jax.lax.add, parts[CARRIED])
        return [functools.reduce(jax.lax.add, [*parts[GIVEN], *parts[FIXED], late])]

    return regrouped
