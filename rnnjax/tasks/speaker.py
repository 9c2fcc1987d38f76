"""A translator from letters to phones, asked for words."""

import functools

import jax
import numpy as np

from rnnjax.data import PHONES
from rnnjax.tasks.spelled import chunks, spelled, together
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

    def looked(self, params, word: str) -> tuple[np.ndarray, list[str], list[str]]:
        """Where the decoder looks as it says a word greedily: weights, the letters read, and the phones said."""
        (way,) = self.say(params, [word])
        weights = self.network.looked(params, np.array(spelled(word)), np.array([PHONES.index(p) for p in way], int))
        return np.asarray(weights), list(word), [*way, "↵"]
