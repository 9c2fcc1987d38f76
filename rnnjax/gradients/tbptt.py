"""Truncated backpropagation through time."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.cell import Cell, interned, sizes
from rnnjax.gradients.bptt import count, given, over_time, summed
from rnnjax.gradients.lookback import Truncated
from rnnjax.loops.carry import placed, steps


@interned
def tbptt(cell: Cell, *, window: int, stride: int | None = None) -> Truncated:
    """The gradient of the mean loss with credit flowing back at most `window` steps.

    Time is cut into blocks of `stride` steps. The losses of each block flow back through the last `window` steps
    before its end, and stop there (`stop_gradient` on the state); the state itself flows on. With `stride == window`,
    the default, these are the usual windows laid end to end; with `stride=1` each loss flows back `window` steps
    exactly. Williams & Peng write BPTT(h; h') for h = window, h' = stride, others k2 and k1. With T steps, a window of
    T at its default stride, or of T + stride at another, is `bptt`.

    Args:
        cell: a cell with a loss, as for `bptt`, whose steps follow one another (not bidirectional).
        window: how many steps a gradient flows back.
        stride: how many steps of new losses each window brings, at most `window`.

    Returns `gradient(params, state, xs, keep=None) -> (loss, grads, state)`, as `bptt`. Activations are kept for one
    window at a time, and each step is computed about `window / stride` times. Any number of steps will do.

    To update the params every `stride` steps, give those steps one call after another, and carry the state on. With
    windows end to end a plain state will do; to look back further than that, begin with that of `start(params, x)`,
    which has the inputs of the last `window - stride` steps in it (or use `rnnjax.train.online`).

    Example:
        >>> import optax
        >>> model = rnnjax.with_loss(rnnjax.scan(rnnjax.gru(3, 4)), lambda y, target: optax.l2_loss(y, target).sum())
        >>> params = model.init(jax.random.key(0))
        >>> xs = jnp.ones((10, 3)), jnp.zeros((10, 4))
        >>> loss, grads, state = rnnjax.tbptt(model, window=4)(params, model.start(params), xs)
        >>> whole, _, _ = rnnjax.bptt(model)(params, model.start(params), xs)
        >>> bool(jnp.allclose(loss, whole))
        True

    Williams & Peng 1990, https://doi.org/10.1162/neco.1990.2.4.490
    """
    stride = window if stride is None else stride
    sizes("tbptt", window=window, stride=stride)
    if stride > window:
        raise ValueError(
            f"tbptt: stride must be at most window, but stride is {stride} and window is {window}. "
            "Losses before the window would teach nothing: give a longer window or a shorter stride."
        )
    run = over_time(cell)

    def gradient(params, state, xs, keep=None):
        T = steps("tbptt", xs)
        xs, keep = jax.tree.map(jnp.asarray, (xs, keep))
        losses = jax.eval_shape(run.step, params, state, xs, *given(keep))[1]
        jax.eval_shape(functools.partial(summed, "tbptt"), losses)
        if cell.each is not None:
            jax.eval_shape(cell.each.step, params, state, jax.tree.map(lambda x: x[0], xs))
        block = min(stride, T)
        back = min(window, block * math.ceil(T / block))
        times = np.arange(0, T, block)[:, None] + np.arange(block - back, block)
        if back != block or T % block:
            keep = jnp.ones(losses.shape, bool) if keep is None else keep
        number = count(losses, keep)

        def at(tree, times):
            return jax.tree.map(lambda x: x[jnp.clip(times, 0, T - 1)], tree)

        def window_at(carry, times):
            state, _, loss, grads = carry
            x = at(xs, times)
            real = None
            if keep is not None:
                inside = (times >= 0) & (times < T)
                real = at(keep, times) & inside.reshape(inside.shape + (1,) * (keep.ndim - 1))

            def objective(params):
                after, losses = run.step(params, jax.lax.stop_gradient(state), x, *given(real))
                return summed("tbptt", losses[back - block :]) / number, after

            (more, after), slope = jax.value_and_grad(objective, has_aux=True)(params)
            if back != block:
                state, _ = run.step(params, state, *jax.tree.map(lambda x: x[:block], (x, *given(real))))
            else:
                state = after
            return (state, after, loss + more, jax.tree.map(jnp.add, grads, slope)), None

        carry = state, state, jnp.zeros((), losses.dtype), jax.tree.map(jnp.zeros_like, params)
        carry = placed(window_at, carry, times, (params, xs))
        (_, after, loss, grads), _ = jax.lax.scan(window_at, carry, times)
        return loss, grads, after

    return Truncated(cell, window, stride, gradient)
