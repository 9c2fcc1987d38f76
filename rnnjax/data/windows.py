"""One long sequence as parallel streams, cut in windows: the batches of truncated back-propagation through time."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Integer

from rnnjax.types import Integers


@dataclass(frozen=True, eq=False, repr=False)
class Windows:
    """What `windows` returns: `len(w)` windows an epoch, and `w[k]` the k-th, an (inputs, targets) pair."""

    streams: Integer[np.ndarray, "B N"]
    length: int

    def __len__(self) -> int:
        return (self.streams.shape[1] - 1) // self.length

    def __repr__(self) -> str:
        return f"Windows({len(self)} of length {self.length}, batch {len(self.streams)})"

    def __getitem__(self, k: int) -> tuple[Int[np.ndarray, "T B"], Int[np.ndarray, "T B"]]:
        if not 0 <= k < len(self):
            raise IndexError(f"windows: k must be from 0 to {len(self) - 1}, but k is {k}. Use at for a training step.")
        start = k * self.length
        both = np.ascontiguousarray(self.streams[:, start : start + self.length + 1].T, np.int32)
        return both[:-1], both[1:]

    def at(self, step: int) -> tuple[Int[np.ndarray, "T B"], Int[np.ndarray, "T B"]]:
        """The window of a training step, counted from 0 over all epochs."""
        return self[step % len(self)]

    def starts_epoch(self, step: int) -> bool:
        """Whether the streams start afresh at this training step, so that the recurrent state must too."""
        return step % len(self) == 0


def windows(ids: Integers, *, batch: int, length: int) -> Windows:
    """Cut `ids` (N,) into `batch` parallel contiguous streams, and these into windows of `length` steps.

    Stream b is ids[b * span : (b + 1) * span] with span = N // batch. Window k holds its steps k * length onwards:
    inputs and targets int32 (length, batch), time leading, the targets one step later than the inputs. So windows
    follow one another without a gap in every stream, and the recurrent state may be carried from one to the next;
    fewer than batch * (length + 1) symbols are left over. Nothing is random: the window of a
    training step is a function of (ids, batch, length, step). `ids` is not copied, and may be a memory map.

    Raises TypeError if `ids` is not one sequence of integers, ValueError if it is too short for one window, or if
    `batch` or `length` is below 1.

    Example:
        >>> w = windows(np.arange(14), batch=2, length=3)
        >>> w
        Windows(2 of length 3, batch 2)
        >>> inputs, targets = w[0]
        >>> inputs.T, targets.T
        (array([[0, 1, 2],
               [7, 8, 9]], dtype=int32), array([[ 1,  2,  3],
               [ 8,  9, 10]], dtype=int32))
        >>> w.at(3)[0].T, w.starts_epoch(3), w.starts_epoch(4)
        (array([[ 3,  4,  5],
               [10, 11, 12]], dtype=int32), False, True)
    """
    ids = np.asarray(ids)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise TypeError(
            f"windows: ids must be one sequence of integers, but ids is {ids.dtype}{list(ids.shape)}. "
            "Encode the text with a Vocabulary."
        )
    for name, value in (("batch", batch), ("length", length)):
        if value < 1:
            raise ValueError(f"windows: {name} must be at least 1, but {name} is {value}. Give a positive integer.")
    needed = batch * (length + 1)
    if len(ids) < needed:
        raise ValueError(
            f"windows: {batch} streams of {length} steps and a target need {needed} symbols, but ids holds {len(ids)}. "
            "Use a longer text, or a smaller batch or length."
        )
    span = len(ids) // batch
    return Windows(ids[: batch * span].reshape(batch, span), length)
