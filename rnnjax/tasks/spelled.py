"""Spelled words and their phones as arrays of symbols, in batches of few shapes."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rnnjax.data import PHONES, Pronounced, pad

LETTERS = "'abcdefghijklmnopqrstuvwxyz"
SHAPES = 7, 9, 13, 28  # a shape costs a compilation and saves padding: for few words the last will do
FEW = 5000


class Pairs(NamedTuple):
    """N words, and a way to say each: places in `LETTERS` and in `PHONES`.

    - `letters`, `phones`: int32 (N, L), zero after each end; there is room for an end after all phones.
    - `lengths`, `ends`: int32 (N,), how many letters and phones there are.
    """

    letters: np.ndarray
    phones: np.ndarray
    lengths: np.ndarray
    ends: np.ndarray

    def cut(self, rows: np.ndarray, size: int) -> "Pairs":
        """The pairs of some rows, in smaller arrays. Row -1 is empty: `ends` is -1 there, for it lacks even an end."""
        lengths, ends = (np.where(rows < 0, none, n[rows]) for none, n in ((0, self.lengths), (-1, self.ends)))
        return Pairs(self.letters[rows, :size], self.phones[rows, : size - 1], lengths, ends)


def spelled(word: str) -> list[int]:
    """The places of a word's letters in `LETTERS`."""
    return [LETTERS.index(letter) for letter in word]


def paired(words: list[Pronounced]) -> Pairs:
    """Words as arrays, each as often as there are ways to say it."""
    pairs = [(spelled(p.word), [PHONES.index(phone) for phone in way]) for p in words for way in p.ways]
    both, lengths = together([symbols for pair in pairs for symbols in pair], room=1)
    return Pairs(both[::2], both[1::2], lengths[::2], lengths[1::2])


def together(sequences: list[list[int]], *, room: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sequences in one array int32 (N, L), where L is the last shape, or more if one needs more; and their lengths."""
    longest = max(SHAPES[-1], max(map(len, sequences)) + room)
    rows, lengths = pad([np.array(symbols, np.int32) for symbols in sequences], longest)
    return np.ascontiguousarray(rows.T), lengths


def chunks(lengths: np.ndarray, batch: int, order: np.ndarray) -> list[tuple[int | None, np.ndarray]]:
    """All rows in groups of `batch` that one shape holds: (size, rows); None is all. Groups are filled up with -1."""
    shapes = SHAPES[:-1] if len(lengths) > FEW else ()
    place, found = np.searchsorted(shapes, lengths), []
    for k, size in enumerate((*shapes, None)):
        rows = order[place[order] == k]
        rows = np.append(rows, np.full(-len(rows) % batch, -1)).reshape(-1, batch)
        found += [(size, some) for some in rows]
    return found


def batches_of(pairs: Pairs, batch: int, seed: int) -> Callable[[int], Pairs]:
    """`step -> Pairs` of `batch` rows: every pair once an epoch, in an order drawn from the seed and the epoch."""
    lengths = np.maximum(pairs.lengths, pairs.ends + 1)

    @functools.lru_cache(2)
    def plan(epoch):
        draw = np.random.default_rng([seed, epoch])
        found = chunks(lengths, batch, draw.permutation(len(lengths)))
        return [found[i] for i in draw.permutation(len(found))]

    count = len(plan(0))

    def at(step):
        size, rows = plan(step // count)[step % count]
        return pairs.cut(rows, pairs.letters.shape[1] if size is None else size)

    return at
