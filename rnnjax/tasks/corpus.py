"""A text as symbols to learn."""

import hashlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rnnjax.data import Vocabulary, bible, split
from rnnjax.data.mapped import mapped
from rnnjax.data.pieces import apart, between, pieces
from rnnjax.data.symbols import most_frequent
from rnnjax.tasks.config import Config

SHORT = 2**25
HELD = 1_000_000


class Corpus(NamedTuple):
    """A text as symbols: ids of its training, validation and test parts, and how many characters each part holds.

    `train` is of the smallest unsigned integers that hold the vocabulary, and of a long text a memory map.
    """

    vocabulary: Vocabulary
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    characters: dict[str, int]
    digest: str


def corpus(config: Config) -> Corpus:
    """The text split 90 / 5 / 5 %, in order, with a vocabulary of its training part.

    It is read in pieces, and encoded once. Of more than 2**25 characters, the ids are kept in a file of the cache (see
    `rnnjax.data.mapped`) for whoever reads the same text in the same way again, and no more than a million characters
    each are held out for validation and test.
    """
    text = (lambda: [bible()]) if config.text is None else partial(pieces, config.text)
    begun = seen(config.text)
    digest, length = summed(text())
    share = min(0.05, HELD / length)
    parts = dict(zip(("train", "valid", "test"), split(range(length), valid=share, test=share)))

    def of(part):
        return apart(config.unit, between(text(), parts[part].start, parts[part].stop))

    vocabulary = most_frequent(config.unit, of("train"), config.vocabulary)
    key, ids = hashlib.sha256(f"{digest} {vocabulary.to_json()}".encode()).hexdigest(), {}
    for part, where in parts.items():
        make, dtype = partial(map, vocabulary.encode, of(part)), np.min_scalar_type(len(vocabulary) - 1)
        name = f"{key}-{where.start}-{where.stop}"
        ids[part] = mapped("train", name, dtype, make) if length > SHORT else joined(make(), dtype)
        if len(ids[part]) < 2:
            raise ValueError(
                f"train: each part of the text must hold 2 {config.unit}s, but {part} holds {len(ids[part])}, of a "
                f"text of {length} characters. Give a longer text."
            )
    if seen(config.text) != begun:
        raise ValueError(f"train: the text must stay as it is while it is read, but {config.text} changed. Try again.")
    ids |= {part: ids[part].astype(np.int32) for part in ("valid", "test")}
    return Corpus(vocabulary, **ids, characters={part: len(where) for part, where in parts.items()}, digest=digest)


def seen(path: str | None) -> tuple | None:
    """How a file is now, to be compared with how it is later."""
    if path is None or not Path(path).exists():
        return None
    now = Path(path).stat()
    return now.st_ino, now.st_size, now.st_mtime_ns


def summed(text: Iterable[str]) -> tuple[str, int]:
    """The SHA-256 of a text in pieces, and its length."""
    found, length = hashlib.sha256(), 0
    for piece in text:
        found.update(piece.encode())
        length += len(piece)
    return found.hexdigest(), length


def joined(made: Iterable[np.ndarray], dtype) -> np.ndarray:
    """All ids in one array."""
    found = [ids.astype(dtype) for ids in made]
    return np.concatenate(found) if found else np.zeros(0, dtype)


def held_out(ids, streams: int, length: int = 128):
    """`ids` as parallel streams, each symbol but a stream's first once a target: time-leading (inputs, targets)."""
    table = ids[: len(ids) // streams * streams].reshape(streams, -1).T
    for at in range(0, len(table) - 1, length):
        piece = table[at : at + length + 1]
        yield piece[:-1], piece[1:]
