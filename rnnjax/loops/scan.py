"""`scan(cell)`: a cell of one step becomes a cell over whole sequences."""

from typing import Any

from rnnjax.cell import Cell, interned, one_step
from rnnjax.loops import Loop
from rnnjax.loops.deferred import deferred
from rnnjax.loops.masked import masked, select
from rnnjax.loops.rolled import rolled


@interned
def scan(cell: Cell, loop: Loop = deferred, **options: Any) -> Cell:
    """Run a cell over time: `step(params, state, xs, keep=None) -> (state, ys)`, time leading.

        ys[t]: state, y = cell.step(params, state, xs[t])   for t = 0 ... T-1

    Args:
        cell: a cell of one step.
        loop: how time is run, a function `(cell, params, state, xs, **options) -> (state, ys)`: `deferred`, the
            fast one, `rolled` (`jax.lax.scan` as it is), `checkpointed`, in parallel over time `associative`, `chunked`
            or `newton`, or `python`.
        options: the loop's own keywords, as `reverse=True`, `unroll=4`, or `segments=10`.

    `xs` is a pytree of arrays (T, ...). `keep` (T,) is a mask of real steps: the others leave the state as it was
    and give y = 0. Params and state are the cell's own. Raises `TypeError` if the cell is over whole sequences
    already, or if its step changes the type of the state.

    Example:
        >>> backward = rnnjax.scan(rnnjax.gru(3, 4), reverse=True)
        >>> params = backward.init(jax.random.key(0))
        >>> h, ys = backward.step(params, backward.start(params), jnp.ones((7, 3)))
        >>> ys.shape, bool((h == ys[0]).all())
        ((7, 4), True)
    """
    one_step("scan", cell)

    def step(params, state, xs, *keep):
        if cell.whole is not None and loop in (deferred, rolled) and not options.get("reverse"):
            state, ys = cell.whole(params, state, xs, *keep)
            return state, select(*keep, ys) if keep else ys
        if keep:
            return loop(masked(cell), params, state, (xs, *keep), **options)
        return loop(cell, params, state, xs, **options)

    remade = None if cell.whole else lambda change: scan(change(cell), loop, **options)
    return Cell(cell.init, cell.start, step, each=cell, remade=remade)
