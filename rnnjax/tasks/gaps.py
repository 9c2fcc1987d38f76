"""A missing word: what sees only the words beside it, and windows in which each word of a text is missing once."""

from collections.abc import Iterator

import numpy as np

import rnnjax
from rnnjax.tasks.ngram import kneser_ney, probabilities


@rnnjax.interned
def unread(cell: rnnjax.Cell) -> rnnjax.Cell:
    """A cell that gives its h from before it reads x, not after: y at step t knows the steps before t, and never x.

    The cell's state must be h, as of `gru` and `rnn`, or have it, as of `lstm`. Its params and state are the same.

        >>> cell = unread(rnnjax.rnn(3, 2))
        >>> params = cell.init(jax.random.key(0))
        >>> _, ys = rnnjax.scan(cell).step(params, cell.start(params), jnp.ones((4, 3)))
        >>> print(ys[0])
        [0. 0.]
    """

    def step(params, state, x):
        after, _ = cell.step(params, state, x)
        return after, getattr(state, "h", state)

    return rnnjax.Cell(cell.init, cell.start, step)


def beside(cell, n: int, m: int, *, sees: str) -> rnnjax.Cell:
    """What stands beside each step, (T, 2 m): read from both ends by two cells of m, or from the left by one of 2 m."""
    if sees == "left":
        return rnnjax.scan(unread(cell(n, 2 * m)))
    return rnnjax.bidirectional(unread(cell(n, m)), unread(cell(n, m)))


def overlapping(ids, window: int, batch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Windows of `ids` (B, window) and which of their words are judged, each word of `ids` once.

    Windows begin half a window apart, and a word is judged where a quarter or more of the window stands on both sides
    of it, except at both ends of `ids`. The last batch is filled up with windows of which nothing is judged.

        >>> for words, judged in overlapping(np.arange(8), window=4, batch=2):
        ...     print(words.tolist(), [row[chosen].tolist() for row, chosen in zip(words, judged)])
        [[0, 1, 2, 3], [2, 3, 4, 5]] [[0, 1, 2], [3, 4]]
        [[4, 5, 6, 7], [0, 1, 2, 3]] [[5, 6, 7], []]
    """
    starts = [*range(0, len(ids) - window, window // 2), len(ids) - window]
    ends = [*(start + 3 * window // 4 for start in starts[:-1]), len(ids)]
    spare = -len(starts) % batch
    places = np.array(starts + spare * [0])[:, None] + np.arange(window)
    begins, ends = np.array([0, *ends[:-1]] + spare * [0]), np.array(ends + spare * [0])
    judged = (places >= begins[:, None]) & (places < ends[:, None])
    for at in range(0, len(places), batch):
        yield ids[places[at : at + batch]], judged[at : at + batch]


def gap_of_bigrams(train, symbols: int, ids) -> float:
    """The perplexity of the inner words of `ids`, each from both neighbours, under a Kneser-Ney bigram model.

    p(w | left, right) = p(w | left) p(right | w) / Σ_v p(v | left) p(right | v)
    """
    model = kneser_ney(train, symbols, order=2)
    after = np.stack([np.float32(probabilities(model, [left])) for left in range(symbols)])
    before, nats = after.T.copy(), 0.0
    for at in range(0, len(ids) - 2, 512):
        words = ids[at : at + 514]
        left, word, right = words[:-2], words[1:-1], words[2:]
        both = np.einsum("nv,nv->n", after[left], before[right])
        nats -= np.log(after[left, word] * after[word, right] / both).sum(dtype=float)
    return float(np.exp(nats / (len(ids) - 2)))
