"""What a task gives to the loop that trains it."""

import functools
import hashlib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax


class Recipe(NamedTuple):
    """A task: its data, model, loss and metric. Each task is a file here with `Config`, `SMOKE` and `recipe(config)`.

    - `about`: lines that say what is learned, from what; `model`: what by, as "2 x lstm(64)".
    - `unit`: of the metric, as "bits a character"; `better`: "lower" or "higher".
    - `init`: key -> params; `start`: params -> the state of training before step 0.
    - `gradient`: (params, state, batch, keep) -> (loss, gradients, state), as `bptt(cell)` or `whole(loss)`.
    - `batch_at`: step -> batch: a function of the step alone, so that a run that was stopped goes on exactly.
    - `batch_axis`: which axis of the arrays of a batch is that of its sequences: 1 where time leads.
    - `measure`: (params, part) -> {unit: value, ...} on the part "valid" or "test", that of `unit` among them.
    - `baselines`: part -> {label: value} of simple models, in `unit`; `published`: {label: value} from the literature.
    - `scale`: what the loss is multiplied with where it is shown, in `loss_unit`.
    - `restart`: (step, training) -> training before each step, as of `fit`.
    - `show`: params -> what the model has to say, to read.
    - `draw`: (params, folder) -> None, which leaves pictures in the run's folder.
    - `fixed`: what a run that goes on must find as it was, as a digest of its text: plain data, kept with the config.
    """

    about: str
    model: str
    unit: str
    init: Callable
    gradient: Callable
    optimizer: optax.GradientTransformation
    batch_at: Callable
    measure: Callable
    batch_axis: int = 0
    start: Callable = lambda params: ()
    baselines: Callable = lambda part: {}
    published: Mapping[str, float] = MappingProxyType({})
    better: str = "lower"
    loss_unit: str = "nats"
    scale: float = 1.0
    restart: Callable | None = None
    show: Callable | None = None
    draw: Callable | None = None
    fixed: Mapping[str, Any] = MappingProxyType({})


def whole(loss: Callable) -> Callable:
    """The gradient of `loss(params, key, *batch)`, a mean over sequences that begin afresh; its state is a key."""

    def gradient(params, key, batch, keep=None):
        key, noise = jax.random.split(key)
        value, gradients = jax.value_and_grad(loss)(params, noise, *batch)
        return value, gradients, key

    return gradient


def shuffled(count: int, batch: int, seed: int) -> Callable[[int], np.ndarray]:
    """`step -> indices (batch,)`: all of 0..count - 1 once an epoch, in an order drawn from the seed and the epoch."""

    @functools.lru_cache(2)
    def order(epoch):
        return np.random.default_rng([seed, epoch]).permutation(count)

    def indices(step):
        places = np.arange(step * batch, (step + 1) * batch)
        return np.array([order(place // count)[place % count] for place in places.tolist()])

    return indices


def mean(judge: Callable, params, batches: Iterable[tuple]) -> dict[str, float]:
    """The means of what `judge(params, *batch) -> {unit: values}` gives, over all entries in all batches.

    Where some entries are padding, a judge gives `{unit: (values, keep)}`, and the mean is over those to keep.
    Compiled once for each judge and shape of a batch.
    """
    totals, sums = _totals(judge), {}
    for batch in batches:
        for unit, total in totals(params, *batch).items():
            sums[unit] = sums.get(unit, 0.0) + np.asarray(total, np.float64)
    return {unit: float(total / count) for unit, (total, count) in sums.items()}


@functools.lru_cache(2)
def _totals(judge):
    def total(values, keep=True):
        values = jnp.asarray(values, float)
        keep = jnp.broadcast_to(keep, values.shape)
        return jnp.stack([values.sum(where=keep), keep.sum(dtype=values.dtype)])

    @jax.jit
    def totals(*arguments):
        found = judge(*arguments).items()
        return {unit: total(*values) if isinstance(values, tuple) else total(values) for unit, values in found}

    return totals


def digest(*arrays) -> str:
    """The SHA-256 of arrays: what a run that goes on must find as it was."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
