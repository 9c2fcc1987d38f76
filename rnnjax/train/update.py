"""One step of training, compiled once."""

from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from rnnjax.cell import Cell
from rnnjax.types import Begins, Gradient, Key, Mask, Params, State, Steps


class Training(NamedTuple):
    """All that training carries from step to step; a pytree, so a checkpoint of it is the whole run."""

    params: Params
    optimizer: PyTree
    state: State
    step: Int[Array, ""]


class Metrics(NamedTuple):
    """What an update tells, or each of many: the mean loss and the gradient's global norm before the optimizer."""

    loss: Float[Array, "*updates"]
    gradient: Float[Array, "*updates"]


@runtime_checkable
class Update(Protocol):
    """A step of training, or of `online` many, which takes the training it is given out of use."""

    def __call__(self, training: Training, xs: Steps, keep: Mask | None = None) -> tuple[Training, Metrics]: ...


def begin(cell: Cell | Begins, optimizer: optax.GradientTransformation, key: Key, *x: PyTree) -> Training:
    """A training at step 0: fresh params, and the cell's start; that of an online gradient takes one step's input x."""

    def fresh(key):
        params = cell.init(key)
        return Training(params, optimizer.init(params), cell.start(params, *x), jnp.int32(0))

    return jax.jit(fresh)(key)


def update(grad: Gradient, optimizer: optax.GradientTransformation, *, skip: bool = False) -> Update:
    """The function `(training, xs, keep=None) -> (training, metrics)`: a gradient, then one step of the optimizer.

    Args:
        grad: a gradient, as `bptt(cell)` or `tbptt(cell, window=...)`; its final state is carried into the next step.
        optimizer: any optax optimizer, as `optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))`.
        skip: a step whose loss or gradient is not finite, or whose state has a NaN, changes nothing but `step`; the
            gradient's norm is then told as not finite. Of these `optax.apply_if_finite`
            keeps the params and the optimizer, but not the recurrent state, in which a NaN would stay.

    It is jitted, and the training it is given is donated: its memory is used for the new one, and it is gone.

    Example:
        >>> import optax
        >>> from rnnjax.train import begin, update
        >>> model = rnnjax.with_loss(rnnjax.scan(rnnjax.rnn(2, 2)), lambda y, target: optax.l2_loss(y, target).sum())
        >>> optimizer = optax.adam(0.1)
        >>> training = begin(model, optimizer, jax.random.key(0))
        >>> step = update(rnnjax.bptt(model), optimizer)
        >>> losses = []
        >>> for _ in range(100):
        ...     training, metrics = step(training, (jnp.eye(2), 0.5 * jnp.eye(2)))
        ...     losses.append(metrics.loss)
        >>> bool(losses[-1] < 0.1 * losses[0]), int(training.step)
        (True, 100)
    """

    return jax.jit(stepped(grad, optimizer, skip=skip), donate_argnums=0)


def stepped(grad, optimizer, *, skip=False):
    """`update` before it is jitted."""

    def step(training, xs, keep=None):
        loss, grads, state = grad(training.params, training.state, xs, keep)
        updates, inner = optimizer.update(grads, training.optimizer, training.params)
        after = optax.apply_updates(training.params, updates), inner, state
        metrics = Metrics(loss, optax.tree.norm(grads))
        if skip:  # what the state alone makes bad shows in the gradient's norm
            good = jnp.isfinite(loss) & jnp.isfinite(metrics.gradient)
            for leaf in jax.tree.leaves(state):
                if jnp.issubdtype(leaf.dtype, jnp.inexact):
                    good &= ~jnp.isnan(leaf).any()
            after = jax.tree.map(lambda new, old: jax.lax.select(good, new, old), after, tuple(training[:3]))
            metrics = metrics._replace(gradient=jnp.where(good, metrics.gradient, jnp.nan))
        return Training(*after, training.step + 1), metrics

    return step
