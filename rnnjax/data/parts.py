"""Train, validation and test parts that are the same on every machine and in every year."""

from typing import NamedTuple
from zlib import crc32


class Parts(NamedTuple):
    """What is learned from, what choices are made by, and what is looked at once."""

    train: object
    valid: object
    test: object


class Labelled(NamedTuple):
    """`xs[i]` is one example (an array of one shape, or a list of arrays of their own lengths), `labels[i]` its class.

    labels are int32 (N,), from 0.
    """

    xs: object
    labels: object


def divide(items, keys, *, valid: float, test: float) -> Parts:
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
