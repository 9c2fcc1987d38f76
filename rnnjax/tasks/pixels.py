"""Pictures as sequences of pixels, and simple models of the pictures of each class."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

import rnnjax
from rnnjax.data import Labelled

CLASSES = 10
SHADES = " .:-=+*#%@"
ADDED = 0.01, 0.03, 0.1, 0.3, 1.0


def seen(window, place, label, shape: tuple[int, int], inks: int):
    """What is known before one pixel, as features (F,).

    That is the W + 1 pixels before it, so the left one and three of the row above among them, how dark and whether
    blank; its row and column; the class.

    Args:
        window: int (W + 1,), of 0..inks - 1, the nearest last.
        place, label: ints; pixels are counted row by row.
    """
    H, W = shape
    hot = jax.nn.one_hot(jnp.array([place // W, place % W, label]), max(H, W, CLASSES))
    dark = jnp.float32(window) / (inks - 1)
    return jnp.concatenate([dark, jnp.float32(window > 0), hot[0, :H], hot[1, :W], hot[2, :CLASSES]])


def context(xs, labels, inks: int):
    """`seen` before each pixel of each picture, ints (B, H, W), drawn as of its label: float32 (B, H W, F)."""
    B, H, W = xs.shape
    before = jnp.pad(xs.reshape(B, H * W), ((0, 0), (W + 1, 0)))
    places = jnp.arange(H * W)
    windows = before[:, places[:, None] + jnp.arange(W + 1)]
    every = jax.vmap(lambda window, place, label: seen(window, place, label, (H, W), inks), (0, 0, None))
    return jax.vmap(every, (0, None, 0))(windows, places, labels)


def told(nats, labels) -> dict:
    """What pictures cost in nats, as of each class, (B, C): as of their own, and whether that is the least, (B,).

    The least is the answer by Bayes' rule, where all classes are as likely.
    """
    own = jnp.take_along_axis(nats, labels[:, None], 1)[:, 0]
    return {"nats a picture": own, "share right by Bayes' rule": jnp.float32(nats.argmin(1) == labels)}


def separate(train: Labelled, valid: Labelled, inks: int) -> Callable:
    """`pictures -> nats (N, C)`: pixels that know only the class (naive Bayes).

    Counts with so many added as is best for `valid`.
    """
    flat = train.xs.reshape(len(train.xs), -1)
    counts = np.zeros((CLASSES, flat.shape[1], inks))
    np.add.at(counts, (train.labels[:, None], np.arange(flat.shape[1]), flat), 1)

    def judge(added):
        logs = np.log((counts + added) / (counts + added).sum(-1, keepdims=True))
        places = np.arange(flat.shape[1])
        return lambda xs: -np.stack([log[places, xs.reshape(len(xs), -1)].sum(1) for log in logs], 1)

    costs = [told(judge(added)(valid.xs), valid.labels)["nats a picture"].mean() for added in ADDED]
    return judge(ADDED[int(np.argmin(costs))])


def row_markov(train: Labelled, valid: Labelled, inks: int, steps: int = 1500) -> Callable:
    """`pictures -> nats (N, C)`: logistic regression of each pixel, with its own weights, on what is `seen` before it.

    Fitted by Adam, up to `steps` updates of 128; the weights are those that were best for `valid`, of each 100 updates.
    """
    optimizer = optax.adam(3e-3)

    def nats(weights, xs, labels):
        logits = jnp.einsum("btf,tfk->btk", context(xs, labels, inks), weights)
        return optax.softmax_cross_entropy_with_integer_labels(logits, xs.reshape(len(xs), -1)).sum(-1)

    @jax.jit
    def update(weights, state, xs, labels):
        slope = jax.grad(lambda weights: nats(weights, xs, labels).mean())(weights)
        updates, state = optimizer.update(slope, state)
        return optax.apply_updates(weights, updates), state

    judge = jax.jit(nats)
    _, T, F = jax.eval_shape(lambda: context(jnp.asarray(train.xs[:1]), jnp.asarray(train.labels[:1]), inks)).shape
    weights, draw, best = jnp.zeros((T, F, inks)), np.random.default_rng(0), (np.inf, None)
    state = optimizer.init(weights)
    for step in range(steps):
        chosen = draw.integers(0, len(train.labels), 128)
        weights, state = update(weights, state, train.xs[chosen], train.labels[chosen])
        if step % 100 == 99:
            best = min(best, (float(judge(weights, *valid).mean()), weights), key=lambda found: found[0])
    return lambda xs: np.stack([judge(best[1], xs, np.full(len(xs), c, np.int32)) for c in range(CLASSES)], 1)


@functools.partial(jax.jit, static_argnums=(0, 3, 4))
def drawn(network, params, labels, shape: tuple[int, int], inks: int, key):
    """A picture of each label (B,), drawn by a network: int32 (B, H, W)."""
    (H, W), B = shape, len(labels)
    cell = rnnjax.batch(network.each, B)
    features = jax.vmap(lambda window, place, label: seen(window, place, label, shape, inks), (0, None, 0))

    def step(carry, now):
        state, window = carry
        place, key = now
        state, logits = cell.step(params, state, features(window, place, labels))
        pixel = jax.random.categorical(key, logits).astype(jnp.int32)
        return (state, jnp.concatenate([window[:, 1:], pixel[:, None]], 1)), pixel

    start = cell.start(params), jnp.zeros((B, W + 1), jnp.int32)
    _, pixels = jax.lax.scan(step, start, (jnp.arange(H * W), jax.random.split(key, H * W)))
    return pixels.T.reshape(B, H, W)


def shown(pictures, inks: int) -> str:
    """Pictures of ints (K, C, H, W) in text, C side by side, K below each other; large ones are thinned to about 8."""
    thin = max(1, pictures.shape[-1] // 8)
    shades = np.array(list(SHADES))[np.asarray(pictures)[..., ::thin, ::thin] * (len(SHADES) - 1) // (inks - 1)]
    rows = ["\n".join(" ".join("".join(line) for line in across) for across in row.swapaxes(0, 1)) for row in shades]
    return "\n\n".join(rows)
