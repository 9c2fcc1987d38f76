"""Vocabularies: text to integers and back, by character, jamo, word, token or byte."""

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnnjax.data.units import SINGLE, UNITS
from rnnjax.types import Ids, Integers

BYTES = tuple(map(chr, range(256)))


@dataclass(frozen=True, repr=False)
class Vocabulary:
    """The symbols of a text; a symbol's id is its place in `symbols`.

    `unit` is "char", "jamo", "word", "token" or "byte". But with bytes, id 0 stands for every symbol not listed
    (U+FFFD or `<unk>`). Jamo are the characters of `rnnjax.data.jamo(text)`; decoding joins them to syllables. Words
    are words, single punctuation marks and newlines, without other space: decoding spaces them as in print, and
    encoding that gives the same ids. Tokens are what stands between spaces, and newlines. Bytes are those of UTF-8,
    listed as the characters U+0000 to U+00FF; decoding shows U+FFFD where they form no character. Raises ValueError
    for another `unit` or symbols unfit for it.

        >>> from rnnjax.data import characters
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
        if self.unit not in (*UNITS, "byte"):
            choices = ", ".join(map(repr, UNITS))
            raise ValueError(f"Vocabulary: unit must be {choices} or 'byte', but unit is {self.unit!r}. Use one.")
        begins = self.symbols == BYTES if self.unit == "byte" else self.symbols[:1] == (UNITS[self.unit].unknown,)
        single = self.unit not in SINGLE or all(len(symbol) == 1 for symbol in self.symbols)
        if not (begins and single and len(set(self.symbols)) == len(self)):
            rule = f"symbols must be a tuple of different {self.unit}s, any unknown one first"
            raise ValueError(f"Vocabulary: {rule}, but symbols is not. Build it with characters, words or byte_level.")

    def __len__(self) -> int:
        return len(self.symbols)

    def __repr__(self) -> str:
        return f"Vocabulary({self.unit!r}, {len(self)} symbols)"

    @cached_property
    def _ids(self):
        if self.unit not in SINGLE:
            return {symbol: i for i, symbol in enumerate(self.symbols)}
        table = np.zeros(0x110000, np.int32)
        table[code_points("".join(self.symbols))] = np.arange(len(self))
        return table

    def encode(self, text: str) -> Ids:
        """The ids of `text`, int32. Raises TypeError if `text` is not a str."""
        require_str("encode", text)
        if self.unit == "byte":
            return np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int32)
        symbols = UNITS[self.unit].split(text)
        if self.unit in SINGLE:
            return self._ids[code_points(symbols)]
        return np.array([self._ids.get(symbol, 0) for symbol in symbols], np.int32)

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
        return UNITS[self.unit].join([self.symbols[i] for i in ids.tolist()])

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


def code_points(text):
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def require_str(where, text):
    if not isinstance(text, str):
        raise TypeError(f"{where}: text must be a str, but text is {type(text).__name__}. Decode or join it first.")
