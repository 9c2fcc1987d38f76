"""Vocabularies: text to integers and back, by character, by word or by byte."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnnjax.types import Ids, Integers

UNKNOWN, BYTES = {"char": "\ufffd", "word": "<unk>"}, tuple(map(chr, range(256)))
TOKEN = re.compile(r"<unk>|\n|\w+(?:[-'’]\w+)*|[^\w\s]")
NEEDLESS_SPACE = re.compile(r" (?=[,.;:?!\])}\n])|(?<=[(\[{\n]) ")


@dataclass(frozen=True, repr=False)
class Vocabulary:
    """The symbols of a text; a symbol's id is its place in `symbols`.

    `unit` is "char", "word" or "byte". With characters and words, id 0 stands for every symbol not listed (U+FFFD and
    `<unk>`). Words are words, single punctuation marks and newlines, without other space: decoding spaces them as in
    print, and encoding that gives the same ids. Bytes are those of UTF-8, listed as the characters U+0000 to U+00FF;
    decoding shows U+FFFD where they form no character. Raises ValueError for another `unit` or symbols unfit for it.

        >>> v = characters("banana")
        >>> v, len(v), v.symbols
        (Vocabulary('char', 4 symbols), 4, ('�', 'a', 'n', 'b'))
        >>> v.encode("nab!"), v.decode([3, 1, 2])
        (array([2, 1, 3, 0], dtype=int32), 'ban')
        >>> Vocabulary.from_json(v.to_json()) == v
        True
    """

    unit: str
    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.unit not in ("char", "word", "byte"):
            raise ValueError(f"Vocabulary: unit must be 'char', 'word' or 'byte', but unit is {self.unit!r}. Use one.")
        begins = self.symbols == BYTES if self.unit == "byte" else self.symbols[:1] == (UNKNOWN[self.unit],)
        single = self.unit == "word" or all(len(symbol) == 1 for symbol in self.symbols)
        if not (begins and single and len(set(self.symbols)) == len(self)):
            rule = f"symbols must be a tuple of different {self.unit}s, any unknown one first"
            raise ValueError(f"Vocabulary: {rule}, but symbols is not. Build it with characters, words or byte_level.")

    def __len__(self) -> int:
        return len(self.symbols)

    def __repr__(self) -> str:
        return f"Vocabulary({self.unit!r}, {len(self)} symbols)"

    @cached_property
    def _ids(self):
        if self.unit == "word":
            return {symbol: i for i, symbol in enumerate(self.symbols)}
        table = np.zeros(0x110000, np.int32)
        table[_code_points("".join(self.symbols))] = np.arange(len(self))
        return table

    def encode(self, text: str) -> Ids:
        """The ids of `text`, int32. Raises TypeError if `text` is not a str."""
        _require_str("encode", text)
        if self.unit == "char":
            return self._ids[_code_points(text)]
        if self.unit == "word":
            return np.array([self._ids.get(token, 0) for token in TOKEN.findall(text)], np.int32)
        return np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int32)

    def decode(self, ids: Integers) -> str:
        """The text of `ids`. Raises TypeError for other arrays, ValueError for ids out of range."""
        ids = np.asarray(ids)
        if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
            kind = f"{ids.dtype}{list(ids.shape)}"
            raise TypeError(f"decode: ids must be one sequence of integers, but ids is {kind}. Decode one at a time.")
        for at in np.flatnonzero((ids < 0) | (ids >= len(self)))[:1]:
            rule = f"ids must be from 0 to {len(self) - 1}"
            raise ValueError(f"decode: {rule}, but ids[{at}] is {ids[at]}. Use the vocabulary that encoded them.")
        if self.unit == "byte":
            return bytes(ids.tolist()).decode("utf-8", "replace")
        symbols = [self.symbols[i] for i in ids.tolist()]
        return "".join(symbols) if self.unit == "char" else NEEDLESS_SPACE.sub("", " ".join(symbols))

    def to_json(self) -> str:
        """This vocabulary as JSON text, all ASCII."""
        return json.dumps({"unit": self.unit, "symbols": self.symbols})

    @staticmethod
    def from_json(text: str) -> "Vocabulary":
        """The vocabulary that `to_json` wrote. Raises ValueError for any other text."""
        try:
            fields = json.loads(text)
            return Vocabulary(fields["unit"], tuple(map(str, fields["symbols"])))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            given = repr(text)[:40]
            raise ValueError(f"from_json: text must come from to_json, but text is {given}. Save it again.") from error


def characters(text: str, *, size: int | None = None) -> Vocabulary:
    """The characters of `text`, the most frequent first (ties by code point), after U+FFFD for unknown ones.

    `size` caps the whole vocabulary. Raises TypeError if `text` is not a str, ValueError if it is empty or `size` < 2.

        >>> characters("hello 세계", size=3).symbols
        ('�', 'l', ' ')
    """
    _require_str("characters", text)
    return _by_frequency("char", Counter(text), size)


def words(text: str, *, size: int | None = 10_000) -> Vocabulary:
    """The words, punctuation marks and newlines of `text`, the most frequent first, after `<unk>` for unknown ones.

    A word keeps its inner apostrophes and hyphens; scripts with combining marks (Devanagari, Thai) fall apart at these,
    and are better read by characters. `size` and errors as in `characters`; None does not cap.

        >>> v = words("No man is an island, entire of itself; every man is a piece of the continent.")
        >>> v.decode(v.encode("Every man is   (of itself) an island."))
        '<unk> man is <unk> of itself <unk> an island.'
    """
    _require_str("words", text)
    return _by_frequency("word", Counter(TOKEN.findall(text)), size)


def byte_level() -> Vocabulary:
    """The 256 bytes of UTF-8: nothing is unknown.

    >>> byte_level().encode("봄")
    array([235, 180, 132], dtype=int32)
    """
    return Vocabulary("byte", BYTES)


def _by_frequency(unit, counts, size):
    counts.pop(UNKNOWN[unit], None)
    if not counts:
        raise ValueError(f"Vocabulary: text must hold a {unit}, but text holds none. Give the training text.")
    if size is not None and size < 2:
        raise ValueError(f"Vocabulary: size must hold unknown and one {unit}, but size is {size}. Use 2 or more.")
    return Vocabulary(unit, (UNKNOWN[unit], *sorted(counts, key=lambda symbol: (-counts[symbol], symbol)))[:size])


def _code_points(text):
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _require_str(where, text):
    if not isinstance(text, str):
        raise TypeError(f"{where}: text must be a str, but text is {type(text).__name__}. Decode or join it first.")
