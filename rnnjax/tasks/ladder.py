"""Linear models of a series, and how any model is fed: cells from x (1,) to the mean and log scale of the next."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.cell import Cell, interned, single


class ARParams(NamedTuple):
    W: jax.Array
    b: jax.Array
    s: jax.Array


@interned
def autoregression(k: int) -> Cell:
    """The next value is linear in the k before: y = (h' W + b, s), where h' is x and all of h but the oldest.

    Params: `ARParams(W, b, s)`, (k,), () and (), zero at first. State: h (k,). Input: x (1,). Output: y (2,).
    """

    def step(params, h, x):
        h = jnp.concatenate([x, h[:-1]])
        return h, jnp.stack([h @ params.W + params.b, params.s])

    return Cell(
        lambda key: ARParams(jnp.zeros(k), jnp.zeros(()), jnp.zeros(())),
        lambda params: jnp.zeros(k, params.W.dtype),
        step,
    )


def least_squares(k: int, z) -> ARParams:
    """Params of `autoregression(k)` that tell `z` (N,) with the least squared error, in closed form."""
    past = np.stack([z[k - 1 - i : len(z) - 1 - i] for i in range(k)] + [np.ones(len(z) - k)], 1).astype(np.float64)
    found, *_ = np.linalg.lstsq(past, z[k:].astype(np.float64))
    return _judged(found, z[k:] - past @ found, len(z) - k - len(found))


def unmoved(z) -> ARParams:
    """Params of `autoregression(1)` that tell the last value again."""
    return _judged(np.array([1.0, 0.0]), np.diff(z), len(z) - 1)


def average(z) -> ARParams:
    """Params of `autoregression(1)` that tell the mean, whatever the last value."""
    return _judged(np.array([0.0, z.mean()]), z - z.mean(), len(z) - 1)


def _judged(found, errors, free):
    scale = np.sqrt((errors**2).sum() / free)
    return ARParams(*(jnp.asarray(p, jnp.float32) for p in (found[:-1], found[-1], np.log(scale))))


@interned
def fed(model: Cell) -> Cell:
    """Teacher forcing, free running, and all between: a cell that reads what it is told, or else what it would say.

    Input: (x, told, noise), of which it reads x if `told`, else its own mean + noise · scale. Output: the value that it
    has read, and its state after it, which is (the model's state, its y).
    """
    each = single(model)

    def start(params):
        state = each.start(params)
        return state, jnp.zeros_like(jax.eval_shape(each.step, params, state, jnp.zeros(1))[1])

    def step(params, state, x):
        x, told, noise = x
        inner, y = state
        x = jnp.where(told, x, y[0] + jnp.exp(y[1]) * noise)
        state = each.step(params, inner, x[None])
        return state, (x, state)

    return Cell(each.init, start, step)
