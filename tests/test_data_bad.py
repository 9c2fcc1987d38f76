"""Bad data is refused where it is read, by name: numbers that are none, bytes that are no text, files that are torn."""

import gzip

import numpy as np
import pytest
from test_fuzz import CONLLU, PENN, REVIEWS, SCORE, TS, packed

from rnnjax.data import (
    batches,
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
    series,
    tunes,
)
from rnnjax.interop.load import arrays
from rnnjax.tasks import language

NAN = np.array([[0.0], [np.nan]])
UTF8 = r"{}: the file must be UTF-8, but .* has byte 0xff at offset {}, where no character can hold it\. Fetch it again"


def rows(*, last=b"16"):
    row = b",".join([b"0"] * 64)
    return gzip.compress(b"\n".join([row + b",1"] * 1796 + [row[:-1] + last + b",1"]))


FILES = {
    "ts, not UTF-8": (series, b"@x\xff", UTF8.format("series", 2)),
    "conllu, not UTF-8": (conllu, CONLLU + b"\xff", UTF8.format("conllu", len(CONLLU))),
    "cmudict, not UTF-8": (cmudict, b"a AH0\n\xff", UTF8.format("cmudict", 6)),
    "hanja, not UTF-8": (hanja, b"\xff", UTF8.format("hanja", 0)),
    "co2, not UTF-8": (co2, b"date,co2\n\xff", UTF8.format("co2", 9)),
    "penn, not UTF-8": (penn_treebank, PENN + b"\xff", UTF8.format("penn_treebank", len(PENN))),
    "a NaN in a ts": (series, TS.replace(b"8.5", b"nan"), r"series: a line must be columns of numbers .* line 6 of"),
    "an infinity in a ts": (
        series,
        TS.replace(b"8.5", b"-inf"),
        r"series: a line must be columns of numbers .* line 6",
    ),
    "a ts of nothing": (series, b"@timestamps\n@classLabel\n", r"series: sequences must have classes, but"),
    "no first value": (co2, b"date,co2\n19580329,\n", r"co2: a line must be a day and a number, but .* has another"),
    "no day": (co2, b"date,co2\n1958,3\n", r"co2: a line must be a day and a number, but .* has another\. Give"),
    "a NaN of sunspots": (
        monthly_sunspots,
        gzip.compress(b"nan " * 2820),
        r"monthly_sunspots: values must be finite, but values\[0\] holds nan at \[0\]\. Fill in what is missing",
    ),
    "torn sunspots": (
        monthly_sunspots,
        gzip.compress(b"1 " * 2820)[:-9],
        r"monthly_sunspots: path must hold 2820 numb",
    ),
    "digits beyond": (digits, rows(last=b"256"), r"digits: path must hold 1797 rows of 65, but .* does not\. Give"),
    "a NaN of digits": (digits, rows(last=b"nan"), r"digits: path must hold 1797 rows of 65, but .* does not\. Give"),
    "a label that is none": (
        movie_reviews,
        REVIEWS.replace(b",1,imdb", b",good,imdb"),
        r"movie_reviews: the file must be a table in UTF-8 with labels 0 and 1, but .* is not\. Fetch it again",
    ),
    "a table not UTF-8": (movie_reviews, REVIEWS + b"\xff", r"movie_reviews: the file must be a table in UTF-8 with"),
    "no Python": (penn_treebank, b"penn = {", r"penn_treebank: a file must assign texts, but .* does not\. Fetch it"),
}
FOLDERS = {
    "abc, not UTF-8": (tunes, "a.abc", b"X:1\n\xff", UTF8.format("tunes", 4)),
    "a page not UTF-8": (korean, "a.html", b"\xff", UTF8.format("korean", 0)),
    "no score": (
        chorales,
        "a.mxl",
        packed(b"<score"),
        r"chorales: a score must be packed MusicXML, but .* is not\. Re",
    ),
    "a score beyond": (
        chorales,
        "a.mxl",
        packed(SCORE.replace("<octave>4", "<octave>9").encode()),
        r"chorales: a score must keep to a piano's keys and 10000 quarters, but .* does not\. Remove it",
    ),
    "a score without divisions": (
        chorales,
        "a.mxl",
        packed(SCORE.replace("<divisions>2", "<divisions>0").encode()),
        r"chorales: a score must be packed MusicXML, but",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files(tmp_path, name):
    loader, content, message = FILES[name]
    (tmp_path / "data").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        loader(tmp_path / "data")


@pytest.mark.parametrize("name", FOLDERS)
def test_folders(tmp_path, name):
    loader, file, content, message = FOLDERS[name]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        loader(tmp_path)


def test_numbers_of_a_batch():
    with pytest.raises(
        ValueError, match=r"^batches: sequences must be finite, but sequences\[1\] holds nan at \[1, 0\]"
    ):
        batches([np.ones((2, 1)), NAN], [0, 1], batch=2)
    with pytest.raises(
        ValueError, match=r"^batches: targets must be finite, but targets\[0\] holds inf at \[1\]\. Fill"
    ):
        batches([np.ones((2, 1))], [[1, np.inf]], batch=2)
    with pytest.raises(
        ValueError, match=r"^batches: targets must be finite, but targets\[0\] holds nan at \[1\]\. Fill"
    ):
        batches([np.ones((2, 1))] * 2, [1, np.nan], batch=2)
    assert len(list(batches([np.ones((2, 1))], [[1, 2]], batch=1))) == 1


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "load: a safetensors file must begin with its header, but it does not. Copy it again."),
        (b"\x02" + 7 * b"\0" + b"[]", "load: a safetensors file must begin with its header, but it does not."),
        (
            b"\x38" + 7 * b"\0" + b'{"W": {"dtype":"F32","shape":[2],"data_offsets":[0, 8]}}',
            "load: a safetensors file must hold all of W, but it does not. Copy it again.",
        ),
    ],
)
def test_safetensors(content, message):
    with pytest.raises(ValueError, match=message):
        arrays(content)


OPTIONS = {
    "m": ("8", TypeError, r"^train: m must be int, but m is '8'\. Give one\.$"),
    "steps": (True, TypeError, r"^train: steps must be int, but steps is True"),
    "lr": (None, TypeError, r"^train: lr must be float, but lr is None"),
    "text": (["a"], TypeError, r"^train: text must be str or none, but text is \['a'\]"),
    "cell": ([], ValueError, r"^train: cell must be one of \('lstm', 'gru', 'rnn'\), but cell is \[\]"),
    "layers": (1001, ValueError, r"^train: layers must be at most 1000, but layers is 1001\. Give less\.$"),
    "batch": (2**31, ValueError, r"^train: batch must be at most 2147483647, but batch is 2147483648"),
    "dropout": (10**400, ValueError, r"^train: dropout must be in \[0, 1\), but dropout is 1000"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options(name):
    value, kind, message = OPTIONS[name]
    with pytest.raises(kind, match=message):
        language.Config(**{name: value})
