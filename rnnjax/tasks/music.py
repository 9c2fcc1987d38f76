"""A model of Bach's chorales: which notes sound next?

As in Boulanger-Lewandowski, Bengio & Vincent 2012, https://arxiv.org/abs/1206.6392, each of 88 pitches is on or off by
a chance of its own, given all frames before; the measure is the negative log likelihood of a frame, in nats. Their 382
chorales are like ours, but not the same; so are the results on them of Chung et al. 2014,
https://arxiv.org/abs/1412.3555, and Bai, Kolter & Koltun 2018, https://arxiv.org/abs/1803.01271
"""

import functools
import hashlib
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

import rnnjax
from rnnjax.data import Parts, chorales
from rnnjax.tasks import rolls
from rnnjax.tasks.options import Options, adam
from rnnjax.tasks.recipe import Recipe, mean, shuffled, whole

SMOKE = dict(m=16, most=12, batch=4, steps=5, every=5)
UNIT = "nats a frame"
PUBLISHED = {
    "JSB, not identical: tanh RNN (Chung 2014)": 9.10,
    "JSB, not identical: LSTM (Chung 2014)": 8.67,
    "JSB, not identical: GRU (Chung 2014)": 8.54,
    "JSB, not identical: TCN (Bai 2018)": 8.10,
}


@dataclass(frozen=True)
class Config(Options):
    """Learn to tell the next notes of Bach's chorales, beside the habits of each pitch and a logistic regression.

    Needs the package music21, pip install --no-deps music21==10.5.1, of which only the scores are read.
    """

    data: str | None = None
    """A folder of .mxl scores; without it, that of the installed music21."""
    cell: Literal["lstm", "gru", "rnn"] = "gru"
    """The recurrent cell."""
    layers: int = 1
    """How many layers of it."""
    m: int = 200
    """Size of each layer's state."""
    dropout: float = 0.1
    """Share of activations dropped after each layer."""
    transpose: bool = True
    """Learn each chorale in all keys; measured in its own."""
    most: int = 10_000
    """At most so many chorales of each part."""
    batch: int = 16
    """Chorales in an update."""
    steps: int = 1000
    """Updates to make."""
    lr: float = 1e-2
    """Peak learning rate of Adam, after a warm-up and before a cosine to almost zero."""
    every: int = 100
    """Steps between evaluations and checkpoints."""


def model(config: Config) -> rnnjax.Cell:
    """Recurrent layers over the frames, and for each pitch a logit."""
    constructor = {"lstm": rnnjax.lstm, "gru": rnnjax.gru, "rnn": rnnjax.rnn}[config.cell]
    layers = rnnjax.deep(constructor, rolls.PITCHES, config.m, layers=config.layers, dropout=config.dropout)
    return rnnjax.stack(layers, rnnjax.dropout(config.dropout), rnnjax.dense(config.m, rolls.PITCHES))


def recipe(config: Config) -> Recipe:
    """The chorales, the network, and simple models beside it."""
    parts = Parts(*(part[: config.most] for part in chorales(config.data)))
    network = model(config)
    indices = shuffled(len(parts.train), config.batch, config.seed)

    def batch_at(step):
        chosen, random = [parts.train[i] for i in indices(step)], np.random.default_rng([config.seed, 1, step])
        return rolls.padded([rolls.transposed(roll, random) for roll in chosen] if config.transpose else chosen)

    def losses(params, xs, lengths, key=None):
        _, logits = rnnjax.apply(network, params, rolls.before(xs), lengths=lengths, key=key)
        return rolls.surprise(logits, xs), jnp.arange(xs.shape[1]) < lengths[:, None]

    def loss(params, key, xs, lengths):
        found, keep = losses(params, xs, lengths, key)
        return found.mean(where=keep)

    def judge(params, xs, lengths):
        return {UNIT: losses(params, xs, lengths)}

    def measure(params, part):
        ordered = sorted(getattr(parts, part), key=len)
        return mean(judge, params, (rolls.padded(ordered[i : i + 32]) for i in range(0, len(ordered), 32)))

    @functools.cache
    def simple():
        return {label: fit(parts.train) for label, fit in rolls.SIMPLE.items()}

    def baselines(part):
        return {label: rolls.nats(model, getattr(parts, part)) for label, model in simple().items()}

    def show(params):
        return (
            f"A sample, a frame for each quarter note:\n{rolls.named(rolls.sampled(network, params, 32, config.seed))}"
        )

    return Recipe(
        about=f"Bach's chorales: {len(parts.train)} to learn, {len(parts.valid)} held out, {len(parts.test)} to test",
        model=f"{config.layers} x {config.cell}({config.m})",
        unit=UNIT,
        loss_unit=UNIT,
        init=network.init,
        start=lambda params: jax.random.key(config.seed),
        gradient=whole(loss),
        optimizer=adam(config),
        batch_at=batch_at,
        measure=measure,
        baselines=baselines,
        published=PUBLISHED,
        show=show,
        fixed={
            "digest": hashlib.sha256(np.concatenate([*parts.train, *parts.valid, *parts.test]).tobytes()).hexdigest()
        },
    )
