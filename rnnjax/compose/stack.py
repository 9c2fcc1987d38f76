"""Cells in a row, and around a cell."""

import jax

from rnnjax.cell import Cell, interned, kind
from rnnjax.loops.masked import select
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

    sequence = {}
    if over_time:
        sequence = dict(each=stack(*(c.each for c in runs)), remade=lambda change: stack(*map(change, runs)))
    return Cell(init, start, step, **sequence)


@interned
def residual(cell: Cell) -> Cell:
    """y = x + cell(x), for a cell whose output has the shape of its input (He et al. 2015, arXiv 1512.03385).

    >>> rnnjax.residual(rnnjax.scan(rnnjax.gru(8, 8)))
    residual(scan(gru(8, 8)))
    """

    def step(params, state, x, *keep):
        state, y = cell.step(params, state, x, *keep)
        if jax.tree.map(kind, x) != jax.tree.map(kind, y):
            raise ValueError(
                f"residual: y must be of the type of x, but x is {jax.tree.map(kind, x)} and y is "
                f"{jax.tree.map(kind, y)}. Use a cell with as many outputs as inputs."
            )
        y = jax.tree.map(lambda x, y: x + y, x, y)
        return state, select(*keep, y) if keep else y

    if cell.each is None:
        return Cell(cell.init, cell.start, step)
    return Cell(cell.init, cell.start, step, each=residual(cell.each), remade=lambda change: residual(change(cell)))
