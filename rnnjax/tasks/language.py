"""A language model of any text: the next character, word or byte, by truncated BPTT with carried state."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import rnnjax
from rnnjax.data import Vocabulary, bible, byte_level, characters, jamo_level, read, split, tokens, words
from rnnjax.tasks.config import Config


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
        build = {"char": characters, "jamo": jamo_level, "word": words, "token": tokens}[config.unit]
        vocabulary = build(train, size=config.vocabulary)
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
        noise, choice = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), step))
        fresh = start(config, cell, params, noise)
        stay = jax.random.bernoulli(choice, jnp.where(step % epoch, 1.0 - config.reset, 0.0), (config.batch,))
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
