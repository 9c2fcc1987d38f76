"""Whose voice is it? Real speech of different lengths, one of nine speakers.

Kudo, Toyama & Shimbo 1999, https://doi.org/10.1016/S0167-8655(99)00077-X. The published, as reported by Karim et al.
2019, https://arxiv.org/abs/1801.04503, learn from all 270 recordings: a fifth of them is held out here.
"""

import functools
from dataclasses import dataclass
from typing import Literal

import jax
import numpy as np

import rnnjax
from rnnjax.data import Labelled, Parts, japanese_vowels
from rnnjax.tasks.classify import Classifier, average, packed
from rnnjax.tasks.options import Options, adam
from rnnjax.tasks.recipe import Recipe, digest, mean, whole
from rnnjax.tasks.simple import confusions, majority, share, softmax_regression

SMOKE = dict(m=8, steps=20, every=20)
CELLS = {"lstm": rnnjax.lstm, "gru": rnnjax.gru, "rnn": rnnjax.rnn}
SPEAKERS = 9
PUBLISHED = {"MLSTM-FCN (2019), of 270": 0.976, "nearest neighbour by time warping, of 270": 0.949}


@dataclass(frozen=True)
class Config(Options):
    """Recognise which of nine men says two Japanese vowels, from 7 to 29 frames of real speech.

    By a recurrent network that reads the frames in both directions.
    """

    data: str | None = None
    """A folder with JapaneseVowels_TRAIN.ts and _TEST.ts; without it, that of the installed package aeon."""
    cell: Literal["lstm", "gru", "rnn"] = "gru"
    """The recurrent cell."""
    layers: int = 1
    """How many layers of it, each in both directions."""
    m: int = 32
    """Size of each direction's state."""
    dropout: float = 0.5
    """Share of numbers dropped around the layers."""
    batch: int = 27
    steps: int = 800
    lr: float = 5e-3
    every: int = 100


def model(config: Config, n: int) -> Classifier:
    """From frames of n features to the logits of the speakers."""
    noise = [rnnjax.dropout(config.dropout)] if config.dropout else []
    body = rnnjax.deep(
        CELLS[config.cell], n, config.m, layers=config.layers, bidirectional=True, dropout=config.dropout
    )
    head = rnnjax.stack(*noise, rnnjax.dense(2 * config.m, SPEAKERS))
    return Classifier(body, average, head)


def nearest(centres, points):
    """The place of the nearest of `centres` (K, n) to each of `points` (N, n)."""
    return ((points[:, None] - centres) ** 2).sum(-1).argmin(1)


def recipe(config: Config) -> Recipe:
    """Recordings, a network, and simple models of their mean frame beside it."""
    parts = japanese_vowels(config.data)
    frames = np.concatenate(parts.train.xs)
    at, spread = frames.mean(0), frames.std(0)
    parts = Parts(*(Labelled([(x - at) / spread for x in xs], labels) for xs, labels in parts))
    network = model(config, frames.shape[1])

    def batches(part):
        xs, labels = getattr(parts, part)
        return packed(xs, labels, batch=config.batch, buckets=2, seed=config.seed)

    def means(part):
        return np.array([x.mean(0) for x in getattr(parts, part).xs])

    @functools.cache
    def regression():
        return softmax_regression(means("train"), parts.train.labels, SPEAKERS, decay=1e-3)

    def baselines(part):
        labels, known = getattr(parts, part).labels, parts.train.labels
        centres = np.array([means("train")[known == k].mean(0) for k in range(SPEAKERS)])
        return {
            "always the same": share(majority(known), labels),
            "nearest class mean of the mean frame": share(nearest(centres, means(part)), labels),
            "softmax regression of the mean frame": share(regression()(means(part)), labels),
        }

    def show(params):
        told = [(network.logits(params, xs, lengths).argmax(-1), labels) for xs, lengths, labels in tested.epoch(0)]
        guesses, labels = (np.concatenate(a) for a in zip(*told))
        real = labels >= 0
        return confusions(guesses[real], labels[real], [f"speaker {k}" for k in range(1, SPEAKERS + 1)])

    learned, tested = batches("train"), batches("test")
    return Recipe(
        about=f"Japanese vowels: {len(parts.train.xs)} recordings to learn, {len(parts.test.xs)} to be tested",
        model=f"{config.layers} x bidirectional {config.cell}({config.m})",
        unit="accuracy",
        better="higher",
        init=network.init,
        start=lambda params: jax.random.key(config.seed),
        gradient=whole(network.loss),
        optimizer=adam(config),
        batch_at=learned.at,
        measure=lambda params, part: mean(network.judge, params, batches(part).epoch(0)),
        baselines=baselines,
        published=PUBLISHED,
        show=show,
        fixed={"digest": digest(*(a for part in parts for a in (*part.xs, part.labels)))},
    )
