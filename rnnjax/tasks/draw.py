"""From a class to a picture: written digits, drawn pixel by pixel.

A recurrent network goes through the picture row by row; before each pixel it is told which digit to draw, where it is,
and the last pixels, as many as a row has and one. Van den Oord et al. 2016, Pixel recurrent neural networks,
https://arxiv.org/abs/1601.06759, compare larger models in table 4, on MNIST binarised at random, not told the class.
"""

import functools
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

import rnnjax
from rnnjax.data import Labelled, Parts, digits, mnist
from rnnjax.tasks.options import Options, adam
from rnnjax.tasks.pixels import CLASSES, context, drawn, row_markov, separate, shown, told
from rnnjax.tasks.recipe import Recipe, mean, shuffled, whole

SMOKE = dict(m=16, batch=8, steps=20, every=20, most=50)
AT_ONCE = 250
PUBLISHED = {"DARN, not told the class": 84.13, "Diagonal BiLSTM, 7 layers, not told the class": 79.20}


@dataclass(frozen=True)
class Config(Options):
    """Learn to draw the digit that is asked for, pixel by pixel. By Bayes' rule the model also says which it sees.

    Scikit-learn's digits have 64 pixels of 17 inks. MNIST has 784, black or white as chance has it: hours on a CPU.
    """

    steps: int = 2000
    lr: float = 3e-3
    dataset: Literal["digits", "mnist"] = "digits"
    """Scikit-learn's digits, or binary MNIST."""
    data: str | None = None
    """Where they are, if not where the package puts them."""
    cell: Literal["lstm", "gru"] = "lstm"
    """The recurrent cell."""
    m: int = 128
    """Size of its state."""
    dropout: float = 0.4
    """Share of activations dropped after the cell."""
    most: int = 1000
    """At most so many pictures to validate with, and to test with."""


def inks(config: Config) -> int:
    """How many different pixels there are."""
    return {"digits": 17, "mnist": 2}[config.dataset]


def pictures(config: Config) -> Parts:
    """The `Parts` of the digits, xs int32 (N, H, W). A pixel of MNIST is black or not, drawn once, as it is dark."""
    read = {"digits": digits, "mnist": mnist}[config.dataset]
    parts = Parts(*(Labelled(np.int32(part.xs), part.labels) for part in read(config.data)))
    if config.dataset == "mnist":
        draw = np.random.default_rng(0)
        parts = Parts(*(part._replace(xs=np.int32(draw.random(part.xs.shape) * 255 < part.xs)) for part in parts))
    few = [Labelled(*(a[: config.most] for a in part)) for part in parts[1:]]
    return Parts(parts.train, *few)


def model(config: Config, shape: tuple[int, int]) -> rnnjax.Cell:
    """From what is `seen` before each pixel to logits of its ink."""
    cell = {"lstm": rnnjax.lstm, "gru": rnnjax.gru}[config.cell]
    n = 2 * (shape[1] + 1) + sum(shape) + CLASSES
    return rnnjax.stack(
        rnnjax.scan(cell(n, config.m)), rnnjax.dropout(config.dropout), rnnjax.dense(config.m, inks(config))
    )


def recipe(config: Config) -> Recipe:
    """Digits, the network, and pixels without a memory beside it."""
    parts, different = pictures(config), inks(config)
    shape = parts.train.xs.shape[1:]
    network = model(config, shape)
    order = shuffled(len(parts.train.labels), config.batch, config.seed)

    def nats(params, xs, labels, key=None):
        _, logits = rnnjax.apply(network, params, context(xs, labels, different), key=key)
        return optax.softmax_cross_entropy_with_integer_labels(logits, xs.reshape(len(xs), -1)).sum(-1)

    def judge(params, xs, labels):
        each = jax.lax.map(lambda c: nats(params, xs, jnp.full(len(xs), c)), jnp.arange(CLASSES))
        return told(each.T, labels)

    def measure(params, part):
        xs, labels = getattr(parts, part)
        pieces = [np.s_[at : at + AT_ONCE] for at in range(0, len(labels), AT_ONCE)]
        return mean(judge, params, [(xs[piece], labels[piece]) for piece in pieces])

    simple = {"pixels apart, of each class": separate, "logistic regression on the pixels before": row_markov}
    fitted = functools.cache(lambda label: simple[label](parts.train, parts.valid, different))

    def baselines(part):
        xs, labels = getattr(parts, part)
        found = {label: told(fitted(label)(xs), labels) for label in simple}
        means = {label: [float(np.mean(values)) for values in of.values()] for label, of in found.items()}
        return {f"{label} (right: {right:.3f})": cost for label, (cost, right) in means.items()}

    def show(params):
        labels = jnp.tile(jnp.arange(CLASSES), 3)
        key = jax.random.key(config.seed)
        return shown(drawn(network, params, labels, shape, different, key).reshape(3, CLASSES, *shape), different)

    return Recipe(
        about=f"{config.dataset}: {len(parts.train.labels):,} pictures of {shape[0]} x {shape[1]} pixels to learn, of "
        f"{different} inks; tested on {len(parts.test.labels):,}",
        model=f"{config.cell}({config.m})",
        unit="nats a picture",
        loss_unit="nats a picture",
        init=network.init,
        start=lambda params: jax.random.key(config.seed),
        gradient=whole(lambda params, key, xs, labels: nats(params, xs, labels, key).mean()),
        optimizer=adam(config),
        batch_at=lambda step: tuple(a[order(step)] for a in parts.train),
        measure=measure,
        baselines=baselines,
        published=PUBLISHED if config.dataset == "mnist" else {},
        show=show,
    )
