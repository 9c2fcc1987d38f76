"""The training, validation and test parts of data that comes without them."""

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any, NamedTuple


class Parts(NamedTuple):
    """What a model learns from, what its training may look at, and what it is judged by."""

    train: Any
    valid: Any
    test: Any


def fraction(key: str) -> float:
    """A number from 0 to 1 that looks random but belongs to `key`: the first 8 bytes of its SHA-256.

    >>> round(fraction("봄"), 4)
    0.7635
    """
    return int.from_bytes(sha256(key.encode()).digest()[:8], "big") / 2**64


def hashed(items: Iterable, key: Callable[[Any], str], *, valid: float = 0.05, test: float = 0.05) -> Parts:
    """Items in three lists by their keys alone, so that neither their order nor their number moves one.

    An item is in test if its key's `fraction` is below `test`, in valid if it is below `test + valid`, or else in
    train. Equal keys are in one list.

        >>> hashed("abcdefghij", str, valid=0.2, test=0.2)
        Parts(train=['a', 'g', 'h', 'i'], valid=['b', 'e'], test=['c', 'd', 'f', 'j'])
    """
    parts = Parts([], [], [])
    for item in items:
        at = fraction(key(item))
        (parts.test if at < test else parts.valid if at < test + valid else parts.train).append(item)
    return parts
