"""Text that comes in pieces, so that no more than one of them is ever in memory."""

import codecs
from collections.abc import Iterable, Iterator
from pathlib import Path

from rnnjax.data.units import SINGLE
from rnnjax.types import Location

PIECE = 2**20


def pieces(path: Location, size: int = PIECE) -> Iterator[str]:
    """What `read` gives of a UTF-8 file, piece by piece of at most `size` bytes, with its errors, as it gets there."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"read: path must be a file, but path {str(path)!r} is a directory. Name a file inside it.")
    if not path.exists():
        raise ValueError(f"read: path must exist, but path {str(path)!r} does not. Check its spelling.")
    decoder, at, first, empty = codecs.getincrementaldecoder("utf-8")(), 0, True, True
    with path.open("rb") as file:
        while True:
            content = file.read(size)
            begin = at - len(decoder.getstate()[0])  # of a character that began in the piece before
            try:
                text = decoder.decode(content, final=not content)
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"read: the file must be UTF-8, but path {str(path)!r} has byte 0x{error.object[error.start]:02x} "
                    f"at offset {begin + error.start}, where no character can hold it. Convert it to UTF-8."
                ) from error
            if text and first:
                text, first = text.removeprefix("\ufeff"), False
            if text:
                empty = False
                yield text
            if not content:
                break
            at += len(content)
    if empty:
        raise ValueError(f"read: the file must hold text, but path {str(path)!r} is empty. Name another file.")


def between(text: Iterable[str], start: int, stop: int) -> Iterator[str]:
    """The characters from `start` up to `stop` of a text in pieces.

    >>> list(between(["spring ", "is ", "here"], 4, 12))
    ['ng ', 'is ', 'he']
    """
    at = 0
    for piece in text:
        if part := piece[max(0, start - at) : max(0, stop - at)]:
            yield part
        at += len(piece)
        if at >= stop:
            return


def apart(unit: str, text: Iterable[str]) -> Iterator[str]:
    """The same text in pieces that part no symbol of a vocabulary's `unit`: words and tokens only after a space.

    >>> list(apart("word", ["No m", "an is", " an isl", "and"]))
    ['No ', 'man ', 'is an ', 'island']
    """
    if unit in SINGLE:
        yield from text
        return
    rest = ""
    for piece in text:
        end = max(piece.rfind(" "), piece.rfind("\n")) + 1
        if end:
            yield rest + piece[:end]
            rest = ""
        rest += piece[end:]
    if rest:
        yield rest
