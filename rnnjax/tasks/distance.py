"""How far what was said is from what should have been: edits, and error rates."""

from collections.abc import Iterable, Sequence


def edit_distance(one: Sequence, other: Sequence) -> int:
    """The least number of symbols to insert, delete or replace that makes one sequence of another.

        >>> edit_distance("kitten", "sitting")
        3

    Levenshtein 1966; the table of Wagner & Fischer 1974, https://doi.org/10.1145/321796.321811, row by row
    """
    row = list(range(len(other) + 1))
    for i, symbol in enumerate(one, 1):
        corner, row[0] = row[0], i
        for j, target in enumerate(other, 1):
            corner, row[j] = row[j], min(corner + (symbol != target), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def error_rates(said: Iterable[Sequence], references: Iterable[Iterable[Sequence]]) -> tuple[float, float]:
    """The shares of sequences and of symbols that are wrong, where each may be any of its references.

    A sequence is right if it equals one of them. The symbols' errors are all edit distances to the nearest reference
    (the first of equally near ones), over the length of these references: it may be more than 1.

        >>> error_rates(["abc", "b"], [["abd", "abbb"], ["b"]])
        (0.5, 0.25)
    """
    nearest = [
        min(((edit_distance(one, other), len(other)) for other in others), key=lambda found: found[0])
        for one, others in zip(said, references, strict=True)
    ]
    edits, lengths = zip(*nearest)
    return sum(map(bool, edits)) / len(edits), sum(edits) / sum(lengths)
