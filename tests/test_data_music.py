"""Scores and tunes: what is written is what is read, and no melody is in two parts."""

import zipfile

import numpy as np
import pytest
from real_data import apart, installed

from rnnjax.data import Tune, chorales, tunes
from rnnjax.data.chorales import _hymns, _runs, roll
from rnnjax.data.tunes import _opening, abc

CONTAINER = '<container xmlns="urn:x"><rootfiles><rootfile full-path="score.xml"/></rootfiles></container>'


music21 = pytest.mark.skipif(not installed("music21"), reason="pip install --no-deps music21==10.5.1")


def note(step, octave, duration, *more, alter=None):
    altered = "" if alter is None else f"<alter>{alter}</alter>"
    pitch = f"<pitch><step>{step}</step>{altered}<octave>{octave}</octave></pitch>"
    return f"<note>{''.join(more)}{pitch}<duration>{duration}</duration></note>"


def rest(duration):
    return f"<note><rest/><duration>{duration}</duration></note>"


def write(path, *parts, divisions=2):
    opening = f"<attributes><divisions>{divisions}</divisions></attributes>"
    score = "".join(f"<part><measure>{opening}{part}</measure></part>" for part in parts)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("score.xml", f"<score-partwise>{score}</score-partwise>")
    return path


def melody(pitches, transposed=0):
    names = "C", "D", "E", "F", "G", "A", "B"
    return "".join(note(names[p % 7], 4 + p // 7, 2, alter=transposed) for p in pitches)


def keys(frames):
    return [(21 + np.flatnonzero(frame)).tolist() for frame in frames]


def test_a_frame_is_what_sounds_as_a_quarter_begins(tmp_path):
    soprano = note("C", 5, 3) + note("D", 5, 1) + note("E", 5, 2)  # D sounds only between two quarters
    alto = note("F", 4, 2, alter=1) + rest(2) + note("A", 4, 2)
    tenor = note("B", 3, 2, alter=-1) + note("G", 3, 1, "<grace/>").replace("<duration>1</duration>", "")
    tenor += note("C", 4, 2) + note("E", 4, 2, "<chord/>") + rest(4)
    bass = note("C", 3, 6) + "<backup><duration>4</duration></backup>" + note("G", 2, 2)
    bass += "<forward><duration>2</duration></forward>" + rest(2)
    frames = roll(write(tmp_path / "a.mxl", soprano, alto, tenor, bass))
    assert frames.dtype == bool and frames.shape == (3, 88)
    assert keys(frames) == [[48, 58, 66, 72], [43, 48, 60, 64, 72], [48, 69, 76]]


def test_divisions_may_change_and_end_in_silence(tmp_path):
    finer = note("C", 4, 1) + "<attributes><divisions>6</divisions></attributes>" + note("D", 4, 6) + rest(12)
    voices = [finer] + 3 * [rest(4)]
    assert keys(roll(write(tmp_path / "a.mxl", *voices, divisions=1))) == [[60], [62]]


def test_only_four_parts_count(tmp_path):
    assert roll(write(tmp_path / "three.mxl", *3 * [melody([0])])) is None
    assert roll(write(tmp_path / "silent.mxl", *4 * [rest(4)])) is None
    with pytest.raises(ValueError, match=r"chorales: path must hold scores in four parts, but .* has none. Give its"):
        chorales(tmp_path)
    (tmp_path / "torn.mxl").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"a score must be packed MusicXML, but .*torn.mxl is not. Remove it"):
        chorales(tmp_path)


def test_chorales_of_one_hymn_stay_together(tmp_path):
    draw = np.random.default_rng(0)
    for hymn in range(10):
        pitches = draw.integers(0, 7, 30)
        for version, transposed in enumerate((0, 1)):
            lower = [melody(draw.integers(-14, -1, 30)) for _ in range(3)]
            tune = melody(pitches[version:], transposed)
            write(tmp_path / f"{hymn}{version}.mxl", tune, *lower)
    parts = chorales(tmp_path)
    assert sum(map(len, parts)) == 20 and [len(part) for part in parts] == [12, 4, 4]
    apart(set().union(*map(_runs, part)) for part in parts)


def test_a_chorale_of_two_hymns_holds_both_together():
    def frames(pitches):
        return np.eye(88, dtype=bool)[pitches]

    one, other, third = np.random.default_rng(0).integers(30, 60, (3, 20))
    keys = _hymns([frames(one), frames(other), frames(third), frames([*one, *other + 2])])
    assert keys[0] == keys[1] == keys[3] != keys[2]


@music21
def test_the_chorales():
    parts = chorales()
    assert [len(part) for part in parts] == [215, 73, 76]
    assert [sum(map(len, part)) for part in parts] == [11_845, 4_006, 3_959]
    frames = np.concatenate([frame for part in parts for frame in part])
    sounding = np.flatnonzero(frames.any(0))
    assert (len(sounding), 21 + sounding[0], 21 + sounding[-1]) == (45, 36, 81)
    assert frames.sum(1).max() == 4 and np.mean(frames.sum(1)) > 3.8
    apart(set().union(*map(_runs, part)) for part in parts)


# tunes

BOOK = """% a book
X:1
T:The First
T: Its other name
M: 6/8
L:1/8
R: Slipjig
Z:someone
K: Gm
|:"Gm"GAB {c}d2e:|
% an aside
w:words to sing
A:|
K:G
:|GAB|]

X: 2
T:The Second
R:C:O'Carolan
K:D
dfa
"""


def test_a_tune_is_its_music_and_what_reading_it_needs():
    assert abc(BOOK) == [
        Tune("slip jig", "The First", 'M:6/8\nL:1/8\nK:Gm\n|:"Gm"GAB {c}d2e:|\nA:|\nK:G\n:|GAB|]\n'),
        Tune("", "The Second", "K:D\ndfa\n"),
    ]
    assert [_opening(tune) for tune in abc(BOOK)] == ["GABDEAGAB", "DFA"]


def test_versions_of_a_tune_stay_together(tmp_path):
    draw = np.random.default_rng(0)
    (tmp_path / "book").mkdir()
    for i in range(40):
        notes = "".join(draw.choice(list("ABCDEFG"), 30))
        text = f"X:{i}\nT:one\nR:reel\nK:G\n{notes}\n\nX:{i}\nT:other\nK:D\n{notes[:24].lower()}|{{g}}\n"
        (tmp_path / "book" / f"{i}.abc").write_text(text)
    parts = tunes(tmp_path)
    assert [len(part) for part in parts] == [72, 4, 4]
    apart({_opening(tune) for tune in part} for part in parts)


def test_tunes_refuse_a_folder_without_any(tmp_path):
    with pytest.raises(ValueError, match=r"tunes: path must hold tunes in .abc files, but .* has none. Give their"):
        tunes(tmp_path)


@music21
def test_the_tunes():
    parts = tunes()
    assert [len(part) for part in parts] == [3824, 212, 212]
    every = [tune for part in parts for tune in part]
    counts = {kind: sum(tune.kind == kind for tune in every) for kind in ("reel", "hornpipe", "jig", "slip jig")}
    assert counts == {"reel": 715, "hornpipe": 464, "jig": 408, "slip jig": 97}
    assert sum(tune.kind != "" for tune in every) == 1936 and all(tune.title for tune in every)
    assert all("K:" in tune.abc and "T:" not in tune.abc for tune in every)
    assert sum(len(tune.abc) for tune in every) == 1_072_408
    apart({_opening(tune) for tune in part} for part in parts)
