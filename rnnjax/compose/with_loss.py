"""A model and what it is trained for, as one cell."""

from collections.abc import Callable

import jax
from jaxtyping import Array, PyTree

from rnnjax.cell import Cell, interned
from rnnjax.cells.stateless import lift
from rnnjax.loops.masked import select


@interned
def with_loss(cell: Cell, loss: Callable[[PyTree, PyTree], Array]) -> Cell:
    """A cell whose input is `(x, target)` and whose output is `loss(y, target)`, one number a step.

    Args:
        cell: any cell; over whole sequences the result takes `(xs, targets)` and gives the losses (T,).
        loss: `(y, target) -> scalar` of one step, as `optax.softmax_cross_entropy_with_integer_labels`.

    A step that a mask leaves out has loss 0. Params and state are the cell's own. Batch the result, not the cell.

    Example:
        >>> import optax
        >>> model = rnnjax.with_loss(rnnjax.scan(rnnjax.rnn(3, 4)), lambda y, target: optax.l2_loss(y, target).sum())
        >>> params = model.init(jax.random.key(0))
        >>> state, losses = model.step(params, model.start(params), (jnp.ones((7, 3)), jnp.zeros((7, 4))))
        >>> losses.shape
        (7,)
    """

    def step(params, state, x):
        x, target = x
        state, y = cell.step(params, state, x)
        return state, loss(y, target)

    def run(params, state, xs, *keep):
        xs, targets = xs
        state, ys = cell.step(params, state, xs, *keep)
        losses = jax.vmap(loss)(ys, targets)
        return state, select(*keep, losses) if keep else losses

    if cell.each is None:
        return Cell(cell.init, cell.start, step)

    def remade(change):
        changed, judge = change(cell), change(lift(lambda pair: loss(*pair)))
        return with_loss(changed, lambda y, target: judge.step((), (), (y, target))[1])

    return Cell(cell.init, cell.start, run, each=with_loss(cell.each, loss), remade=remade)
