"""Whatever comes in, it works or is refused in words of ours: files of data and weights, configs, arguments.

A bounded run, the same each time, is part of the tests. A long one, of so many inputs a test and others each time:

    RNNJAX_FUZZ=2000 pytest -n 0 tests/test_fuzz.py
"""

import gzip
import io
import json
import shutil
import warnings
import zipfile
from itertools import chain

import jax
import numpy as np
import pytest
from fuzzing import changed, edited, judged, trying
from hypothesis import given
from hypothesis import strategies as st
from running import quick

from rnnjax.cli import main
from rnnjax.commands import train
from rnnjax.data import (
    Vocabulary,
    bible,
    characters,
    chorales,
    cmudict,
    co2,
    conllu,
    digits,
    hanja,
    korean,
    monthly_sunspots,
    movie_reviews,
    penn_treebank,
    read,
    series,
    tagged,
    tunes,
)
from rnnjax.data.digits import idx, mnist
from rnnjax.data.emoji import _names
from rnnjax.interop import load as exported
from rnnjax.interop.export import safetensors
from rnnjax.tasks import TASKS, kept
from rnnjax.train import begin
from rnnjax.train.run import Run

NOTE = "<note><pitch><step>{}</step><octave>4</octave></pitch><duration>2</duration></note>"
BACK = "<attributes><divisions>2</divisions></attributes><backup><duration>1</duration></backup>"
PART = f"<part><measure>{NOTE.format('C')}{BACK}{NOTE.format('G')}</measure></part>"
SCORE = f"<score-partwise>{4 * PART}</score-partwise>"
CONTAINER = '<container><rootfiles><rootfile full-path="score.xml"/></rootfiles></container>'


def packed(score: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("score.xml", score)
    return content.getvalue()


def in_file(loader, name="data.txt"):
    """A loader of a path, as one of bytes."""

    def load(content, folder):
        (folder / name).write_bytes(content)
        return loader(folder / name)

    return load


def in_folder(loader, name):
    """A loader of a folder, as one of the bytes of the file in it."""

    def load(content, folder):
        inner = folder / name.replace(".", "-")
        inner.mkdir(exist_ok=True)
        (inner / name).write_bytes(content)
        return loader(inner)

    return load


def zipped(loader, name="data.gz"):
    """As `in_file`, packed by gzip after it was edited."""
    return lambda content, folder: in_file(loader, name)(gzip.compress(content, 1), folder)


TS = b"@problemName x\n@timestamps false\n@classLabel true a b\n@data\n1,2,?:4,5,6:a\n7,8.5:1,2:b\n"
CONLLU = b"# sent_id = a-1\n1-2\tdo" + 8 * b"\t_" + b"\n1\tde\t_\tADP" + 6 * b"\t_" + b"\n\n1\to\t_\tDET" + 6 * b"\t_"
IDX = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 7, 8, 9, 10])
ABC = b"X:1\nT:Spring\nR:Reel\nM:2/4\nL:1/8\nK:G\n|:GABc d2:|\nX:2\nT:Autumn\nK:D\n|:d2 ef|\n"
REVIEWS = 'text,label,source\r\n"A film, <br />“so”",1,imdb\r\nanother,0,imdb\r\nthird,1,rotten\r\n'.encode()
PENN = b"penn = {}\npenn['train'] = ' the u.s. \\n it '\npenn['valid'] = 'a'\npenn['test'] = 'b'\n"
PAGE = '<html><div id="DisplayArea"><h1>제목</h1><p>첫 <b>단</b>락&nbsp;</p></div></html>'.encode()
ARRAYS = safetensors({"W": np.ones((2, 3), np.float32), "n": np.arange(3)})
FILES = {
    "text": ("봄이 온다.\r\n꽃이 핀다".encode(), in_file(read)),
    "ts": (TS, in_file(series)),
    "CoNLL-U": (CONLLU, in_file(conllu)),
    "PetroGold": (CONLLU, in_file(tagged)),
    "idx": (IDX, lambda content, folder: idx(content)),
    "mnist": (IDX, in_folder(mnist, "train-images-idx3-ubyte")),
    "mxl": (packed(SCORE.encode()), in_folder(chorales, "a.mxl")),
    "the score in an mxl": (SCORE.encode(), lambda score, folder: in_folder(chorales, "a.mxl")(packed(score), folder)),
    "abc": (ABC, in_folder(tunes, "a.abc")),
    "cmudict": (b"'bout B AW1 T\na AH0\na(2) EY1\naalborg AO1 L # place\n", in_file(cmudict)),
    "hanja": ("# notice\n음악:音樂:music\n낙원:樂園:\n".encode(), in_file(hanja)),
    "co2": (b"date,co2\n19580329,316.1\n19580405,\n19900101,350\n", in_file(co2)),
    "sunspots": (b"58.0\n62.6 " * 1410, zipped(monthly_sunspots)),
    "sunspots, packed": (gzip.compress(b"58.0\n62.6 " * 1410), in_file(monthly_sunspots)),
    "digits": (b"\n".join([b",".join([b"5"] * 65)] * 1797), zipped(digits)),
    "digits, packed": (gzip.compress(b"\n".join([b",".join([b"5"] * 65)] * 1797)), in_file(digits)),
    "reviews": (REVIEWS, in_file(movie_reviews)),
    "the Penn Treebank": (PENN, in_file(penn_treebank)),
    "emoji.json": ('{"😀": {"en": ":grinning_face:"}, "❤️": {"en": ":red_heart:"}}'.encode(), in_file(_names)),
    "help pages": (PAGE, in_folder(korean, "a.html")),
    "a vocabulary": (
        characters("봄 banana").to_json().encode(),
        lambda c, _: Vocabulary.from_json(c.decode("latin-1")),
    ),
    "safetensors": (ARRAYS, lambda content, folder: exported.arrays(content)),
}


