"""Dropout, with its key in the state."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from rnnjax.cell import Cell, interned
from rnnjax.types import Key, Keys, State


class Noise(NamedTuple):
    """Where a random cell stands: a key and the number of steps taken, or two Nones, with which it is silent."""

    key: Keys | None = None
    step: Int[Array, "*B"] | None = None


class Lasting(NamedTuple):
    """A key from which a cell draws the same at every step, or None, with which it is silent."""

    key: Keys | None = None


class Shared(NamedTuple):
    """A lasting key that all streams of a batch share, or None."""

    key: Keys | None = None


class Noisy(NamedTuple):
    """The state of a cell, and the noise that is put on it: a `Noise`, a `Lasting`, or a `Shared`."""

    state: State
    noise: Noise | Lasting | Shared


def random(part) -> bool:
    """Whether a part of a state is where randomness comes from."""
    return isinstance(part, (Noise, Lasting, Shared))


def seed(state: State, key: Key | None, B: int | None = None) -> State:
    """Turn on every random cell of a model: give each `Noise` and `Lasting` in its state a key of its own.

    The state that `start` gives is silent, which is how a model is evaluated, and a key of None makes any state so. For
    the state of `batch(model, B)` give B, and every stream draws for itself (but for a `Shared` key). Step t of a cell
    draws from `fold_in(key, t)`, whatever the loop. What is drawn once a sequence lasts as long as its key: to draw
    anew, seed a state again.

        >>> model = rnnjax.scan(rnnjax.dropout(0.5))
        >>> silent = model.start(())
        >>> noise = rnnjax.seed(silent, jax.random.key(0))
        >>> xs = jnp.ones((9, 50))
        >>> print(jnp.unique(model.step((), silent, xs)[1]), jnp.unique(model.step((), noise, xs)[1]))
        [1.] [0. 2.]
    """
    if key is None:
        return jax.tree.map(lambda s: type(s)() if random(s) else s, state, is_leaf=random)
    leaves, tree = jax.tree.flatten(state, is_leaf=random)
    for i, leaf in enumerate(leaves):
        own, lanes = jax.random.fold_in(key, i), () if B is None else (B,)
        each = own if B is None else jax.random.split(own, B)
        if isinstance(leaf, Noise):
            leaves[i] = Noise(each, jnp.zeros(lanes, jnp.int32))
        elif isinstance(leaf, Lasting):
            leaves[i] = Lasting(each)
        elif isinstance(leaf, Shared):
            leaves[i] = Shared(jnp.broadcast_to(own, (*lanes, *own.shape)))
    return jax.tree.unflatten(tree, leaves)


def share(where, rate, to="drop"):
    """Refuse a rate that is not a share below 1."""
    if not 0 <= rate < 1:
        raise ValueError(f"{where}: rate must be in [0, 1), but rate is {rate}. Give the share to {to}.")


def dropped(key, rate, x):
    """Each number of x, with probability `rate`, as 0, else over 1 - rate."""
    return jnp.where(jax.random.bernoulli(key, 1 - rate, jnp.shape(x)), x / (1 - rate), 0)


@interned
def dropout(rate: float) -> Cell:
    """y = x / (1 - rate) with probability 1 - rate, else 0, for each element and step (Srivastava et al. 2014).

    Between the layers of a stack it is Zaremba et al. 2014's dropout (arXiv 1409.2329). Silent until `seed`.
    Raises `ValueError` unless 0 <= rate < 1.

        >>> rnnjax.stack(rnnjax.lstm(3, 4), rnnjax.dropout(0.5), rnnjax.lstm(4, 4))
        stack(lstm(3, 4), dropout(0.5), lstm(4, 4))
    """
    share("dropout", rate)

    def drop(key, t, x):
        return dropped(jax.random.fold_in(key, t), rate, x)

    def start(params):
        return Noise()

    def step(params, noise, x):
        if noise.key is None:
            return noise, x
        return Noise(noise.key, noise.step + 1), drop(noise.key, noise.step, x)

    def whole(params, noise, xs, *keep):
        if noise.key is None:
            return noise, xs
        real = keep[0] if keep else jnp.ones(len(xs), bool)
        passed = jnp.cumsum(real, dtype=noise.step.dtype)
        times = noise.step + passed - 1
        taken = real.sum(dtype=noise.step.dtype)
        return Noise(noise.key, noise.step + taken), jax.vmap(drop, (None, 0, 0))(noise.key, times, xs)

    return Cell(lambda key: (), start, step, whole=whole)
