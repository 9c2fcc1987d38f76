"""Written digits of 8 by 8 pixels, alone and side by side."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnjax.data import Labelled, Parts, digits, mnist

SIDE = 8


def handwriting(where: str, dataset: str, path=None) -> Parts:
    """The `dataset` "digits" or "mnist" as `Parts` of `Labelled`, xs float32 (N, 8, 8) from 0 to 1.

    MNIST is shrunk as scikit-learn's digits once were: means of 4 by 4 pixels, after a margin of 2.
    """
    parts = {"digits": digits, "mnist": mnist}[dataset](path)
    return Parts(*(Labelled(_shrunk(part.xs), part.labels) for part in parts))


def _shrunk(xs):
    if xs.shape[1:] == (SIDE, SIDE):
        return np.float32(xs) / 16
    wide = np.pad(xs, ((0, 0), (2, 2), (2, 2)))
    return wide.reshape(-1, SIDE, 4, SIDE, 4).mean((2, 4), dtype=np.float32) / 255


def strips(part: Labelled, count: int, longest: int, *, seed) -> tuple[np.ndarray, np.ndarray]:
    """`count` pictures of numbers of 1 to `longest` digits: float32 (count, 8, 8 * longest, 1), and int32 (count,).

    As many of each length, on average. Digits stand from the left, each of a picture drawn from `part`, the first of
    several not 0; to the right is paper.
    """
    draw = np.random.default_rng(seed)
    used = np.arange(longest) < draw.integers(1, longest + 1, count)[:, None]
    chosen = draw.integers(0, len(part.labels), (count, longest))
    leading = np.flatnonzero(part.labels)
    several = used.sum(1) > 1
    chosen[several, 0] = draw.choice(leading, several.sum())
    pictures = np.where(used[:, :, None, None], part.xs[chosen], 0)
    numbers = np.zeros(count, np.int32)
    for digit, real in zip(part.labels[chosen].T, used.T):
        numbers = np.where(real, 10 * numbers + digit, numbers)
    return pictures.transpose(0, 2, 1, 3).reshape(count, SIDE, -1, 1).astype(np.float32), numbers


def logistic(part: Labelled, steps: int = 500):
    """`pictures of strips -> numbers`, by multinomial logistic regression on the pixels of each digit, told its place.

    Fitted to single digits by Adam, 500 steps of 256. It is told where digits stand, that paper is none, and what a
    number is.
    """
    xs, labels = part.xs.reshape(-1, SIDE * SIDE), part.labels
    optimizer = optax.adam(1e-2)

    @jax.jit
    def update(params, state, x, y):
        def loss(params):
            return optax.softmax_cross_entropy_with_integer_labels(x @ params[0] + params[1], y).mean()

        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    params = jnp.zeros((SIDE * SIDE, 10)), jnp.zeros(10)
    state, draw = optimizer.init(params), np.random.default_rng(0)
    for _ in range(steps):
        chosen = draw.integers(0, len(labels), 256)
        params, state = update(params, state, xs[chosen], labels[chosen])
    W, b = map(np.asarray, params)

    def read(strips):
        pixels = strips.reshape(len(strips), SIDE, -1, SIDE).swapaxes(1, 2).reshape(len(strips), -1, SIDE * SIDE)
        said = (pixels @ W + b).argmax(-1)
        numbers = np.zeros(len(strips), np.int64)
        for digit, ink in zip(said.T, pixels.any(-1).T):
            numbers = np.where(ink, 10 * numbers + digit, numbers)
        return numbers

    return read
