"""The classical model of text: an n-gram with interpolated modified Kneser-Ney smoothing, to hold networks against."""

from typing import NamedTuple

import numpy as np


class Level(NamedTuple):
    """The n-grams of one order. A missing n-gram or history is -1, and reads the last entry of `kept` and `rest`.

    - `grams`: sorted int64 (G,), each the number of its history among the grams of the order below * V + its symbol.
    - `kept`: (G + 1,), the discounted probability of the symbol after its history; 0 if missing.
    - `rest`: (H + 1,), what a history hands down to the order below; 1 if missing.
    """

    grams: np.ndarray
    kept: np.ndarray
    rest: np.ndarray


class KneserNey(NamedTuple):
    """A fitted model: the size of its vocabulary, and its levels from order 1 up."""

    vocabulary_size: int
    levels: tuple[Level, ...]

    def __repr__(self):
        return f"KneserNey(order {len(self.levels)}, {self.vocabulary_size} symbols)"


def kneser_ney(train_ids, vocabulary_size: int, order: int = 5) -> KneserNey:
    """Fit interpolated modified Kneser-Ney smoothing of n-grams up to `order` to integers `train_ids` (N,).

        p(w | h) = (c(hw) - D(c(hw))) / c(h·)  +  p(w | h without its first symbol) Σ_v D(c(hv)) / c(h·)

    c counts occurrences at the highest order; below, the different symbols seen to the left of the n-gram. Order 1
    interpolates with 1 / vocabulary_size. An unseen history hands all on. Each order has D(0) = 0 and, from the number
    n_r of its n-grams with count r, with Y = n_1 / (n_1 + 2 n_2),

        D(1) = 1 - 2 Y n_2 / n_1,   D(2) = 2 - 3 Y n_3 / n_2,   D(3 and more) = 3 - 4 Y n_4 / n_3

    or 0.5, 1 and 1.5 where one of these four n_r is 0 or a discount is not positive.

    Raises TypeError if `train_ids` is not one sequence of integers, ValueError if it is shorter than `order`, holds ids
    outside 0..vocabulary_size - 1, or if `order` is below 1.

    Example:
        >>> model = kneser_ney([0, 1, 0, 1, 0, 2], vocabulary_size=4, order=2)
        >>> model
        KneserNey(order 2, 4 symbols)
        >>> probabilities(model, [0]).round(3)
        array([0.146, 0.479, 0.312, 0.062])
        >>> round(bits(model, [0, 1, 0, 1]), 3)
        1.133

    Chen & Goodman 1999, An empirical study of smoothing techniques for language modeling,
    https://doi.org/10.1006/csla.1999.0128
    """
    ids = _checked("kneser_ney", "train_ids", train_ids, vocabulary_size)
    if not 1 <= order <= len(ids):
        raise ValueError(
            f"kneser_ney: order must be from 1 to the {len(ids)} symbols of train_ids, but order is {order}. "
            "Use another order or a longer text."
        )
    history, seen = np.zeros(len(ids), np.int64), []
    for _ in range(order):
        grams, gram, counts = np.unique(history * vocabulary_size + ids, return_inverse=True, return_counts=True)
        seen.append((grams, gram, counts))
        history, ids = gram[:-1], ids[1:]

    levels, histories = [], 1
    for k, (grams, gram, counts) in enumerate(seen):
        if k + 1 < order:
            longer, extended, _ = seen[k + 1]
            suffix = np.empty(len(longer), np.int64)
            suffix[extended] = gram[1:]
            counts = np.bincount(suffix, minlength=len(grams))
        levels.append(_level(grams, counts, grams // vocabulary_size, histories))
        histories = len(grams)
    return KneserNey(vocabulary_size, tuple(levels))


def bits(model: KneserNey, ids) -> float:
    """The mean of -log2 p over `ids` (N,), in bits a symbol, each given all before it in `ids` that the order can see.

    Raises TypeError if `ids` is not one sequence of integers, ValueError if it is empty or holds ids out of range.
    """
    return float(-np.log2(_score(model, _checked("bits", "ids", ids, model.vocabulary_size))).mean())


def probabilities(model: KneserNey, context) -> np.ndarray:
    """The distribution (V,) of the symbol after `context`, a sequence of ids that may be empty. Errors as in `bits`."""
    V, reach = model.vocabulary_size, len(model.levels) - 1
    context = _checked("probabilities", "context", context, V, least=0)[max(0, len(context) - reach) :]
    return _score(model, np.column_stack([np.tile(context, (V, 1)), np.arange(V)]))[:, -1]


def _level(grams, counts, history, histories):
    discount = _discounts(counts)[np.minimum(counts, 3)]
    total = np.bincount(history, counts, histories)
    handed = np.bincount(history, discount, histories)
    positive = np.maximum(total, 1)
    kept = (counts - discount) / positive[history]
    rest = np.where(total > 0, handed / positive, 1)
    return Level(grams, np.append(kept, 0), np.append(rest, 1))


def _discounts(counts):
    n1, n2, n3, n4 = np.bincount(counts[counts < 5], minlength=5)[1:].tolist()
    if n1 * n2 * n3 * n4 > 0:
        Y = n1 / (n1 + 2 * n2)
        D = np.array([0, 1 - 2 * Y * n2 / n1, 2 - 3 * Y * n3 / n2, 3 - 4 * Y * n4 / n3])
        if (D[1:] > 0).all():
            return D
    return np.array([0, 0.5, 1, 1.5])


def _score(model, ids):
    """The probability of every id given those before it along the last axis, from order 1 up."""
    p = 1 / model.vocabulary_size
    history = np.zeros_like(ids)
    for grams, kept, rest in model.levels:
        wanted = history * model.vocabulary_size + ids
        place = np.searchsorted(grams, wanted).clip(max=len(grams) - 1)
        gram = np.where(grams[place] == wanted, place, -1)
        p = kept[gram] + rest[history] * p
        history = np.concatenate([np.full_like(gram[..., :1], -1), gram[..., :-1]], axis=-1)
    return p


def _checked(where, name, ids, vocabulary_size, least=1):
    ids = np.asarray(ids)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise TypeError(
            f"{where}: {name} must be one sequence of integers, but {name} is {ids.dtype}{list(ids.shape)}. "
            "Encode the text with a Vocabulary."
        )
    if len(ids) < least:
        raise ValueError(f"{where}: {name} must hold a symbol, but {name} is empty. Give a longer text.")
    for at in np.flatnonzero((ids < 0) | (ids >= vocabulary_size))[:1]:
        raise ValueError(
            f"{where}: ids must be from 0 to {vocabulary_size - 1}, but {name}[{at}] is {ids[at]}. "
            "Use the vocabulary of the training text."
        )
    return ids.astype(np.int64)
