"""A text as symbols to learn."""

import hashlib
from typing import NamedTuple

import numpy as np

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


def held_out(ids, streams: int, length: int = 128):
    """`ids` as parallel streams, each symbol but a stream's first once a target: time-leading (inputs, targets)."""
    table = ids[: len(ids) // streams * streams].reshape(streams, -1).T
    for at in range(0, len(table) - 1, length):
        piece = table[at : at + length + 1]
        yield piece[:-1], piece[1:]
