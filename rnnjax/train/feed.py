"""The batches of training through Grain: in order, from any step on, by threads if asked, in shares for processes."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree


class Feed(Iterator[Any]):
    """What `feed` gives: an iterator of batches with a state. A `with` block ends its threads."""

    def __init__(self, batches, steps: int) -> None:
        self._batches, self._steps = batches, steps

    def __next__(self) -> Any:
        return next(self._batches)

    def get_state(self) -> dict[str, int]:
        """Where it is, as plain JSON: after the last batch that was given, whatever was made ahead."""
        return self._batches.get_state()

    def set_state(self, state: dict[str, int]) -> None:
        """Go on from a state. Raises `ValueError` for what is none."""
        step = state.get("next_index") if isinstance(state, dict) else None
        if type(step) is not int or not 0 <= step <= self._steps:
            raise ValueError(
                f"feed: a state must hold next_index, from 0 to {self._steps} steps, but state is {state!r}. Give what "
                "get_state gave."
            )
        self._batches.set_state(state)

    def close(self) -> None:
        """End its threads, each after the batch that it is making."""
        self._batches.close()

    def __enter__(self) -> "Feed":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def feed(
    batch_at: Callable[[int], Any],
    steps: int,
    *,
    start: int = 0,
    threads: int = 0,
    ahead: int = 2,
    part: tuple[int, int] = (0, 1),
    axis: PyTree[int] = 0,
) -> Feed:
    """The batches `batch_at(start)`, ..., `batch_at(steps - 1)`, in order, by a Grain dataset over the steps.

    Args:
        batch_at: step -> batch, a pytree of arrays: a function of the step alone, and with threads called from them.
        threads: how many make batches beside the loop; 0 makes each when it is asked for. The order is the same.
        ahead: how many batches threads may make before they are asked for, at least `threads`.
        part: `(index, count)`: of each batch only these rows, the index-th of count equal shares, as the process
            `jax.process_index()` of `jax.process_count()` needs them. All shares together are the batch, for any count.
        axis: where the rows are: 1 in time-leading (T, B, ...) batches; or one for each part of a batch, as `in_axes`.

    What `batch_at` raises comes out of the `next` that asks for that step. Raises `ValueError` for impossible numbers,
    or where count does not divide the rows.

    Example:
        >>> with feed(lambda step: np.arange(4) + 10 * step, 100, start=7, threads=1) as batches:
        ...     first, state = next(batches), batches.get_state()
        ...     _ = next(batches)
        ...     batches.set_state(state)
        ...     first, state, next(batches)
        (array([70, 71, 72, 73]), {'next_index': 8}, array([80, 81, 82, 83]))
        >>> with feed(lambda step: np.arange(4) + 10 * step, 100, part=(1, 2)) as batches:
        ...     next(batches)
        array([2, 3])

    Grain, https://google-grain.readthedocs.io
    """
    index, count = part
    for name, value, least in (("steps", steps, 0), ("threads", threads, 0), ("ahead", ahead, max(1, threads))):
        if value < least:
            raise ValueError(f"feed: {name} must be at least {least}, but {name} is {value}. Give more.")
    if not 0 <= index < count:
        raise ValueError(f"feed: part must be (index, count) with index from 0 to count - 1, but part is {part}.")

    from grain import MapDataset, ReadOptions  # only who trains waits for it

    def made(step):
        batch = batch_at(step)
        return batch if count == 1 else share(batch, index, count, axis)

    options = ReadOptions(num_threads=threads, prefetch_buffer_size=ahead if threads else 0)
    batches = Feed(iter(MapDataset.range(steps).map(made).to_iter_dataset(options)), steps)
    batches.set_state({"next_index": start})
    return batches


def share(batch: Any, index: int, count: int, axis: PyTree[int] = 0) -> Any:
    """The rows of one process of a batch: the index-th of count equal shares, along `axis`. Errors as of `feed`."""

    def cut(axis, leaf):
        rows = np.shape(leaf)[axis]
        if rows % count:
            raise ValueError(
                f"feed: count must divide the rows of a batch, but count is {count} and a batch has {rows} along axis "
                f"{axis}. Give a batch that {count} processes can share."
            )
        size = rows // count
        return leaf[(slice(None),) * axis + (slice(index * size, (index + 1) * size),)]

    return jax.tree.map(lambda at, tree: jax.tree.map(lambda leaf: cut(at, leaf), tree), axis, batch)
