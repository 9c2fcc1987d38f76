"""Reading a word letter by letter, each as it was mostly read in training: the simple models of pronunciation.

Each letter of a training word is aligned with a chunk of 0, 1 or 2 of its phones, at first by relative place, then a
few times by the likeliest path under the shares that the last paths have found: EM with Viterbi's maximum for its mean.
A chunk is one number, first * BASE + second, where BLANK stands for no phone.
"""

from collections.abc import Callable

import numpy as np

from rnnjax.data import PHONES
from rnnjax.tasks.spelled import LETTERS, Pairs

BLANK, BASE = len(PHONES), len(PHONES) + 1
ROUNDS, ENOUGH, AROUND = 4, 60_000, 4  # of EM, words for it, and neighbours on each side


def read_aloud(pairs: Pairs) -> dict[str, Callable]:
    """{label: words -> what is said of each, tuples of phones}: by each letter alone, and by those beside it too."""
    letters, sizes = aligned(pairs)
    chunks = chunked(pairs.phones, sizes)
    labels = {0: "each letter's commonest phones", AROUND: f"the same, of a letter with {AROUND} or fewer on each side"}
    return {label: reader(letters, chunks, around) for around, label in labels.items()}


def aligned(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Letters (N, L), and how many phones each has; both are -1 after a word's end, and all over one with too many."""
    some = Pairs(*(a[:: -(-len(a) // ENOUGH)] for a in pairs))
    real = readable(some)
    stops = np.arange(1, real.shape[1] + 1) * some.ends[:, None] // some.lengths[:, None]
    sizes = np.where(real, np.diff(stops, axis=1, prepend=0), -1)
    logp = np.zeros(())
    for _ in range(ROUNDS):
        counts = np.full((len(LETTERS), BASE**2), 0.01, np.float32)
        np.add.at(counts, (some.letters[real], chunked(some.phones, sizes)[real]), 1)
        logp = np.log(counts / counts.sum(1, keepdims=True))
        sizes = np.where(real, paths(some, logp), -1)
    real = readable(pairs)
    return np.where(real, pairs.letters, -1), np.where(real, paths(pairs, logp), -1)


def readable(pairs: Pairs) -> np.ndarray:
    """Where there is a letter (N, L), of a word with no more than two phones for each."""
    there = np.arange(pairs.letters.shape[1]) < pairs.lengths[:, None]
    return there & (pairs.ends <= 2 * pairs.lengths)[:, None]


def ending(phones: np.ndarray) -> list[np.ndarray]:
    """The chunk of 0, 1 and 2 phones that ends before each place: three of (N, L + 1)."""
    padded = np.pad(phones, ((0, 0), (2, 0)), constant_values=BLANK)
    first, second = padded[:, :-1], padded[:, 1:]
    return [np.full_like(first, BLANK * BASE + BLANK), second * BASE + BLANK, first * BASE + second]


def chunked(phones: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The chunk (N, L) at each letter."""
    stops = np.cumsum(np.maximum(sizes, 0), axis=1)
    return np.choose(np.maximum(sizes, 0), [np.take_along_axis(chunks, stops, 1) for chunks in ending(phones)])


def paths(pairs: Pairs, logp: np.ndarray) -> np.ndarray:
    """The likeliest number of phones at each letter (N, L), by Viterbi's recursion, for all words at once."""
    N, L = pairs.letters.shape
    chunks, best, choices = ending(pairs.phones), np.full((N, L + 1), -np.inf, np.float32), []
    best[:, 0] = 0
    for letter in pairs.letters.T:
        ways = [np.pad(best, ((0, 0), (c, 0)), constant_values=-np.inf)[:, : L + 1] for c in range(3)]
        ways = [way + logp.ravel()[letter[:, None] * BASE**2 + chunk] for way, chunk in zip(ways, chunks)]
        choices.append(np.argmax(ways, axis=0).astype(np.int8))
        best = np.max(ways, axis=0)
    sizes, left = np.zeros((N, L), int), pairs.ends.copy()
    for i in reversed(range(L)):
        sizes[:, i] = np.where(i < pairs.lengths, choices[i][np.arange(N), left], 0)
        left -= sizes[:, i]
    return sizes


def reader(letters: np.ndarray, chunks: np.ndarray, around: int) -> Callable:
    """`words -> what is said of each`: the commonest chunk of every letter between the most neighbours known to it."""
    tables = [commonest(neighbours(letters, k)[letters >= 0], chunks[letters >= 0]) for k in range(around + 1)]

    def say(words):
        spelled = np.full((len(words), max(map(len, words))), -1)
        for row, word in zip(spelled, words):
            row[: len(word)] = [LETTERS.index(letter) for letter in word]
        said = np.full_like(spelled, BLANK * BASE + BLANK)
        for k, (known, chunk) in enumerate(tables):
            wanted = neighbours(spelled, k)
            at = np.searchsorted(known, wanted).clip(max=len(known) - 1)
            said = np.where((known[at] == wanted) & (spelled >= 0), chunk[at], said)
        pairs = np.stack(np.divmod(said, BASE), axis=-1).reshape(len(words), -1)
        return [tuple(PHONES[phone] for phone in row if phone != BLANK) for row in pairs]

    return say


def neighbours(letters: np.ndarray, around: int) -> np.ndarray:
    """Each letter and `around` on each side of it as one number (N, L)."""
    padded = np.pad(letters + 1, ((0, 0), (around, around))).astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * around + 1, axis=1)
    return windows @ (len(LETTERS) + 1) ** np.arange(2 * around + 1)


def commonest(keys: np.ndarray, chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The keys there are, sorted, and the commonest chunk of each."""
    both, counts = np.unique(keys * BASE**2 + chunks, return_counts=True)
    keys, chunks = np.divmod(both, BASE**2)
    order = np.lexsort((counts, keys))
    last = np.append(np.diff(keys[order]) > 0, True)
    return keys[order][last], chunks[order][last]
