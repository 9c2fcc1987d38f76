"""The training, validation and test parts of data that comes without them."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple
from zlib import crc32


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


class Labelled(NamedTuple):
    """`xs[i]` is one example (an array of one shape, or a list of arrays of their own lengths), `labels[i]` its class.

    labels are int32 (N,), from 0.
    """

    xs: Any
    labels: Any


def divide(items: Sequence, keys: Iterable[str | bytes], *, valid: float, test: float) -> Parts:
    """`items` in three parts, as lists in their own order; items of equal `keys` (str or bytes) are never parted.

    The keys, sorted by a checksum, fill the test part, then the validation part, then the training part. So no random
    number generator is asked, and an item that is added moves few others. `valid` and `test` are fractions of the
    items; a part is larger than that where its last key has many.

        >>> divide(range(8), "aabbccdd", valid=0.25, test=0.25)
        Parts(train=[0, 1, 6, 7], valid=[2, 3], test=[4, 5])
    """
    members = {}
    for i, key in enumerate(keys):
        members.setdefault(key.encode() if isinstance(key, str) else key, []).append(i)
    order = [i for key in sorted(members, key=lambda key: (crc32(key), key)) for i in members[key]]
    owner = {i: key for key in members for i in members[key]}
    first = _whole(order, owner, round(len(order) * test))
    second = max(first, _whole(order, owner, first + round(len(order) * valid)))
    return Parts(*([items[i] for i in sorted(part)] for part in (order[second:], order[first:second], order[:first])))


def _whole(order, owner, end):
    while 0 < end < len(order) and owner[order[end]] == owner[order[end - 1]]:
        end += 1
    return end
