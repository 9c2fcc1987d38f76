"""Bach's chorales as piano rolls, from MusicXML by the standard library alone."""

import math
import struct
import xml.etree.ElementTree as ET
import zipfile
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np

from rnnjax.data.parts import Parts, divide
from rnnjax.data.source import source
from rnnjax.types import Location

LOWEST = 21
LONGEST = 10_000
UNPACKED = zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, struct.error, OSError
INTERVALS = 12
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def chorales(path: Location | None = None) -> Parts:
    """Bach's chorales in four voices, a frame for each quarter note: which notes come next?

    `Parts` of lists of piano rolls, bool (T, 88): column p is the MIDI number 21 + p of a piano's keys, true where it
    sounds as the quarter begins. Of the corpus they are the scores in exactly four parts, as written: not transposed,
    repeats not played again, silence at the end left out.

    The parts hold 215, 73 and 76 chorales (11 845, 4 006 and 3 959 frames), chosen by a checksum. Those whose melodies
    share a run of 12 intervals stay together, as most do that set one hymn, so that no melody is met again.

    `path` is a folder of .mxl files, by default that of the installed music21, which is not imported. Raises ValueError
    if it holds no score in four parts, or a file that is no score.

    Like, but not the same as, the 229, 76 and 77 chorales of Boulanger-Lewandowski, Bengio & Vincent 2012,
    https://arxiv.org/abs/1206.6392, whose negative log likelihood a frame is 8.5 with a GRU.
    """
    folder = source(
        "chorales",
        path,
        package="music21==10.5.1",
        inside="music21/corpus/bach",
        terms="from the corpus of music21; each score's terms are in its file and in music21/corpus/license.txt.",
    )
    rolls = [roll(file) for file in sorted(folder.glob("*.mxl"))]
    rolls = [each for each in rolls if each is not None]
    if not rolls:
        raise ValueError(f"chorales: path must hold scores in four parts, but {folder} has none. Give its folder.")
    return divide(rolls, _hymns(rolls), valid=0.2, test=0.2)


def roll(path) -> np.ndarray | None:
    """The piano roll of one .mxl file, bool (T, 88), or None if it is not in four parts.

    Raises ValueError if it is no packed MusicXML.
    """
    try:
        parts = _score(path).findall("part")
        notes = [note for part in parts for note in _notes(part)]
    except (*UNPACKED, KeyError, ValueError, TypeError, ZeroDivisionError, OverflowError, ET.ParseError):
        raise ValueError(f"chorales: a score must be packed MusicXML, but {path} is not. Remove it.") from None
    if len(parts) != 4 or not notes:
        return None
    length = math.ceil(max(end for _, end, _ in notes))
    if length > LONGEST or not all(0 <= start <= end and 0 <= p - LOWEST < 88 for start, end, p in notes):
        raise ValueError(
            f"chorales: a score must keep to a piano's keys and {LONGEST} quarters, but {path} does not. Remove it."
        )
    frames = np.zeros((length, 88), bool)
    for start, end, pitch in notes:
        frames[math.ceil(start) : math.ceil(end), pitch - LOWEST] = True
    sounds = np.flatnonzero(frames.any(1))
    return frames[: sounds[-1] + 1] if len(sounds) else None


def _score(path: Path):
    with zipfile.ZipFile(path) as archive:
        container = ET.fromstring(archive.read("META-INF/container.xml"))
        (name, *_) = (e.attrib["full-path"] for e in container.iter() if e.tag.endswith("rootfile"))
        return ET.fromstring(archive.read(name))


def _notes(part):
    """Each note of a part as (start, end, MIDI number), in quarters."""
    now = start = Fraction(0)
    divisions = 1
    for event in part.iterfind("measure/*"):
        if event.tag == "attributes":
            divisions = int(event.findtext("divisions", divisions))
        if event.tag not in ("note", "forward", "backup") or event.find("grace") is not None:
            continue
        lasts = Fraction(event.findtext("duration")) / divisions
        if event.tag == "backup":
            now -= lasts
            continue
        start = start if event.find("chord") is not None else now
        now = start + lasts
        pitch = event.find("pitch")
        if pitch is not None:
            yield start, now, _midi(pitch)


def _midi(pitch):
    alter = int(float(pitch.findtext("alter", "0")))
    return 12 * (int(pitch.findtext("octave")) + 1) + STEPS[pitch.findtext("step")] + alter


def _hymns(rolls):
    """A key for each roll, the same for those linked by a run of intervals that their highest voices share."""
    keys, owner = {}, {}
    for i, runs in enumerate(map(_runs, rolls)):
        linked = {keys[owner[run]] for run in runs & owner.keys()}
        keys[i] = min(linked, default=min(runs))
        keys.update({j: keys[i] for j, key in keys.items() if key in linked})
        owner.update(dict.fromkeys(runs, i))
    return list(keys.values())


def _runs(frames):
    """Each run of intervals of the highest voice, whatever its key, rhythm and harmony; all, if there are few."""
    intervals = np.diff([np.flatnonzero(frame)[-1] for frame in frames if frame.any()])
    intervals = intervals[intervals != 0].astype(np.int8)
    last = max(1, len(intervals) - INTERVALS + 1)
    return {intervals[i : i + INTERVALS].tobytes() for i in range(last)}
