"""What a text is read as: the ways to take it apart into symbols and to put symbols together again."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rnnjax.data.jamo import jamo, syllables

WORD = re.compile(r"<unk>|\n|\w+(?:[-'’]\w+)*|[^\w\s]")
TOKEN = re.compile(r"\n|[^ \n]+")
NEEDLESS_SPACE = re.compile(r" (?=[,.;:?!\])}\n])|(?<=[(\[{\n]) ")


class Unit(NamedTuple):
    """`split` gives a text's symbols, a str where each is one character; `join` makes text of a list of symbols.

    `unknown` is what is shown for a symbol that is not listed.
    """

    unknown: str
    split: Callable[[str], Sequence[str]]
    join: Callable[[list[str]], str]


UNITS = {
    "char": Unit("\ufffd", str, "".join),
    "jamo": Unit("\ufffd", jamo, lambda symbols: syllables("".join(symbols))),
    "word": Unit("<unk>", WORD.findall, lambda symbols: NEEDLESS_SPACE.sub("", " ".join(symbols))),
    "token": Unit("<unk>", TOKEN.findall, lambda symbols: re.sub(" ?\n ?", "\n", " ".join(symbols))),
}
SINGLE = "char", "jamo", "byte"
