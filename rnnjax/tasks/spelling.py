"""How far written texts are from those wanted."""

import numpy as np


def edits(said, wanted) -> int:
    """The least number of symbols to insert, delete or replace in one sequence to make it the other.

    Levenshtein 1966.

        >>> edits("sitting", "kitten"), edits("", "봄"), edits([1, 2], [1, 2])
        (3, 1, 0)
    """
    before = list(range(len(wanted) + 1))
    for i, symbol in enumerate(said, 1):
        after = [i]
        for j, other in enumerate(wanted, 1):
            after.append(min(before[j] + 1, after[-1] + 1, before[j - 1] + (symbol != other)))
        before = after
    return before[-1]


def spelled(said, wanted) -> dict[str, float]:
    """The share of texts that are exactly as wanted, and edits a wanted character.

    >>> spelled(["one", "to"], ["one", "two"])
    {'share right': 0.5, 'character error rate': 0.16666666666666666}
    """
    right = np.mean([one == other for one, other in zip(said, wanted, strict=True)])
    wrong = sum(edits(one, other) for one, other in zip(said, wanted) if one != other)
    return {"share right": float(right), "character error rate": wrong / sum(map(len, wanted))}
