"""Backpropagation through time."""

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, interned, kind
from rnnjax.loops.scan import scan
from rnnjax.types import Gradient


@interned
def bptt(cell: Cell) -> Gradient:
    """The exact gradient of the mean loss: `jax.grad` through the loop.

    Args:
        cell: a cell with a loss (from `with_loss`, batched or not), or any cell whose y is one number a step. A cell of
            one step is run by `scan`; give `scan(cell, checkpointed)` for another loop.

    Returns `gradient(params, state, xs, keep=None) -> (loss, grads, state)`, with xs time-leading: the loss is the mean
    over all steps (of every stream) that keep (T,) or (T, B) leaves, and the state is the one after the last.

    Example:
        >>> import optax
        >>> model = rnnjax.stack(rnnjax.scan(rnnjax.lstm(3, 4)), rnnjax.dense(4, 2))
        >>> model = rnnjax.with_loss(model, lambda y, target: optax.l2_loss(y, target).sum())
        >>> params = model.init(jax.random.key(0))
        >>> loss, grads, state = rnnjax.bptt(model)(params, model.start(params), (jnp.ones((7, 3)), jnp.zeros((7, 2))))
        >>> jax.tree.map(jnp.shape, grads) == jax.tree.map(jnp.shape, params)
        True

    Werbos 1990, https://doi.org/10.1109/5.58337
    """
    run = over_time(cell)

    def gradient(params, state, xs, keep=None):
        def objective(params):
            after, losses = run.step(params, state, xs, *given(keep))
            return summed("bptt", losses) / count(losses, keep), after

        (loss, after), grads = jax.value_and_grad(objective, has_aux=True)(params)
        return loss, grads, after

    return gradient


def over_time(cell):
    """The cell over whole sequences, run by `scan` if it is of one step."""
    return cell if cell.each is not None else scan(cell)


def given(keep):
    return () if keep is None else (keep,)


def summed(where, losses):
    """The sum of the losses of all steps, refused unless they are one real number a step."""
    judged(where, losses, 2)
    some(where, losses.size)
    return losses.sum()


def judged(where, losses, axes):
    """Refuse what is not losses, real numbers along at most so many axes."""
    if not (isinstance(losses, jax.Array) and losses.ndim <= axes and jnp.issubdtype(losses.dtype, jnp.floating)):
        raise TypeError(
            f"{where}: the cell must give one loss a step, but y is {jax.tree.map(kind, losses)}. "
            "Use with_loss(cell, loss)."
        )


def some(where, T):
    """Refuse no steps."""
    if not T:
        raise ValueError(f"{where}: xs must have at least one step, but xs has none. Leave empty sequences out.")


def count(losses, keep):
    """How many losses are real, at least 1."""
    return losses.size if keep is None else jnp.maximum(keep.sum(dtype=losses.dtype), 1)
