"""A language model of any text: the next character, word or byte, by truncated BPTT with carried state."""

import hashlib
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import optax

import rnnjax
from rnnjax.data import Vocabulary, bible, byte_level, characters, read, split, words


@dataclass(frozen=True)
class Config:
    """What to train, on what, and for how long. The defaults take about three minutes on two cores."""

    text: str | None = None
    """A UTF-8 file to learn; without it, the shipped opening of the King James Bible."""
    unit: Literal["char", "word", "byte"] = "char"
    """What one step reads and predicts."""
    vocabulary: int = 10_000
    """At most so many different symbols; rarer ones are read as unknown."""
    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    """The recurrent cell."""
    layers: int = 1
    """How many layers of it."""
    m: int = 256
    """Size of each layer's state."""
    embed: int = 64
    """Size of a symbol's vector."""
    dropout: float = 0.0
    """Share of activations dropped around the layers."""
    window: int = 64
    """Steps that gradients flow back (truncated BPTT), and between updates."""
    batch: int = 32
    """Parallel streams of text."""
    steps: int = 2500
    """Updates to make."""
    lr: float = 8e-3
    """Peak learning rate of Adam, after a warm-up and before a cosine to almost zero."""
    clip: float = 1.0
    """Largest global norm of a gradient."""
    reset: float = 0.03
    """Share of streams whose state starts afresh at each window, so that the model learns to begin anywhere."""
    seed: int = 0
    """Seed of everything random."""
    every: int = 250
    """Steps between evaluations and checkpoints."""

    def __post_init__(self):
        for name in "layers", "m", "embed", "window", "batch", "steps", "every":
            if getattr(self, name) < 1:
                raise ValueError(f"train: {name} must be at least 1, but {name} is {getattr(self, name)}. Give more.")
        for name, low, high in ("dropout", 0, 1), ("reset", 0, 1), ("lr", 0, math.inf), ("clip", 0, math.inf):
            if not low <= getattr(self, name) < high:
                raise ValueError(f"train: {name} must be in [{low}, {high}), but {name} is {getattr(self, name)}.")
        check_seed("train", self.seed)
        for name in "unit", "cell":
            choices = get_args(get_type_hints(Config)[name])
            if getattr(self, name) not in choices:
                raise ValueError(f"train: {name} must be one of {choices}, but {name} is {getattr(self, name)!r}.")


def check_seed(where, seed):
    """Refuse a seed that is not 32 bits."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"{where}: seed must be from 0 to 4294967295, but seed is {seed}. Give another.")


class Corpus(NamedTuple):
    """A text as symbols: ids of its training, validation and test parts, and how many characters each part holds."""

    vocabulary: Vocabulary
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    characters: dict[str, int]
    digest: str


def corpus(config: Config) -> Corpus:
    """The text split 90 / 5 / 5 %, in order, with a vocabulary of its training part."""
    text = bible() if config.text is None else read(config.text)
    train, valid, test = split(text)
    if config.unit == "byte":
        vocabulary = byte_level()
    else:
        vocabulary = {"char": characters, "word": words}[config.unit](train, size=config.vocabulary)
    parts = dict(zip(("train", "valid", "test"), map(vocabulary.encode, (train, valid, test))))
    for part, ids in parts.items():
        if len(ids) < 2:
            raise ValueError(
                f"train: each part of the text must hold 2 {config.unit}s, but {part} holds {len(ids)}, of a text of "
                f"{len(text)} characters. Give a longer text."
            )
    digest = hashlib.sha256(text.encode()).hexdigest()
    sizes = {"train": len(train), "valid": len(valid), "test": len(test)}
    return Corpus(vocabulary, **parts, characters=sizes, digest=digest)


def model(config: Config, symbols: int) -> rnnjax.Cell:
    """Embedding, recurrent layers, and a readout to the logits of the next symbol."""
    constructor = {"lstm": rnnjax.lstm, "gru": rnnjax.gru, "rnn": rnnjax.rnn}[config.cell]
    layers = rnnjax.deep(constructor, config.embed, config.m, layers=config.layers, dropout=config.dropout)
    noise = [rnnjax.dropout(config.dropout)] if config.dropout else []
    return rnnjax.stack(rnnjax.embed(symbols, config.embed), *noise, layers, *noise, rnnjax.dense(config.m, symbols))


def with_loss(network: rnnjax.Cell) -> rnnjax.Cell:
    """The network with cross entropy, in nats a symbol."""
    return rnnjax.with_loss(network, optax.softmax_cross_entropy_with_integer_labels)


def optimizer(config: Config) -> optax.GradientTransformation:
    """Adam under a clipped gradient, with warm-up and a cosine."""
    warm = max(1, config.steps // 33)
    rate = optax.warmup_cosine_decay_schedule(0.0, config.lr, warm, max(config.steps, warm + 1), config.lr / 50)
    return optax.chain(optax.clip_by_global_norm(config.clip), optax.adam(rate, b2=0.99))


def restart(config: Config, cell: rnnjax.Cell, epoch: int):
    """`(step, training) -> training`: all streams start afresh at each epoch, and a few before every window."""

    @jax.jit
    def renewed(step, state, params):
        key = jax.random.fold_in(jax.random.key(config.seed), step)
        fresh = start(config, cell, params, key)
        stay = jax.random.bernoulli(key, jnp.where(step % epoch, 1.0 - config.reset, 0.0), (config.batch,))
        return jax.tree.map(lambda s, f: jnp.where(stay.reshape(-1, *[1] * (s.ndim - 1)), s, f), state, fresh)

    return lambda step, training: training._replace(state=renewed(step, training.state, training.params))


def start(config: Config, cell: rnnjax.Cell, params, key):
    """The state of training before the first step: with dropout on."""
    fresh = cell.start(params)
    return rnnjax.seed(fresh, key, config.batch) if config.dropout else fresh


def held_out(ids, streams: int, length: int = 128):
    """`ids` as parallel streams, each symbol but a stream's first once a target: time-leading (inputs, targets)."""
    table = ids[: len(ids) // streams * streams].reshape(streams, -1).T
    for at in range(0, len(table) - 1, length):
        piece = table[at : at + length + 1]
        yield piece[:-1], piece[1:]


def describe(config: Config) -> dict:
    """The config as plain data."""
    return asdict(config) | {"text": config.text and str(Path(config.text).absolute())}
