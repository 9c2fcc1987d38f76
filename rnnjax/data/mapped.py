"""Integers on disk, written in a stream and read through a memory map."""

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Integer

Pieces = Iterable[Integer[np.ndarray, " N"]]


def cache() -> Path:
    """Where the ids of long texts are kept: `ids` in $RNNJAX_CACHE, or else in ~/.cache/rnnjax. Free to be emptied."""
    return Path(os.environ.get("RNNJAX_CACHE") or "~/.cache/rnnjax").expanduser() / "ids"


def mapped(where: str, key: str, dtype: np.dtype, make: Callable[[], Pieces]) -> np.ndarray:
    """The pieces that `make` gives, as one array of `dtype` (N,) mapped from the file `key` of the cache.

    They are made only if the file is not there, or not whole, and never held in memory together. The file is written
    under another name first: what a killed process or another at the same work leaves is never taken for it.

    Raises ValueError if the cache cannot be written.
    """
    path = cache() / f"{key}.npy"
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        pieces = make()
    try:
        _write(path, np.dtype(dtype), pieces)
    except OSError as error:
        raise ValueError(
            f"{where}: the ids of a long text must be kept in {path.parent}, but it cannot be written: {error}. Set "
            "RNNJAX_CACHE to a folder with room."
        ) from error
    return np.load(path, mmap_mode="r")


def _write(path, dtype, pieces):
    """Write a .npy file whole or not at all; its head, which has room for any length, is written again at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            length = 0
            _head(file, dtype, length)
            for piece in pieces:
                file.write(piece.astype(dtype).data)
                length += len(piece)
            file.seek(0)
            _head(file, dtype, length)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _head(file, dtype, length):
    np.lib.format.write_array_header_1_0(file, {"descr": dtype.str, "fortran_order": False, "shape": (length,)})
