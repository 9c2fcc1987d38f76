"""The vocabulary of a text, with the most frequent symbols first."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from rnnjax.data.units import SINGLE, UNITS
from rnnjax.data.vocabulary import BYTES, Vocabulary, code_points, require_str


def characters(text: str, *, size: int | None = None) -> Vocabulary:
    """The characters of `text`, the most frequent first (ties by code point), after U+FFFD for unknown ones.

    `size` caps the whole vocabulary. Raises TypeError if `text` is not a str, ValueError if it is empty or `size` < 2.

        >>> characters("hello 세계", size=3).symbols
        ('�', 'l', ' ')
    """
    require_str("characters", text)
    return most_frequent("char", [text], size)


def jamo_level(text: str, *, size: int | None = None) -> Vocabulary:
    """The characters of `text` with Hangul syllables as their jamo: 67 letters in place of 11 172 syllables.

    Otherwise as `characters`.

        >>> v = jamo_level("한글은 쉽다")
        >>> len(v), v.decode(v.encode("한글은 쉽다"))
        (13, '한글은 쉽다')
    """
    require_str("jamo_level", text)
    return most_frequent("jamo", [text], size)


def words(text: str, *, size: int | None = 10_000) -> Vocabulary:
    """The words, punctuation marks and newlines of `text`, the most frequent first, after `<unk>` for unknown ones.

    A word keeps its inner apostrophes and hyphens; scripts with combining marks (Devanagari, Thai) fall apart at these,
    and are better read by characters. `size` and errors as in `characters`; None does not cap.

        >>> v = words("No man is an island, entire of itself; every man is a piece of the continent.")
        >>> v.decode(v.encode("Every man is   (of itself) an island."))
        '<unk> man is <unk> of itself <unk> an island.'
    """
    require_str("words", text)
    return most_frequent("word", [text], size)


def tokens(text: str, *, size: int | None = 10_000) -> Vocabulary:
    r"""What stands between spaces in `text`, and newlines: for text whose words were told apart already.

    `size` and errors as in `words`.

        >>> tokens("the u.s. does n't\n").symbols
        ('<unk>', '\n', 'does', "n't", 'the', 'u.s.')
    """
    require_str("tokens", text)
    return most_frequent("token", [text], size)


def byte_level() -> Vocabulary:
    """The 256 bytes of UTF-8: nothing is unknown.

    >>> byte_level().encode("봄")
    array([235, 180, 132], dtype=int32)
    """
    return Vocabulary("byte", BYTES)


def most_frequent(unit: str, text: Iterable[str], size: int | None) -> Vocabulary:
    """The vocabulary of a text in pieces that part no symbol; the rest as in `characters`.

    >>> most_frequent("word", ["To be, or ", "not to be"], 3).symbols
    ('<unk>', 'be', ',')
    """
    if unit == "byte":
        return byte_level()
    counts = (_characters if unit in SINGLE else _words)(unit, text)
    counts.pop(UNITS[unit].unknown, None)
    if not counts:
        raise ValueError(f"Vocabulary: text must hold a {unit}, but text holds none. Give the training text.")
    if size is not None and size < 2:
        raise ValueError(f"Vocabulary: size must hold unknown and one {unit}, but size is {size}. Use 2 or more.")
    return Vocabulary(unit, (UNITS[unit].unknown, *sorted(counts, key=lambda symbol: (-counts[symbol], symbol)))[:size])


def _words(unit, text):
    counts = Counter()
    for piece in text:
        counts.update(UNITS[unit].split(piece))
    return counts


def _characters(unit, text):
    counts = np.zeros(0x110000, np.int64)
    for piece in text:
        found = np.bincount(code_points(UNITS[unit].split(piece)))
        counts[: len(found)] += found
    return {chr(i): int(counts[i]) for i in np.flatnonzero(counts)}
