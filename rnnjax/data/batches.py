"""Many sequences of different lengths, padded and batched in few shapes."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Shaped

from rnnjax.data.alike import alike
from rnnjax.data.finite import finite
from rnnjax.types import Integers, Ragged


class Batch(NamedTuple):
    """`batch` columns of one padded length T.

    - `xs`: (T, B, ...), time leading, zero after a sequence's end.
    - `targets`: (T, B, ...) padded alike if there is one a step, (B, ...) if there is one a sequence.
    - `keep`: bool (T, B), true at the steps that exist.
    - `lengths`: int32 (B,).
    - `indices`: int32 (B,), the place of each column in `sequences`; -1 where the column only fills up the batch.
    """

    xs: Shaped[np.ndarray, "T B ..."]
    targets: Shaped[np.ndarray, "..."]
    keep: Bool[np.ndarray, "T B"]
    lengths: Int[np.ndarray, " B"]
    indices: Int[np.ndarray, " B"]


def pad(sequences: Ragged, length: int | None = None) -> tuple[Shaped[np.ndarray, "T B ..."], Int[np.ndarray, " B"]]:
    """Sequences, each (T_b, ...), as `(xs, lengths)`: xs (T, B, ...) zero after each end, lengths int32 (B,).

    T is `length`, or else the longest. A sequence may be empty. The dtype is the common one of the sequences.
    Raises TypeError if a sequence is no array with a time axis, ValueError if there is none, if their features differ
    or if one is longer than `length`.

        >>> xs, lengths = pad([[1, 2, 3], [], [4]])
        >>> xs.T, lengths
        (array([[1, 2, 3],
               [0, 0, 0],
               [4, 0, 0]]), array([3, 0, 1], dtype=int32))
    """
    arrays = alike("pad", "sequences", sequences)
    lengths = np.array([len(a) for a in arrays], np.int32)
    longest = lengths.argmax()
    if length is not None and lengths[longest] > length:
        raise ValueError(
            f"pad: length must hold every sequence, but sequences[{longest}] has {lengths[longest]} steps and length "
            f"is {length}. Use a greater length or cut the sequence."
        )
    xs = np.zeros((lengths[longest] if length is None else length, len(arrays), *arrays[0].shape[1:]), arrays[0].dtype)
    for b, a in enumerate(arrays):
        xs[: len(a), b] = a
    return xs, lengths


def keep(lengths: Integers, T: int) -> Bool[np.ndarray, "{T} B"]:
    """The mask bool (T, B) of the steps that sequences of `lengths` (B,) have.

    Raises ValueError for a length outside 0..T.

        >>> keep([2, 0], 3).T
        array([[ True,  True, False],
               [False, False, False]])
    """
    lengths = np.asarray(lengths)
    for b in np.flatnonzero((lengths < 0) | (lengths > T))[:1]:
        raise ValueError(f"keep: lengths must be from 0 to T = {T}, but lengths[{b}] is {lengths[b]}. Use a greater T.")
    return np.arange(T)[:, None] < lengths


def batches(
    sequences: Ragged, targets: Ragged, *, batch: int, buckets: int = 4, seed: int = 0, epoch: int = 0
) -> Iterator[Batch]:
    """One epoch: every sequence exactly once, in `Batch`es of at most `buckets` shapes, so of as many compilations.

    A sequence is padded to the next of `buckets` quantiles of the lengths. The last batch of a quantile is filled up
    with empty columns. The order is drawn from (seed, epoch); the shapes are those of every other epoch.

    `targets` in a list (or tuple) of arrays are one a step, each as long as its sequence. In a list of scalars, or in
    one array (N, ...), they are one a sequence; so write `list(targets)` for an array (N, T) with one a step.

    Raises TypeError and ValueError as `pad` does, and ValueError if the counts of sequences and targets differ, a
    target is not as long as its sequence, a number is not finite, or `batch`, `buckets`, `seed` or `epoch` too small.

    Example:
        >>> words = [[3, 1], [4], [1, 5, 9], [2, 6, 5, 3]]
        >>> for b in batches(words, [0, 1, 0, 1], batch=3, buckets=2):
        ...     print(b.xs.shape, b.lengths, b.targets, b.indices)
        (2, 3) [2 1 0] [0 1 0] [ 0  1 -1]
        (4, 3) [3 4 0] [0 1 0] [ 2  3 -1]
    """
    for name, value, least in (("batch", batch, 1), ("buckets", buckets, 1), ("seed", seed, 0), ("epoch", epoch, 0)):
        if value < least:
            raise ValueError(f"batches: {name} must be at least {least}, but {name} is {value}. Use {least} or more.")
    sequences = alike("batches", "sequences", sequences)
    if len(targets) != len(sequences):
        raise ValueError(
            f"batches: every sequence needs a target, but targets holds {len(targets)} for {len(sequences)} sequences. "
            "Give one for each."
        )
    stepwise = isinstance(targets, list | tuple) and any(np.ndim(t) for t in targets)
    targets = alike("batches", "targets", targets) if stepwise else np.asarray(targets)
    for name, arrays in (("sequences", sequences), ("targets", list(targets) if stepwise else [np.asarray(targets)])):
        finite("batches", name, arrays)
    lengths = np.array([len(s) for s in sequences])
    for i in np.flatnonzero(lengths != [len(t) for t in targets])[:1] if stepwise else ():
        raise ValueError(
            f"batches: a list of targets must be as long as the sequences, but targets[{i}] has {len(targets[i])} "
            f"steps and sequences[{i}] has {lengths[i]}. Stack targets into one array if there is one a sequence."
        )

    def gather(T, chosen):
        spare = batch - len(chosen)
        xs, steps = pad([sequences[i] for i in chosen] + spare * [sequences[0][:0]], T)
        if stepwise:
            ys, _ = pad([targets[i] for i in chosen] + spare * [targets[0][:0]], T)
        else:
            ys = np.concatenate([targets[chosen], np.zeros((spare, *targets.shape[1:]), targets.dtype)])
        return Batch(xs, ys, keep(steps, T), steps, np.append(chosen, spare * [-1]).astype(np.int32))

    return (gather(T, chosen) for T, chosen in _plan(lengths, batch, buckets, np.random.default_rng([seed, epoch])))


def _plan(lengths, batch, buckets, random):
    edges = np.unique(np.quantile(lengths, np.arange(1, buckets + 1) / buckets, method="inverted_cdf").clip(1))
    bucket = np.searchsorted(edges, lengths)
    plan = []
    for k, T in enumerate(edges.tolist()):
        members = random.permutation(np.flatnonzero(bucket == k))
        plan += [(T, members[i : i + batch]) for i in range(0, len(members), batch)]
    return [plan[i] for i in random.permutation(len(plan))]
