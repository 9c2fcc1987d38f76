"""Folk tunes as text in ABC notation, with the kind of dance that each is for."""

import re
from typing import NamedTuple

from rnnjax.data.parts import Parts, divide
from rnnjax.data.source import source, text
from rnnjax.types import Location

COLLECTIONS = "oneills1850", "ryansMammoth", "airdsAirs"
FIELD = re.compile(r"([A-Za-z]):(?![|:])\s*(.*)")
ASIDE = re.compile(r'"[^"]*"|\{[^}]*\}|[MLK]:.*')


class Tune(NamedTuple):
    """One tune.

    - `kind`: "reel", "hornpipe", "jig", "double jig", ..., in lower case; empty where the book does not say.
    - `title`: its first one.
    - `abc`: its metre (M:), note length (L:) and key (K:), a line each, then the music, ending in a newline.
    """

    kind: str
    title: str
    abc: str


def tunes(path: Location | None = None) -> Parts:
    """4 248 tunes of three books (O'Neill 1903, Ryan 1883, Aird 1782): from a kind to a tune, or on from its start.

    `Parts` of lists of `Tune`s. 1 936 of them say their kind, in the field R: of the file: 715 reels, 464 hornpipes,
    408 jigs, 106 double jigs, 97 slip jigs and others.

    The parts hold as near as may be 90, 5 and 5 of a hundred, chosen by a checksum. Tunes whose first 24 notes have
    the same names stay together: 647 share them with another.

    `path` is a folder of .abc files (or of folders of them), by default those of the installed music21, which is not
    imported. Raises ValueError if it holds no tune.

    The notation: https://abcnotation.com/wiki/abc:standard. Sturm et al. 2016 model such tunes by an LSTM,
    https://arxiv.org/abs/1604.08723
    """
    folder = source(
        "tunes",
        path,
        package="music21==10.5.1",
        inside="music21/corpus",
        terms="from the corpus of music21; each book's terms are in its files and in music21/corpus/license.txt.",
    )
    folders = [folder / name for name in COLLECTIONS] if path is None else [folder]
    files = [file for each in folders for file in sorted(each.rglob("*.abc"))]
    found = [tune for file in files for tune in abc(text("tunes", file))]
    if not found:
        raise ValueError(f"tunes: path must hold tunes in .abc files, but {folder} has none. Give their folder.")
    return divide(found, [_opening(tune) for tune in found], valid=0.05, test=0.05)


def abc(text: str) -> list[Tune]:
    r"""The tunes of a text in ABC notation.

    >>> abc("X:1\nT:Spring\nR:Reel\nM:2/4\nL:1/8\nK:G\n|:GABc d2:|\n")
    [Tune(kind='reel', title='Spring', abc='M:2/4\nL:1/8\nK:G\n|:GABc d2:|\n')]
    """
    return [_tune(each) for each in re.split(r"(?m)^(?=X:)", text)[1:]]


def _tune(text):
    first, kept = {}, []
    for line in map(str.strip, text.splitlines()):
        field = FIELD.match(line)
        if field:
            first.setdefault(field[1], field[2])
        if line and line[0] != "%" and (not field or field[1] in "MLK"):
            kept.append((f"{field[1]}:{field[2]}" if field else line) + "\n")
    kind = first.get("R", "").lower().replace("slipjig", "slip jig")
    return Tune("" if ":" in kind else kind, first.get("T", ""), "".join(kept))


def _opening(tune):
    return "".join(re.findall("[A-G]", ASIDE.sub("", tune.abc).upper())[:24])
