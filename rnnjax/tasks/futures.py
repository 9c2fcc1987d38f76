"""A series of the real world, what models say of its future, and how right they are."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import rnnjax
from rnnjax.data import Parts
from rnnjax.tasks.ladder import fed

SHARES = 0.8, 0.95


class Series(NamedTuple):
    """A record in one piece, and what a model reads of it.

    - `times`, `values`, `known`: of the whole record, (N,).
    - `z`: float32 (N,), the values, or with `changes` the changes that led to them (the first as 0), of mean 0 and
      variance 1 in the training part. `mean`, `scale`: of what was standardised so.
    - `parts`: where the training, validation and test part begin and end, as slices.
    """

    times: np.ndarray
    values: np.ndarray
    known: np.ndarray
    z: np.ndarray
    mean: float
    scale: float
    changes: bool
    parts: Parts

    def restored(self, z, origins):
        """Of futures z (..., origins, H) from `origins`, the values."""
        told = self.mean + self.scale * z
        return self.values[origins][:, None] + told.cumsum(-1) if self.changes else told


def joined(record: Parts, *, changes: bool = False) -> Series:
    """The parts of a record that follow one another, as one `Series`."""
    times, values, known = map(np.concatenate, zip(*record))
    end = len(record.train.values)
    read = np.diff(values, prepend=values[:1]) if changes else values
    mean, scale = float(read[changes:end].mean()), float(read[changes:end].std())
    z = ((read - mean) / scale).astype(np.float32)
    z[: int(changes)] = 0
    ends = np.cumsum([len(part.values) for part in record])
    slices = Parts(*(slice(int(stop) - len(part.values), int(stop)) for part, stop in zip(record, ends)))
    return Series(times, values, known, z, mean, scale, changes, slices)


def futures(model: rnnjax.Cell, params, series: Series, origins, horizon: int, key=None, count: int = 1) -> np.ndarray:
    """Values (count, origins, horizon) that may follow each of the places `origins`, after all before it has been read.

    The model is fed its own predictions: their means, or with a key, draws, other ones each of `count` times.
    """
    shape = (count, len(origins), horizon)
    noise = jnp.zeros(shape) if key is None else jax.random.normal(key, shape)
    return series.restored(np.asarray(_free(model, params, series.z, np.asarray(origins), noise)), origins)


@jax.jit(static_argnums=0)
def _free(model, params, z, origins, noise):
    run = rnnjax.scan(fed(model))
    z = jnp.asarray(z)
    forced = z, jnp.ones(z.shape, bool), jnp.zeros_like(z)
    _, (_, states) = run.step(params, run.start(params), forced)
    states = jax.tree.map(lambda s: s[origins], states)

    def on(state, noise):
        return run.step(params, state, (jnp.zeros_like(noise), jnp.zeros(noise.shape, bool), noise))[1][0]

    return jax.vmap(jax.vmap(on), (None, 0))(states, noise)


def surprise(ys, xs):
    """Nats of values under the means and log scales told for them."""
    mean, scale = ys[..., 0], ys[..., 1]
    return scale + 0.5 * ((xs - mean) / jnp.exp(scale)) ** 2 + 0.5 * math.log(2 * math.pi)


def horizons(longest: int) -> list[int]:
    """1, 2, 4, ... up to `longest` steps ahead."""
    return [2**i for i in range(longest.bit_length())]


def named(h: int) -> str:
    """What an error so far ahead is called."""
    return "RMSE 1 step ahead" if h == 1 else f"{h} ahead"


def errors(model, params, series: Series, part: slice, longest: int) -> dict[int, float]:
    """For each of the `horizons`, the root of the mean squared error of the values in `part`, told so far ahead."""
    first = max(part.start - longest, 0)
    told = futures(model, params, series, np.arange(first, part.stop), longest)[0]
    return {
        h: _root_mean_square(_aimed(told, first, part, h) - series.values[part], series, part)
        for h in horizons(longest)
    }


def coverage(
    model, params, series: Series, part: slice, longest: int, *, key, count: int = 200
) -> dict[int, list[float]]:
    """For each of the `horizons`, the share of values in `part` within the middle 80 % and 95 % of sampled futures."""
    first = max(part.start - longest, 0)
    drawn = futures(model, params, series, np.arange(first, part.stop), longest, key, count)
    found = {}
    for h in horizons(longest):
        aimed, known = _aimed(drawn, first, part, h), series.known[part]
        bounds = [np.quantile(aimed, [(1 - share) / 2, (1 + share) / 2], 0) for share in SHARES]
        inside = [(low <= series.values[part]) & (series.values[part] <= high) for low, high in bounds]
        found[h] = [float(each[known].mean()) for each in inside]
    return found


def _aimed(told, first, part, h):
    """Of futures from `first` on, what they say of each value in `part`, h steps before it."""
    return told[..., part.start - h - first : part.stop - h - first, h - 1]


def _root_mean_square(errors, series, part):
    return float(np.sqrt((errors[series.known[part]] ** 2).mean()))
