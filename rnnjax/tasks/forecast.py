"""A ladder of models of one real series: its mean, its last value, autoregressions, and recurrent networks.

Each says a mean and a scale of the next value. It is measured with teacher forcing (one step ahead, all before known)
and free running (fed its own predictions), in the series' own unit; its intervals are those of sampled futures.
Scheduled sampling after Bengio et al. 2015, https://arxiv.org/abs/1506.03099
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

import rnnjax
from rnnjax.data import co2, monthly_sunspots, sunspots
from rnnjax.tasks import futures, ladder
from rnnjax.tasks.options import Options, adam
from rnnjax.tasks.recipe import Recipe, whole
from rnnjax.tasks.rungs import rungs, table

SMOKE = dict(m=4, window=32, batch=4, steps=20, every=20)


@dataclass(frozen=True)
class Config(Options):
    """Tell a real series ahead, with intervals: a network beside autoregressions fitted in closed form.

    Without options: yearly sunspots (shipped), 1700 to 1920 to learn, to 1955 held out, to 2008 to test.
    """

    series: Literal["sunspots", "co2", "monthly_sunspots"] = "sunspots"
    """Which; co2 needs the package statsmodels and monthly_sunspots pmdarima, or `data`."""
    data: str | None = None
    """The file of co2 or monthly_sunspots; without it, that of the installed package."""
    changes: bool = False
    """Learn the changes from step to step, as a series with a trend needs it."""
    model: Literal["ar", "markov", "rnn", "gru", "lstm"] = "gru"
    """What is trained by gradients: a window of `order` values, the last value alone, or a state that is learnt."""
    order: int = 9
    """Values that an autoregression sees."""
    m: int = 16
    """Size of a network's state."""
    dropout: float = 0.0
    """Share of activations dropped before the readout."""
    teacher: float = 1.0
    """Share of steps in training at which the model is told the true value; at the others it is fed its own draw."""
    window: int = 96
    """Steps of the pieces to learn from."""
    horizon: int = 16
    """Steps to tell ahead at most."""
    batch: int = 16
    """Pieces in an update."""
    steps: int = 200
    """Updates to make."""
    lr: float = 5e-3
    """Peak learning rate of Adam, after a warm-up and before a cosine to almost zero."""
    every: int = 20
    """Steps between evaluations and checkpoints."""

    def __post_init__(self):
        super().__post_init__()
        if self.window <= self.order:
            raise ValueError(f"train: window must be more than order, {self.order}, but window is {self.window}.")
        if self.teacher > 1:
            raise ValueError(f"train: teacher must be in [0, 1], but teacher is {self.teacher}. Give a share.")


def read(config: Config) -> futures.Series:
    """The series that is asked for."""
    if config.data is not None and config.series == "sunspots":
        raise ValueError("train: data must be of co2 or monthly_sunspots, but the series is sunspots. Leave it out.")
    record = {
        "sunspots": sunspots,
        "co2": lambda: co2(config.data),
        "monthly_sunspots": lambda: monthly_sunspots(config.data),
    }
    return futures.joined(record[config.series](), changes=config.changes)


def model(config: Config) -> rnnjax.Cell:
    """What is trained: from x (1,) to the mean and log scale of the next."""
    if config.model in ("ar", "markov"):
        return ladder.autoregression(config.order if config.model == "ar" else 1)
    cell = {"rnn": rnnjax.rnn, "gru": rnnjax.gru, "lstm": rnnjax.lstm}[config.model]
    return rnnjax.stack(cell(1, config.m), rnnjax.dropout(config.dropout), rnnjax.dense(config.m, 2))


def recipe(config: Config) -> Recipe:
    """The series, a network, and the ladder beside it."""
    series, network = read(config), model(config)
    lower = rungs(series, config.order)
    z, taught = series.z[series.parts.train], ladder.fed(network)
    if config.horizon > len(z):
        raise ValueError(f"train: horizon must be at most {len(z)} steps, but horizon is {config.horizon}. Give less.")
    window = min(config.window, len(z))

    def batch_at(step):
        begins = np.random.default_rng([config.seed, step]).integers(0, len(z) - window + 1, config.batch)
        return (z[begins[:, None] + np.arange(window)],)

    def loss(params, key, xs):
        own, choice, noise = jax.random.split(key, 3)
        told = jax.random.bernoulli(choice, config.teacher, xs.shape) | (jnp.arange(window) < config.order)
        fed = xs, told, jax.random.normal(noise, xs.shape)
        _, (_, (_, ys)) = rnnjax.apply(taught, params, fed, key=own)
        return futures.surprise(ys[:, :-1], xs[:, 1:])[:, config.order - 1 :].mean()

    def errors(cell, params, part):
        return futures.errors(cell, params, series, getattr(series.parts, part), config.horizon)

    def measure(params, part):
        return {futures.named(h): error for h, error in errors(network, params, part).items()}

    def baselines(part):
        return {label: errors(*each, part)[1] for label, each in lower.items()}

    return Recipe(
        about=f"{config.series}: {len(z)} steps to learn, then {len(series.values[series.parts.valid])} held out, then "
        f"{len(series.values[series.parts.test])} to test",
        model=config.model + (f"({config.m})" if config.model in ("rnn", "gru", "lstm") else ", by gradients"),
        unit=futures.named(1),
        init=network.init,
        start=lambda params: jax.random.key(config.seed),
        gradient=whole(loss),
        optimizer=adam(config),
        batch_at=batch_at,
        measure=measure,
        baselines=baselines,
        show=lambda params: table(series, lower | {f"{config.model}, trained": (network, params)}, config.horizon),
        fixed={"digest": hashlib.sha256(series.values.tobytes()).hexdigest()},
    )
