"""The loss on data that was not trained on."""

import functools
from collections.abc import Iterable

import jax

from rnnjax.cell import Cell
from rnnjax.data.windows import Windows
from rnnjax.types import Params, Steps


def evaluate(cell: Cell, params: Params, batches: Iterable[tuple[Steps, Steps]] | Windows) -> float:
    """The mean loss a step of `cell` (a cell with a loss) over `batches`, time-leading (xs, targets).

    The state starts fresh and is carried from batch to batch, and dropout is silent. Compiled once for each shape.

        >>> from rnnjax.data import windows
        >>> import optax
        >>> model = rnnjax.stack(rnnjax.embed(4, 8), rnnjax.scan(rnnjax.gru(8, 8)), rnnjax.dense(8, 4))
        >>> model = rnnjax.batch(rnnjax.with_loss(model, optax.softmax_cross_entropy_with_integer_labels), 2)
        >>> evaluate(model, model.init(jax.random.key(0)), windows(jnp.arange(100) % 4, batch=2, length=7)) > 1
        True
    """
    state, total, count = cell.start(params), 0.0, 0
    for batch in batches:
        state, losses = _losses(cell, params, state, batch)
        total, count = total + losses.sum(), count + losses.size
    if not count:
        raise ValueError("evaluate: there must be a step to measure, but batches hold none. Give more data.")
    return float(total) / count


@functools.partial(jax.jit, static_argnums=0)
def _losses(cell, params, state, batch):
    return cell.step(params, state, batch)
