"""A step as equations, sorted by what they wait for: the params only, the input, or the state."""

import collections
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.extend.core import Literal

OPENED = {"jit", "pjit", "closed_call", "core_call"}
# JAX cannot transpose the derivative of these once it has been mapped (a batched `cond`, `custom_vjp` by `jax.vmap`).
UNMAPPED = {"cond", "custom_vjp_call", "custom_vjp_call_jaxpr"}
FIXED, GIVEN, CARRIED = range(3)


class Equations(NamedTuple):
    """The equations of one step, and what its variables stand for.

    - `fixed`, `given`, `carried`: the equations of the params only, of the input too, and of the state too, in order;
    - `params`, `state`, `x`: the variables of the params and constants, of the state, and of the input;
    - `after`, `y`: the variables (or literals) of the new state and of the output;
    - `weights`: the variables of the params, or of what is made of them, that the given and carried equations read;
    - `level`: what each variable waits for, FIXED, GIVEN, or CARRIED; `uses`: how often it is read.
    """

    fixed: list
    given: list
    carried: list
    params: list
    state: list
    x: list
    after: list
    y: list
    weights: list
    level: dict
    uses: dict

    def waits(self, atom):
        """What a variable, or a literal, waits for."""
        return FIXED if isinstance(atom, Literal) else self.level[atom]


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
    jaxpr = (closed := _again(closed, leaves, _sums(closed.jaxpr, first, second))).jaxpr
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


def variables(atoms):
    return [v for v in atoms if not isinstance(v, Literal)]


def alive(eqns, wanted):
    """The equations that `wanted` waits for."""
    wanted, found = set(variables(wanted)), []
    for eqn in reversed(eqns):
        if wanted.intersection(eqn.outvars):
            wanted.update(variables(eqn.invars))
            found.append(eqn)
    return found[::-1]


def read(env, atoms):
    return [v.val if isinstance(v, Literal) else env[v] for v in atoms]


def bind(eqn, values):
    """The results of one equation, a list. A call is opened."""
    if eqn.primitive.name in OPENED:
        inner = eqn.params.get("jaxpr") or eqn.params["call_jaxpr"]
        env = dict(zip([*inner.jaxpr.constvars, *inner.jaxpr.invars], [*inner.consts, *values]))
        return read(evaluate(inner.jaxpr.eqns, env), inner.jaxpr.outvars)
    out = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
    return out if eqn.primitive.multiple_results else [out]


def evaluate(eqns, env, bind=bind):
    """Evaluate equations one after another, by `bind(eqn, values)`, in `env`, which is returned with their results."""
    for eqn in eqns:
        env |= zip(eqn.outvars, bind(eqn, read(env, eqn.invars)))
    return env


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
