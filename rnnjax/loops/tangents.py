"""How small changes pass through the equations of a step, and which values that takes."""

import functools
import math

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from rnnjax.loops.equations import CARRIED, FIXED, bind, variables

PRODUCTS = {"dot_general", "conv_general_dilated"}
# functions whose slope is known from their value
SLOPES = {
    "tanh": lambda y, dx: dx * (1 - y * y),
    "logistic": lambda y, dx: dx * (y * (1 - y)),
    "exp": lambda y, dx: dx * y,
}
# linear in all they take
LINEAR = {
    "add", "add_any", "sub", "neg", "reduce_sum", "convert_element_type", "copy", "reshape", "squeeze", "expand_dims",
    "broadcast_in_dim", "transpose", "concatenate", "split", "slice", "pad", "rev", "real", "imag",
}  # fmt: skip
NARROWING = {"split", "slice", "squeeze", "reshape"}
# quick to compute again from what they took
CHEAP = LINEAR | {
    "mul", "div", "max", "min", "select_n", "integer_pow", "square", "abs", "sign", "clamp", "stop_gradient",
    "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "iota",
}  # fmt: skip


def tapped(eqn, level):
    """Whether an equation is a product of what waits for the state with what does not."""
    kinds = [CARRIED if not isinstance(v, Literal) and level[v] == CARRIED else FIXED for v in eqn.invars]
    return eqn.primitive.name in PRODUCTS and sorted(kinds) == [FIXED, CARRIED]


def side(eqn, level):
    """Which operand of a tapped product waits for the state."""
    return 1 - ([level.get(v, FIXED) if not isinstance(v, Literal) else FIXED for v in eqn.invars][0] == CARRIED)


def moves(v):
    return jnp.issubdtype(v.aval.dtype, jnp.inexact)


def read_by(eqn, level):
    """The variables whose values `push` reads."""
    name = eqn.primitive.name
    if name in LINEAR or not any(map(moves, eqn.outvars)):
        return []
    if name in SLOPES:
        return eqn.outvars
    if name == "select_n":
        return variables(eqn.invars[:1])
    return variables(eqn.invars)


def kept(equations):
    """What the loop hands to its derivative: the variables of the state's part whose values that reads, in such a
    choice that the rest are quick to compute from them; and the equations to compute again."""
    level, made = equations.level, {v: eqn for eqn in equations.all for v in eqn.outvars}
    wanted = [v for eqn in equations.at(CARRIED) for v in read_by(eqn, level)]
    saved, again, seen = {}, set(), set()
    while wanted:
        v = wanted.pop()
        if v in seen or level[v] != CARRIED:
            continue
        seen.add(v)
        eqn = made.get(v)
        if eqn is None or eqn.primitive.name not in CHEAP or _slice_of_dear(eqn, made):
            saved[v] = None
        else:
            again.add(id(eqn))
            wanted += variables(eqn.invars)
    return list(saved), [eqn for eqn in equations.all if id(eqn) in again]


def _slice_of_dear(eqn, made):
    source = made.get(eqn.invars[0]) if eqn.primitive.name in NARROWING else None
    return source is not None and (source.primitive.name not in CHEAP or _slice_of_dear(source, made))


def push(eqn, values, tangents):
    """The tangents of an equation's results, or None for each that does not move.

    `values` are of its operands and, where its slope is known from them, its results; None where `read_by` leaves it.
    """
    if all(d is None for d in tangents):
        return [None] * len(eqn.outvars)
    if eqn.primitive.name in SLOPES:
        return [SLOPES[eqn.primitive.name](values[-1], tangents[0])]
    moving = [i for i, d in enumerate(tangents) if d is not None]

    def function(*moved):
        operands = [_blank(v) if value is None else value for v, value in zip(eqn.invars, values)]
        for i, x in zip(moving, moved):
            operands[i] = x
        return [y for y, v in zip(bind(eqn, operands), eqn.outvars) if moves(v)]

    at = [_blank(eqn.invars[i]) if values[i] is None else values[i] for i in moving]
    out = iter(jax.jvp(function, at, [tangents[i] for i in moving])[1])
    return [next(out) if moves(v) else None for v in eqn.outvars]


def _blank(v):
    return v.val if isinstance(v, Literal) else jnp.zeros(v.aval.shape, v.aval.dtype)


def over_time(eqn, values, timed, function=bind):
    """`function(eqn, values)` for all times at once. `timed` says which values have a leading time axis, and then the
    results have it too. A product becomes one product over all the rows of all times."""
    if not any(timed):
        return function(eqn, values)
    if function is bind and eqn.primitive.name == "dot_general" and timed.count(True) == 1:
        out = rows(eqn, values, timed.index(True))
        if out is not None:
            return [out]
    return jax.vmap(functools.partial(function, eqn), ([0 if t else None for t in timed],))(values)


def rows(eqn, values, at):
    """A product of operand `at`, at all times, with the other, as one product of two matrices; None if it cannot be."""
    (contracting, (lhs_batch, _)) = eqn.params["dimension_numbers"]
    x, w = values[at], values[1 - at]
    spread = any(axis is not None for axis in jax.typeof(x).sharding.spec)
    if lhs_batch or spread:
        return None
    mine, other = contracting[at], contracting[1 - at]
    free = [i for i in range(x.ndim - 1) if i not in mine]
    x = x.transpose(0, *(i + 1 for i in free), *(i + 1 for i in mine))
    lead, inner = x.shape[: 1 + len(free)], x.shape[1 + len(free) :]
    x = x.reshape(math.prod(lead), *inner)
    dims = (tuple(range(1, x.ndim)), tuple(other)), ((), ())
    out = jax.lax.dot_general(
        x, w, dims, precision=eqn.params["precision"], preferred_element_type=eqn.params["preferred_element_type"]
    )
    out = out.reshape(*lead, *out.shape[1:])
    return out if at == 0 else jnp.moveaxis(out, range(1, len(lead)), range(1 - len(lead), 0))
