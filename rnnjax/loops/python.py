"""A Python `for`: the reference that every loop is held to, and a place for a debugger."""

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell
from rnnjax.loops.carry import checked, steps
from rnnjax.types import Params, State, Steps


def python(cell: Cell, params: Params, state: State, xs: Steps, *, reverse: bool = False) -> tuple[State, Steps]:
    """Run `cell` over time-leading `xs` one step after another, without `lax.scan`. Slow to compile; exact.

    >>> rnnjax.python(rnnjax.lift(lambda x: x + 1), (), (), jnp.arange(3))
    ((), Array([1, 2, 3], dtype=int32))
    """
    body = checked("python", cell, params)
    order = range(steps("python", xs))
    ys = {}
    for t in reversed(order) if reverse else order:
        state, ys[t] = body(state, jax.tree.map(lambda x: x[t], xs))
    if not ys:
        raise ValueError("python: xs must have at least one step, but xs has 0. Use rolled, which knows the type of y.")
    return state, jax.tree.map(lambda *y: jnp.stack(y), *(ys[t] for t in order))