@pytest.fixture(scope="module", autouse=True)
def quick_compiles():
    with quick():
        yield


@pytest.fixture
def tried(record_property):
    """A list, whose length is how many inputs a test has tried."""
    inputs = []
    yield inputs
    record_property("inputs", len(inputs))


@pytest.mark.parametrize("name", FILES)
def test_files(tmp_path, tried, name):
    valid, load = FILES[name]
    judged(load, valid, tmp_path)

    @trying(40)
    @given(edited(valid))
    def edits(content):
        tried.append(1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            judged(load, content, tmp_path)

    edits()


SMALL = {"m": 8, "embed": 4, "batch": 4, "window": 8, "steps": 30, "every": 20}
OPTIONS = [f"--{name}" for name in SMALL]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a text and a small run, whose checkpoint is of before its first step."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text(bible()[:4000], encoding="utf-8")
    asked = kept.module("language").Config(text=str(folder / "text.txt"), **SMALL)
    run, recipe = kept.create(folder / "runs" / "run", "language", asked)
    run.checkpoints.save(begin(recipe, recipe.optimizer, jax.random.key(0)))
    run.checkpoints.close()
    return folder


def test_configs(trained, tried):
    path = trained / "runs" / "run"
    copy = trained / "copy"
    copy.mkdir(exist_ok=True)
    (copy / "checkpoints").symlink_to(path / "checkpoints")
    written = (path / "config.json").read_bytes()
    plain = json.loads(written)
    words = [*TASKS, "char", "word", "byte", "jamo", "gru", "rnn", "text.txt", "/", "", None, 0, 1, 2.0, "8", True]

    def resumed(content):
        (copy / "config.json").write_bytes(content)
        run = Run(copy)
        try:
            kept.options(run)
            if run.config["task"] == "language":
                kept.language_model("sample", run)
                kept.reopen(run)
        finally:
            run.checkpoints.close()

    @trying(25)
    @given(changed(plain, words).map(lambda x: json.dumps(x).encode()) | edited(written))
    def configs(content):
        tried.append(1)
        judged(resumed, content)

    configs()


WORDS = st.sampled_from([
    "train", "eval", "sample", "inspect", "--help", "-h", "--", "-", "", "--m", "--no-smoke", "--smoke", "--text",
    "--runs", "--name", "--resume", "--seed", "--steps", "--batch", "--window", "--layers", "--dropout", "--cell",
    "--unit", "word", "byte", "--vocabulary", "--lr", "text.txt", "runs/run", "runs", ".", "no", "--prompt", "God",
    "--temperature", "--top-k", "--top-p", "--length", "3", "0", "-1", "1e9", "nan", "inf", "0.5", "None", "True",
    "99999999999999999999", "é", "\0", "a\nb", "*", "[", "{", "--m=8", "--reset=2", "--every", "gru", "--mesh",
    "data=1", "data=3", "data=2,model=4", "model", "--processes", "--process", "--keep", "--nonfinite", "skip", *TASKS,
])  # fmt: skip


def test_arguments(trained, tried, monkeypatch, capfd):
    """Training itself is left out: what is tried is all that comes before it. Of sampling, little."""
    monkeypatch.setattr(train, "learn", lambda run, recipe, console: False)
    monkeypatch.setattr(train, "free_path", lambda folder, name: trained / "fresh" / name[:9])
    monkeypatch.chdir(trained)
    monkeypatch.setenv("COLUMNS", "100")
    some = st.lists(WORDS | st.text(max_size=4).filter(lambda text: "/" not in text), max_size=6)
    options = st.lists(st.tuples(st.sampled_from(OPTIONS), WORDS).map(list), max_size=3).map(lambda x: [*chain(*x)])
    text = ["--text", "text.txt", *(f"--{name}={value}" for name, value in SMALL.items())]
    lines = some | st.builds(lambda a, b: ["train", *text, *a, *b], options, some)
    lines |= some.map(lambda a: ["sample", "runs/run", "--length", "2", *a])

    @trying(60)
    @given(lines)
    def arguments(line):
        tried.append(1)
        capfd.readouterr()
        shutil.rmtree(trained / "fresh", ignore_errors=True)
        try:
            code = main(line)
        except SystemExit as stop:
            code = stop.code
        out, err = capfd.readouterr()
        assert code in (0, 2, 130) and "Traceback" not in out + err
        assert code != 2 or (err.startswith("rnnjax: ") and err.count("\n") == 1), err

    arguments()
