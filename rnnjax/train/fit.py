"""The training loop."""

from collections.abc import Callable, Iterator
from typing import Any

from rnnjax.train.update import Metrics, Training


def fit(
    update: Callable[..., tuple[Training, Metrics]],
    training: Training,
    batch_at: Callable[[int], tuple[Any, ...]],
    steps: int,
    *,
    restart: Callable[[int, Training], Training] | None = None,
) -> Iterator[tuple[Training, Metrics]]:
    """Train up to `steps`, and yield `(training, metrics)` after every update.

    Args:
        update: from `rnnjax.train.update`.
        training: a `Training`, fresh or from a checkpoint; the loop goes on from `training.step`.
        batch_at: `step -> arguments of update after training`, as `lambda step: (windows.at(step),)`.
        steps: the step to stop at.
        restart: `(step, training) -> training` before each step, where the recurrent state must start anew.

    Nothing in it waits for the device: reading a metric does. A yielded training is donated to the next update, so
    keep nothing of it but what you copy.
    """
    for step in range(int(training.step), steps):
        if restart is not None:
            training = restart(step, training)
        training, metrics = update(training, *batch_at(step))
        yield training, metrics
