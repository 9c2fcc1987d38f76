"""The states that a cell goes through, and the floats of a state as one vector."""

import jax
import jax.numpy as jnp

from rnnjax.loops.carry import checked, steps
from rnnjax.loops.numbers import vector


def path(where, cell, params, state, xs):
    """The states before each step, s_0 ... s_T-1 stacked, and `step(vector, state, x) -> (vector, y)`.

    The step takes the floats of its state from the vector, and all else from `state`.
    """
    body = checked(where, cell, params)
    _, before = jax.lax.scan(lambda state, x: (body(state, x)[0], state), state, xs)

    def step(vector, state, x):
        after, y = body(unpack(vector, state), x)
        return pack(after), y

    return before, step


def look(where, state, xs):
    """The number of steps T and of floats d, refused unless there are some."""
    leaves = [jnp.asarray(s) for s in jax.tree.leaves(state)]
    if any(jnp.iscomplexobj(s) for s in leaves):
        raise TypeError(f"{where}: the state must be real, but it is complex. Keep two real parts in its place.")
    T, d = steps(where, xs), sum(s.size for s in leaves if real(s))
    if T == 0:
        raise ValueError(f"{where}: xs must have at least one step, but xs has none. Give some.")
    if d == 0:
        raise ValueError(f"{where}: the state must hold floats, but it holds none. Give a cell with a state.")
    return T, d


def real(s):
    return jnp.issubdtype(jnp.result_type(s), jnp.floating)


def pack(state):
    """The floats of a state, one vector (d,), at least float32."""
    numbers, _ = vector(state)
    return numbers.astype(max(numbers.dtype, jnp.dtype(jnp.float32), key=lambda dtype: dtype.itemsize))


def unpack(numbers, state):
    """`state` with its floats taken from a vector."""
    return vector(state)[1](numbers)


def spans(state):
    """Where each leaf of a state lies in its vector: (first, last + 1), or None for what is no float."""
    found, at = [], 0
    for s in jax.tree.leaves(state):
        found.append((at, at + jnp.size(s)) if real(s) else None)
        at += jnp.size(s) if real(s) else 0
    return found
