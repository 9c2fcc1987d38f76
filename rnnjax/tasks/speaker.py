"""A translator from letters to phones, asked for words."""

import functools

import jax
import numpy as np

from rnnjax.data import PHONES, Pronounced
from rnnjax.tasks.spelled import chunks, paired, spelled, together
from rnnjax.tasks.translator import Translator

LONGEST, AT_ONCE = 32, 256  # phones, and words


class Speaker:
    """A `Translator` with its programs, compiled once for each shape of spelled words."""

    def __init__(self, network: Translator):
        self.network = network
        self.search = jax.jit(functools.partial(network.translated, longest=LONGEST), static_argnames="width")

    def say(self, params, words: list[str], *, width: int = 1) -> list[tuple[str, ...]]:
        """The phones of each word: those of highest probability that a beam of `width` finds."""
        letters, lengths = together([spelled(word) for word in words])
        said = [()] * len(words)
        for size, rows in chunks(lengths, AT_ONCE, np.arange(len(words))):
            found = self.search(params, letters[rows, :size], lengths[rows] * (rows >= 0), width=width)
            best = np.asarray(found.symbols[:, 0]), np.asarray(found.lengths[:, 0])
            for row, symbols, length in zip(rows.tolist(), *best):
                if row >= 0:
                    said[row] = tuple(PHONES[i] for i in symbols[:length])
        return said

    def looked(self, params, words: list[str]) -> list[tuple[np.ndarray, list[str], list[str]]]:
        """Where the decoder looks as it says each word greedily: weights, the letters read, and the phones said."""
        said = self.say(params, words)
        pairs = paired([Pronounced(word, (way,)) for word, way in zip(words, said)])
        weights = np.asarray(self.network.looked(params, pairs.letters, pairs.phones, pairs.lengths))
        return [(w[: len(way) + 1, : len(word)], list(word), [*way, "↵"]) for w, word, way in zip(weights, words, said)]
