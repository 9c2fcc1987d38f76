"""The derivative of a run, as two maps: where changes enter the loop, and how the state passes them on.

Both are linear and ordinary JAX code, so JAX transposes them for reverse mode: the second into the loop back, which
gives the cotangents at the entrances, the first into one product over all times for each weight.
"""

import collections
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from rnnjax.loops.carry import zeros
from rnnjax.loops.equations import CARRIED, CUTTING, FIXED, GIVEN, JOINING, evaluate, variables
from rnnjax.loops.products import beside, product, regular, turned
from rnnjax.loops.tangents import STILL, known, moves, push, push_over_time, reads


def entrances(equations, values, changes, T):
    """What changes of the params and the input do at each of T steps, with the state before it held still.

    `values` and `changes` are of variables, with time leading but for those of params. Gives the changes of the
    variables of the loop where they enter, at all times.
    """
    readers = collections.defaultdict(list)
    for eqn in equations.carried:
        for v in variables(eqn.invars):
            readers[v].append(eqn.primitive.name)
    changes, found = dict(changes), {}

    def joins(v):
        """Whether a change need not enter here, but further on, joined with others."""
        once = JOINING | CUTTING if equations.uses[v] == 1 else {"slice"}
        return len(readers[v]) == equations.uses[v] and once.issuperset(readers[v])

    for eqn in (*equations.given, *equations.carried):
        tangents = _of(changes, eqn.invars)
        if any(d is not None for d in tangents):
            for v, d in zip(eqn.outvars, push_over_time(eqn, known(eqn, values), tangents, equations, T)):
                if d is not None:
                    (changes if equations.level[v] == GIVEN or joins(v) else found)[v] = d
    for v, d in zip(equations.after, _of(changes, equations.after)):
        if d is not None and equations.level[v] != CARRIED:
            found[v] = d if equations.level[v] == GIVEN else jnp.broadcast_to(d, (T, *d.shape))
    return found


def passed_on(equations, again, outs, values, found, begin, scan, T):
    """The changes of the last state, and of the variables `outs` at all times, from those that enter.

    `found` is from `entrances`, `begin` the change of the first state. `again` computes what of `values` the loop
    did not keep.
    """
    moving = _moving(equations, found, begin)
    wanted = {v for eqn in equations.carried for v in reads(eqn)} | {v for eqn in again for v in variables(eqn.invars)}
    fixed = {v: value for v, value in values.items() if equations.level[v] == FIXED}
    timed = {v: value for v, value in values.items() if equations.level[v] != FIXED and v in wanted}
    weights = {id(eqn): _turned(eqn, equations, fixed) for eqn in equations.carried}

    def one(eqn, env, tangents):
        at, weight = weights[id(eqn)]
        if weight is not None and tangents[at] is not None and regular(tangents[at]):
            return [product(eqn, tangents[at], weight[0], at, weight[1])]
        return push(eqn, known(eqn, env), tangents)

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def body(now, scanned):
        local, more = dict(zip(timed, scanned[0])), dict(zip(found, scanned[1]))
        env, changes = evaluate(again, fixed | local), dict(zip((v for v in equations.state if v in moving), now))
        for eqn in equations.carried:
            for v, d in zip(eqn.outvars, one(eqn, env, _of(changes, eqn.invars))):
                parts = [part for part in (d, more.get(v)) if part is not None]
                if parts:
                    changes[v] = functools.reduce(jnp.add, parts)
        changes |= {v: d for v, d in more.items() if equations.level[v] != CARRIED}
        after = [_or_zeros(_of(changes, [a])[0], v) for v, a in zip(equations.state, equations.after) if v in moving]
        return after, [_or_zeros(changes.get(v), v) for v in outs if v in moving]

    begin = [_or_zeros(d, v) for v, d in zip(equations.state, begin) if v in moving]
    after, ys = map(iter, scan(body, begin, (list(timed.values()), list(found.values()))))
    after = [next(after) if v in moving else _still(v) for v in equations.state]
    return after, [next(ys) if v in moving else _still(v, T) for v in outs]


def _of(changes, atoms):
    return [None if isinstance(v, Literal) else changes.get(v) for v in atoms]


def _turned(eqn, equations, fixed):
    at = beside(eqn, equations)
    w = None if at is None else fixed[eqn.invars[1 - at]]
    return at, turned(eqn, w, at) if w is not None and regular(w) else None


def _moving(equations, found, begin):
    """The variables of the loop that change at some step, where `found` enters and the first state by `begin`."""
    moving = {*found, *(v for v, d in zip(equations.state, begin) if d is not None)}
    for _ in equations.state:
        for eqn in equations.carried:
            if eqn.primitive.name not in STILL and moving.intersection(variables(eqn.invars)):
                moving |= {v for v in eqn.outvars if moves(v)}
        after = {v for v, a in zip(equations.state, equations.after) if not isinstance(a, Literal) and a in moving}
        if after <= moving:
            break
        moving |= after
    return moving


def _or_zeros(d, v):
    return zeros(v.aval) if d is None else d


def _still(v, *lead):
    """No change of a variable, as JAX wants it: of dtype float0 if it cannot change."""
    shape = *lead, *v.aval.shape
    return jnp.zeros(shape, v.aval.dtype) if moves(v) else np.zeros(shape, jax.dtypes.float0)
