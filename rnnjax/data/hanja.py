"""Words in Chinese characters and their Korean reading: one label a character, hanging on its neighbours."""

import lzma
import re
from importlib import resources
from typing import NamedTuple

from rnnjax.data.parts import Parts, fraction, hashed
from rnnjax.data.source import given, text
from rnnjax.types import Location

SHARE = 0.08
ROW = re.compile("([가-힣]{2,}):([\u3400-\u4dbf\u4e00-\u9fff]{2,}):.*")


class Reading(NamedTuple):
    """A word of Hanja `characters`, and its reading in as many Hangul `syllables`."""

    characters: str
    syllables: str


def hanja(path: Location | None = None) -> Parts:
    """Words of 2 or more Hanja with their reading, as three lists of `Reading`s: 90, 5 and 5 %, by the word's hash.

    Args:
        path: libhangul's whole hanja.txt (Debian's libhangul-data has it, /usr/share/libhangul/hanja/hanja.txt);
            without it, the shipped slice, a random 8 % of its words: those whose `fraction("slice " + word)` is
            below 0.08, in the file's order.

    Words with several readings in the file are left out, 3 371 of 234 319. The reading of a character can hang on its
    place and company: 樂 is 악 in 音樂, 락 in 娛樂, 낙 in 樂浪郡, 요 in 樂山. Always taking a character's commonest
    training reading gets 96.4 % of the test's characters right, and 89.6 % of its words (in the shipped slice).

    Raises ValueError if the file is not there or holds no such word.

        >>> train, valid, test = hanja()
        >>> len(train), len(valid), len(test), test[0]
        (16630, 971, 903, Reading(characters='價格變動準備金', syllables='가격변동준비금'))

    From libhangul 0.1.0, copyright 2005-2006 Choe Hwanjin, BSD-3-Clause; the notice heads the shipped file and is
    beside it in hanja-LICENSE.txt. https://github.com/libhangul/libhangul
    """
    if path is None:
        packed = resources.files("rnnjax.data").joinpath("hanja.txt.xz").read_bytes()
        lines = lzma.decompress(packed).decode("utf-16")
    else:
        lines = text("hanja", given("hanja", path))
    readings = single(lines)
    if not readings:
        raise ValueError(f"hanja: the file must hold lines as 음악:音樂:, but {path} has none. Give libhangul's.")
    return hashed(readings, lambda reading: reading.characters)


def single(text: str) -> list[Reading]:
    """The words of hanja.txt that have as many syllables as characters, two or more, and one reading only."""
    rows = filter(None, map(ROW.fullmatch, text.splitlines()))
    aligned = dict.fromkeys(Reading(row[2], row[1]) for row in rows if len(row[1]) == len(row[2]))
    readings = {}
    for reading in aligned:
        readings.setdefault(reading.characters, []).append(reading)
    return [found[0] for found in readings.values() if len(found) == 1]


def slice_of(text: str) -> str:
    """The slice that is shipped, of the whole hanja.txt: its notice, and the words chosen."""
    notice = [line for line in text.splitlines() if line.startswith("#")]
    chosen = [reading for reading in single(text) if fraction("slice " + reading.characters) < SHARE]
    return "\n".join([*notice, "", *(f"{r.syllables}:{r.characters}:" for r in chosen), ""])
