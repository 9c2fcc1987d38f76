"""Cells in a row."""

import jax

from rnnjax.cell import Cell, interned, single
from rnnjax.loops.scan import scan


@interned
def stack(*cells: Cell) -> Cell:
    """Cells one after another: the y of each is the x of the next. Params and state are tuples, one entry a cell.

    A stack of cells of one step is again of one step. If one of them is over whole sequences, so is the stack: the
    others are run over time by `scan`, and a mask is threaded through to each.

    Example:
        >>> model = rnnjax.stack(rnnjax.embed(66, 8), rnnjax.scan(rnnjax.gru(8, 16)), rnnjax.dense(16, 66))
        >>> params = model.init(jax.random.key(0))
        >>> state, logits = model.step(params, model.start(params), jnp.zeros(7, int))
        >>> logits.shape
        (7, 66)
    """
    if not cells:
        raise ValueError("stack: there must be at least one cell, but there is none. Give cells.")
    over_time = any(cell.each is not None for cell in cells)
    runs = tuple(scan(c) if over_time and c.each is None else c for c in cells)

    def init(key):
        return tuple(c.init(k) for c, k in zip(runs, jax.random.split(key, len(runs)), strict=True))

    def start(params):
        return tuple(c.start(p) for c, p in zip(runs, params, strict=True))

    def step(params, state, x, *keep):
        after = []
        for c, p, s in zip(runs, params, state, strict=True):
            s, x = c.step(p, s, x, *keep)
            after.append(s)
        return tuple(after), x

    def remade(change):
        return stack(*map(change, runs))

    if over_time:
        return Cell(init, start, step, each=stack(*map(single, runs)), remade=remade)
    return Cell(init, start, step, remade=remade if any(c.remade for c in runs) else None)
