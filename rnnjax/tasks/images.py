"""Which digit is it? A picture is read row by row or pixel by pixel, and named when it has been seen.

Le, Jaitly & Hinton 2015, https://arxiv.org/abs/1504.00941, who read pixel by pixel, in their own order and permuted.
The published: Bai et al. 2018, https://arxiv.org/abs/1803.01271, by networks of some 70 000 parameters; Rusch & Mishra
2021, https://arxiv.org/abs/2010.00951. All of them learn from 60 000 pictures, and their permutations are others.
"""

import functools
from dataclasses import dataclass
from typing import Literal

import jax
import numpy as np

from rnnjax.data import Labelled, Parts, digits, mnist
from rnnjax.tasks.options import Options, adam
from rnnjax.tasks.reader import model, shown
from rnnjax.tasks.recipe import Recipe, digest, mean, shuffled, whole
from rnnjax.tasks.simple import confusions, share, softmax_regression

SMOKE = dict(most=256, m=8, batch=16, steps=20, every=20)
PUBLISHED = {
    "pixels": {"RNN (2018)": 0.215, "LSTM (2018)": 0.872, "GRU (2018)": 0.962, "coRNN (2021)": 0.994},
    "permuted": {"RNN (2018)": 0.253, "LSTM (2018)": 0.857, "GRU (2018)": 0.873, "coRNN (2021)": 0.973},
}


@dataclass(frozen=True)
class Config(Options):
    """Name written digits that are read row by row, pixel by pixel, or pixel by pixel in a fixed random order.

    By a recurrent network (many to one), or, for comparison, by a feed-forward one that sees all at once (one to one).
    """

    dataset: Literal["mnist", "digits"] = "mnist"
    """MNIST, or the smaller pictures of scikit-learn."""
    data: str | None = None
    """The dataset's file or folder; without it, where the error for its absence says."""
    order: Literal["rows", "pixels", "permuted"] = "rows"
    """What a step reads: a row, or a pixel, in the order of the page or permuted, alike for all pictures and seeds."""
    model: Literal["lstm", "gru", "rnn", "cornn", "mingru", "lru", "feedforward"] = "lstm"
    """The recurrent cell; a feedforward network sees the whole picture, in no order."""
    readout: Literal["last", "mean", "state"] = "last"
    """Of what the answer is made: the last output, the mean output, or by a hidden layer the whole last state."""
    layers: int = 1
    """How many layers of it."""
    m: int = 128
    """Size of each layer's state."""
    dropout: float = 0.0
    """Share of activations dropped before the readout and between layers."""
    most: int = 60_000
    """At most so many pictures of each part; 60 000 takes all."""
    batch: int = 64
    steps: int = 4000
    lr: float = 3e-3
    every: int = 500


def recipe(config: Config) -> Recipe:
    """Pictures as sequences, a network, and a softmax regression of their pixels beside it."""
    parts = {"mnist": mnist, "digits": digits}[config.dataset](config.data)
    parts = Parts(
        *(Labelled(shown(xs[: config.most], config.model, config.order), labels[: config.most]) for xs, labels in parts)
    )
    train, at, spread = parts.train, parts.train.xs.mean(), parts.train.xs.std()
    network = model(config, train.xs.shape[2])
    order = shuffled(len(train.xs), config.batch, config.seed)

    def scaled(xs):
        return ((xs - at) / spread).astype(np.float32)

    def flat(xs):
        return scaled(xs).reshape(len(xs), -1)

    def pieces(part, size=500):
        xs, labels = getattr(parts, part)
        for i in range(0, len(xs), size):
            yield scaled(xs[i : i + size]), None, labels[i : i + size]

    def batch_at(step):
        return scaled(train.xs[order(step)]), None, train.labels[order(step)]

    @functools.cache
    def regression():
        return softmax_regression(flat(train.xs), train.labels, 10, decay=1e-4, steps=50)

    def baselines(part):
        xs, labels = getattr(parts, part)
        return {"softmax regression of the pixels": share(regression()(flat(xs)), labels)}

    def show(params):
        named = [network.logits(params, xs).argmax(-1) for xs, *_ in pieces("test")]
        return confusions(np.concatenate(named), parts.test.labels, range(10))

    comparable = config.dataset == "mnist" and config.model != "feedforward"
    how = "" if config.model == "feedforward" else f" by {config.order}, {config.readout}"
    return Recipe(
        about=f"{config.dataset}: {len(train.xs):,} pictures to learn, {len(parts.test.xs):,} to be tested, each of "
        f"{train.xs.shape[1]} steps of {train.xs.shape[2]}",
        model=f"{config.layers} x {config.model}({config.m}){how}",
        unit="accuracy",
        better="higher",
        init=network.init,
        start=lambda params: jax.random.key(config.seed),
        gradient=whole(network.loss),
        optimizer=adam(config),
        batch_at=batch_at,
        measure=lambda params, part: mean(network.judge, params, pieces(part)),
        baselines=baselines,
        published=PUBLISHED.get(config.order, {}) if comparable else {},
        show=show,
        fixed={"digest": digest(*(a for part in parts for a in part))},
    )
