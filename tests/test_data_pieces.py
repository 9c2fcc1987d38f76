"""Text read in pieces and kept as a memory map: the same vocabulary and ids as of the whole text, and never stale."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import ROOT

from rnnjax.data import bible, byte_level, characters, jamo_level, read, split, tokens, words
from rnnjax.data.mapped import cache, mapped
from rnnjax.data.pieces import apart, between, pieces
from rnnjax.data.symbols import most_frequent
from rnnjax.tasks import corpus as texts
from rnnjax.tasks import scores
from rnnjax.tasks.config import Config

few = settings(max_examples=100, deadline=None)
BUILD = {"char": characters, "jamo": jamo_level, "word": words, "token": tokens}
TEXTS = st.text(st.sampled_from("a b\n'-’<unk>. \u00a0\t봄\u1107é🎵\ufeff가"), max_size=60)


def encoded(content, size, folder):
    path = folder / "text.txt"
    path.write_bytes(content)
    return list(pieces(path, size))


@few
@given(st.text(min_size=1, max_size=40), st.integers(1, 9))
def test_pieces_are_the_text(tmp_path_factory, text, size):
    folder, content = tmp_path_factory.mktemp("text"), text.encode("utf-8", "surrogatepass")
    try:
        whole = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        with pytest.raises(ValueError, match=rf"byte 0x{content[error.start]:02x} at offset {error.start}, where"):
            encoded(content, size, folder)
    else:
        if whole:
            found = encoded(content, size, folder)
            assert "".join(found) == whole == read(folder / "text.txt")
            assert all(len(piece.encode()) < size + 4 for piece in found)


@few
@given(st.binary(max_size=30), st.integers(1, 5))
def test_the_place_of_a_byte_that_is_not_utf8(tmp_path_factory, content, size):
    folder = tmp_path_factory.mktemp("bytes")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        with pytest.raises(ValueError, match=rf"^read: the file must be UTF-8, .* at offset {error.start}, where no"):
            encoded(content, size, folder)


@few
@given(st.lists(TEXTS, max_size=8), st.sampled_from([*BUILD, "byte"]), st.integers(2, 9))
def test_pieces_have_the_vocabulary_and_the_ids_of_the_whole(text, unit, size):
    whole = "".join(text)
    try:
        v = byte_level() if unit == "byte" else BUILD[unit](whole, size=size)
    except ValueError:
        return
    assert most_frequent(unit, apart(unit, text), size) == v
    ids = [v.encode(piece) for piece in apart(unit, text)]
    np.testing.assert_array_equal(np.concatenate([*ids, v.encode("")]), v.encode(whole))


@few
@given(st.lists(st.text(max_size=5)), st.integers(0, 20), st.integers(0, 20))
def test_between(text, start, stop):
    assert "".join(between(text, start, stop)) == "".join(text)[start : max(start, stop)]


def as_before(text, config):
    """The vocabulary and the ids of each part of a whole text in memory, as they were made before."""
    parts = split(text)
    v = byte_level() if config.unit == "byte" else BUILD[config.unit](parts[0], size=config.vocabulary)
    return v, [v.encode(part) for part in parts]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A cache of its own, in which every text is kept, read in pieces of 1 000 bytes."""
    monkeypatch.setenv("RNNJAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(texts, "SHORT", 0)
    monkeypatch.setattr(texts, "pieces", partial(pieces, size=1000))
    return tmp_path


def random_text():
    """Letters of all planes, words, spaces and ends of lines, 20 000 of them."""
    draw = np.random.default_rng(0)
    letters = [*map(chr, draw.integers(0x20, 0xD800, 300)), *map(chr, draw.integers(0x10000, 0x110000, 20))]
    return "".join(draw.choice([*letters, *" \n-'.봄나무" * 30, "\u1107"], 20_000))


@pytest.mark.parametrize("unit", [*BUILD, "byte"])
@pytest.mark.parametrize("name", ["shipped", "shipped, in a file", "random"])
def test_a_mapped_corpus_is_as_it_was_in_memory(kept, unit, name):
    text, path = (random_text() if name == "random" else bible()), kept / "text.txt"
    path.write_text(text, "utf-8", newline="")
    config = Config(text=None if name == "shipped" else str(path), unit=unit, vocabulary=300 if unit == "char" else 90)
    v, parts = as_before(text, config)
    for _ in range(2):
        corpus = texts.corpus(config)
        assert corpus.vocabulary == v
        assert isinstance(corpus.train, np.memmap)
        assert corpus.train.dtype == (np.uint16 if len(v) > 256 else np.uint8)
        for found, ids in zip(corpus[1:4], parts):
            np.testing.assert_array_equal(found, ids)


def test_encoded_once_for_all_who_read_the_same(kept, monkeypatch):
    path = kept / "text.txt"
    path.write_text(bible()[:5000], "utf-8")
    first = texts.corpus(Config(text=str(path)))
    files = {file.name: file.stat().st_mtime_ns for file in cache().iterdir()}
    assert len(files) == 3
    texts.corpus(Config(text=str(path)))
    assert {file.name: file.stat().st_mtime_ns for file in cache().iterdir()} == files
    path.write_text(bible()[:4999] + "z", "utf-8")
    assert texts.corpus(Config(text=str(path))).test[-1] != first.test[-1], "another text is encoded anew"
    assert len(list(cache().iterdir())) == 6
    assert texts.corpus(Config(text=str(path), unit="word")).vocabulary.unit == "word"
    assert texts.corpus(Config(text=str(path), vocabulary=5)).train.max() == 4


@pytest.mark.parametrize("damage", ["cut", "emptied", "no array", "gone"])
def test_a_damaged_file_of_the_cache_is_made_again(kept, damage):
    good = np.array(texts.corpus(Config()).train)
    for file in cache().iterdir():
        content = {"cut": file.read_bytes()[:-1], "emptied": b"", "no array": b"ids" * 50, "gone": None}[damage]
        file.unlink()
        if content is not None:
            file.write_bytes(content)
    np.testing.assert_array_equal(texts.corpus(Config()).train, good)


def test_what_stops_in_the_middle_leaves_nothing(kept):
    def stops():
        yield np.arange(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mapped("here", "a", np.uint8, stops)
    assert list(cache().iterdir()) == []
    np.testing.assert_array_equal(mapped("here", "a", np.uint8, lambda: [np.arange(3), np.arange(2)]), [0, 1, 2, 0, 1])


def test_a_cache_that_cannot_be_written(kept, monkeypatch):
    (kept / "file").touch()
    monkeypatch.setenv("RNNJAX_CACHE", str(kept / "file"))
    with pytest.raises(ValueError, match=r"^train: the ids .* kept in .*file/ids, but .*\. Set RNNJAX_CACHE to a"):
        texts.corpus(Config())


def test_a_text_that_changes_while_it_is_read(kept, monkeypatch):
    path = kept / "text.txt"
    path.write_text(bible()[:5000], "utf-8")
    summed = texts.summed

    def changing(text):
        found = summed(text)
        with path.open("a") as file:
            file.write("more")
        return found

    monkeypatch.setattr(texts, "summed", changing)
    with pytest.raises(ValueError, match=r"^train: the text must stay as it is while it is read, but .* changed\. Try"):
        texts.corpus(Config(text=str(path)))


def test_no_more_is_held_out_or_counted_than_is_needed(kept, monkeypatch):
    monkeypatch.setattr(texts, "HELD", 1000)
    monkeypatch.setattr(scores, "MOST", 5000)
    corpus = texts.corpus(Config())
    assert corpus.characters == {"train": 1_113_238, "valid": 1000, "test": 1000}
    assert scores.ngram_name(corpus, 5) == "5-gram Kneser-Ney of the last 5,000 symbols"
    short = corpus._replace(train=np.array(corpus.train[-5000:]))
    assert scores.ngram_name(short, 5) == "5-gram Kneser-Ney"
    assert scores.ngram_bits(corpus, "test", order=3) == scores.ngram_bits(short, "test", order=3)


PEAK = """
import sys
from rnnjax.data import windows
from rnnjax.tasks.config import Config
from rnnjax.tasks.corpus import corpus
found = corpus(Config(text=sys.argv[1], unit=sys.argv[2]))
streams = windows(found.train, batch=32, length=48)
for step in range(100):
    streams.at(step)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024, len(found.train))
"""


def peak(path, unit):
    """MiB at most of a process that encodes a text and reads windows of it, and how many symbols it learns.

    As Linux counts it for the program alone; what `getrusage` says begins with the peak of the process that started it.
    """
    done = subprocess.run(
        [sys.executable, "-c", PEAK, path, unit], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    return map(int, done.stdout.split())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says so")
@pytest.mark.parametrize("unit", ["char", "word"])
def test_memory_does_not_grow_with_the_text(tmp_path, monkeypatch, unit):
    monkeypatch.setenv("RNNJAX_CACHE", str(tmp_path))
    text, found = bible(), {}
    for times in (5, 40, 100):
        path = tmp_path / f"{times}.txt"
        with path.open("w", encoding="utf-8") as file:
            for _ in range(round(times * 1e6 / len(text.encode()))):
                file.write(text)
        found[times], symbols = peak(path, unit)
        assert symbols > times * (8e5 if unit == "char" else 1e5)
    print(f"{unit}: peak MiB by MB of text: {found}")
    assert found[100] < found[40] + 10, "of texts that are mapped"
    assert found[100] < found[5] + 60, "held out, a million symbols each, and the read-ahead of the system"
