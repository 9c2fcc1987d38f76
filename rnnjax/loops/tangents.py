"""How small changes pass through the equations of a step, and which values of the step that takes."""

import functools

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from rnnjax.loops.carry import zeros
from rnnjax.loops.equations import CARRIED, FIXED, bind, evaluate, variables
from rnnjax.loops.products import beside, flat, rows

# Functions whose slope is known from their value.
SLOPES = {
    "tanh": lambda y, dx: dx * ((1 + y) * (1 - y)),
    "logistic": lambda y, dx: dx * (y * (1 - y)),
    "exp": lambda y, dx: dx * y,
}
# Linear in all that can move of what they take.
LINEAR = {
    "add", "add_any", "sub", "neg", "reduce_sum", "convert_element_type", "copy", "reshape", "squeeze", "expand_dims",
    "broadcast_in_dim", "transpose", "concatenate", "split", "slice", "pad", "rev",
}  # fmt: skip
# Linear but for the indices.
INDEXED = {"gather", "dynamic_slice", "dynamic_update_slice", "scatter", "scatter-add"}
# These stand still.
STILL = {"stop_gradient", "sign", "floor", "ceil", "round"}
# Quicker to compute again than to keep.
CHEAP = LINEAR | STILL | {
    "mul", "div", "max", "min", "select_n", "integer_pow", "square", "abs", "clamp",
    "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "iota",
}  # fmt: skip
NARROWING = {"split", "slice", "squeeze", "reshape"}


def moves(v):
    """Whether a variable can change by a little: not an integer, a boolean, or a random key."""
    return jnp.issubdtype(v.aval.dtype, jnp.inexact)


def reads(eqn):
    """The variables whose values `push` reads."""
    name, atoms = eqn.primitive.name, eqn.invars
    if name in LINEAR | STILL or not any(map(moves, eqn.outvars)):
        return []
    if _sloped(eqn):
        return eqn.outvars
    if name == "mul":
        return variables(atoms[1 - i] for i in (0, 1) if not isinstance(atoms[i], Literal) and moves(atoms[i]))
    if name == "div" and isinstance(atoms[1], Literal):
        return []
    if name in INDEXED or name == "select_n":
        return [v for v in variables(atoms) if not moves(v)]
    return variables(atoms)


def _sloped(eqn):
    """Whether the value tells the slope: of 16 bits it does not, where a tanh is nearly 1."""
    return eqn.primitive.name in SLOPES and eqn.outvars[0].aval.dtype.itemsize >= 4


def kept(equations):
    """What the loop keeps for its derivative: variables that wait for the state, in such a choice that all others
    whose values `push` reads are quick to compute from them; and the equations that compute those."""
    made = {v: eqn for eqn in equations.carried for v in eqn.outvars}

    def dear(v):
        eqn = made.get(v)
        if eqn is not None and eqn.primitive.name in NARROWING:
            return any(dear(w) for w in variables(eqn.invars))
        return eqn is None or eqn.primitive.name not in CHEAP

    wanted, saved, again = [v for eqn in equations.carried for v in reads(eqn)], {}, set()
    seen = set()
    while wanted:
        v = wanted.pop()
        if v in seen or equations.level[v] != CARRIED:
            continue
        seen.add(v)
        if dear(v):
            saved[v] = None
        else:
            again.add(id(made[v]))
            wanted += variables(made[v].invars)
    return list(saved), [eqn for eqn in equations.carried if id(eqn) in again]


def push(eqn, values, tangents, bind=bind):
    """The tangents of an equation's results, or None for each that does not move.

    `values` are of its operands and then its results, and may be None for those that `reads` leaves out.
    """
    if eqn.primitive.name in STILL or all(d is None for d in tangents):
        return [None] * len(eqn.outvars)
    if _sloped(eqn):
        return [SLOPES[eqn.primitive.name](values[-1], tangents[0])]
    operands = list(values[: len(tangents)])
    for i, (v, d) in enumerate(zip(eqn.invars, tangents)):
        if operands[i] is None:
            operands[i] = zeros(v.aval) if d is None else jnp.zeros_like(d)
    moving = [i for i, d in enumerate(tangents) if d is not None]

    def function(*moved):
        now = dict(zip(moving, moved))
        out = bind(eqn, [now.get(i, x) for i, x in enumerate(operands)])
        return [y for y, v in zip(out, eqn.outvars) if moves(v)]

    out = iter(jax.jvp(function, [operands[i] for i in moving], [tangents[i] for i in moving])[1])
    return [next(out) if moves(v) else None for v in eqn.outvars]


def over_time(eqns, env, equations):
    """Evaluate equations as `evaluate` does, at all times. What is not of the params only has time leading in `env`."""

    def at_all(eqn, values):
        at = beside(eqn, equations)
        if at is not None and flat(*values):
            return [rows(eqn, values[at], values[1 - at], at)]
        return _mapped([equations.waits(v) != FIXED for v in eqn.invars])(eqn, values)

    return evaluate(eqns, env, at_all)


def push_over_time(eqn, values, tangents, equations, T):
    """As `push`, at all T times."""
    at = beside(eqn, equations)
    if at is not None and flat(*(v for v in (*values, *tangents) if v is not None)):
        x, w = values[at], values[1 - at]
        dx, dw = tangents[at], tangents[1 - at]
        parts = [rows(eqn, *pair, at) for pair in ((dx, w), (x, dw)) if pair[0] is not None and pair[1] is not None]
        return [functools.reduce(jnp.add, parts)]
    timed = [
        equations.waits(v) != FIXED and (value is not None or d is not None)
        for v, value, d in zip(eqn.invars, values, tangents)
    ]
    if _sloped(eqn) or any(timed):
        return push(eqn, values, tangents, _mapped(timed))
    return [None if d is None else jnp.broadcast_to(d, (T, *d.shape)) for d in push(eqn, values, tangents)]


def _mapped(timed):
    """`bind` mapped over the time axis that some operands have."""
    return lambda eqn, values: jax.vmap(functools.partial(bind, eqn), ([0 if t else None for t in timed],))(values)


def known(eqn, env):
    """The values of an equation's operands and results, as far as they are in `env`."""
    return [v.val if isinstance(v, Literal) else env.get(v) for v in (*eqn.invars, *eqn.outvars)]
