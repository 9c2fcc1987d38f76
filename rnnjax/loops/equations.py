"""A step as equations, sorted by what they wait for: the params only, the input, or the state."""

import collections
import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
from jax.extend.core import Literal

OPENED = {"jit", "pjit", "closed_call", "core_call"}
FIXED, GIVEN, CARRIED = range(3)


class Equations(NamedTuple):
    """The equations of one step, and what its variables stand for.

    - `fixed`, `state`, `x`: the variables of the params and constants, of the state, and of the input;
    - `after`, `y`: the variables (or literals) of the new state and of the output;
    - `level`: what each variable waits for, FIXED, GIVEN, or CARRIED.
    """

    all: list
    fixed: list
    state: list
    x: list
    after: list
    y: list
    level: dict

    def at(self, level):
        """The equations whose results wait for just this."""
        return [eqn for eqn in self.all if self.level[eqn.outvars[0]] == level]


def trace(step: Callable, params: Any, state: Any, x: Any):
    """The `Equations` of a step, the values of their `fixed`, and y's tree; None if the step has side effects."""
    arguments, tree = jax.tree.flatten((params, state, x))
    trees = []

    def flat(*leaves):
        out, tree_of = jax.tree.flatten(step(*jax.tree.unflatten(tree, leaves)))
        trees.append(tree_of)
        return out

    closed = jax.make_jaxpr(flat)(*arguments)
    if closed.effects:
        return None
    first, second = len(jax.tree.leaves(params)), len(jax.tree.leaves((params, state)))
    closed = _again(closed, arguments, lambda eqn, values: None)
    closed = _again(closed, arguments, _sums(closed.jaxpr, levels(closed.jaxpr, first, second)))
    jaxpr = closed.jaxpr
    fixed, state, x = (jaxpr.invars[a:b] for a, b in ((0, first), (first, second), (second, None)))
    after, y = jaxpr.outvars[: len(state)], jaxpr.outvars[len(state) :]
    level = levels(jaxpr, first, second)
    equations = Equations(jaxpr.eqns, [*jaxpr.constvars, *fixed], state, x, after, y, level)
    return equations, [*closed.consts, *arguments[:first]], trees[0].children()[1]


def _again(closed, arguments, instead):
    """The same equations traced anew, with inner calls opened, and with other results from `instead`."""

    def run(*leaves):
        env = dict(zip([*closed.jaxpr.constvars, *closed.jaxpr.invars], [*closed.consts, *leaves]))
        return read(evaluate(closed.jaxpr.eqns, env, instead), closed.jaxpr.outvars)

    return jax.make_jaxpr(run)(*arguments)


def levels(jaxpr, first, second):
    """What each variable waits for, where the inputs are the params up to `first`, the state up to `second`, and x."""
    level = dict.fromkeys(jaxpr.constvars, FIXED)
    for i, v in enumerate(jaxpr.invars):
        level[v] = FIXED if i < first else CARRIED if i < second else GIVEN
    for eqn in jaxpr.eqns:
        level |= dict.fromkeys(eqn.outvars, max((level[v] for v in variables(eqn.invars)), default=FIXED))
    return level


def variables(atoms: Iterable):
    return [v for v in atoms if not isinstance(v, Literal)]


def uses(eqns, outputs):
    """How often each variable is read."""
    return collections.Counter(v for atoms in [*(e.invars for e in eqns), outputs] for v in variables(atoms))


def _sums(jaxpr, level):
    """Add up first what does not wait for the state: of x W + h U + b the loop is left with one sum of two."""
    count, terms = uses(jaxpr.eqns, jaxpr.outvars), {}

    def instead(eqn, values):
        if eqn.primitive.name != "add" or level[eqn.outvars[0]] != CARRIED:
            return None
        parts = {FIXED: [], GIVEN: [], CARRIED: []}
        for v, value in zip(eqn.invars, values):
            if not isinstance(v, Literal) and v in terms and count[v] == 1:
                for kind, more in terms[v].items():
                    parts[kind] += more
            else:
                parts[FIXED if isinstance(v, Literal) else level[v]].append(value)
        terms[eqn.outvars[0]] = parts
        return [functools.reduce(jax.lax.add, parts[GIVEN] + parts[FIXED] + _joined(parts[CARRIED]))]

    return instead


def _joined(values):
    return [functools.reduce(jax.lax.add, values)]


def read(env, atoms):
    return [v.val if isinstance(v, Literal) else env[v] for v in atoms]


def evaluate(eqns, env, instead: Callable = lambda eqn, values: None):
    """Evaluate equations one after another in `env`, which is returned. `instead(eqn, values)` may give other results."""
    for eqn in eqns:
        values = read(env, eqn.invars)
        out = instead(eqn, values)
        env |= zip(eqn.outvars, bind(eqn, values) if out is None else out)
    return env


def bind(eqn, values):
    """The results of one equation, a list. A call is opened."""
    if eqn.primitive.name in OPENED:
        inner = eqn.params.get("jaxpr") or eqn.params["call_jaxpr"]
        env = dict(zip([*inner.jaxpr.constvars, *inner.jaxpr.invars], [*inner.consts, *values]))
        return read(evaluate(inner.jaxpr.eqns, env), inner.jaxpr.outvars)
    out = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
    return out if eqn.primitive.multiple_results else [out]
