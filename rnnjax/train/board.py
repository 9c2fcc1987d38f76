"""A run's metrics for TensorBoard, beside its JSON lines."""

from collections.abc import Callable
from pathlib import Path


def board(folder: Path, step: int) -> Callable[[dict], None]:
    """A function that shows a dict of numbers with its `step` in TensorBoard: `tensorboard --logdir FOLDER`.

    What an earlier part of the run showed after `step` is hidden. It is written by a thread of its own. Raises
    `ValueError` if the package tensorboardX is missing.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ValueError(
            "train: --tensorboard needs the package tensorboardX, but it is not installed. "
            "pip install 'rnnjax[tensorboard]'"
        ) from error
    writer = SummaryWriter(str(folder), purge_step=step + 1, flush_secs=10)

    def show(entry: dict) -> None:
        for name, value in entry.items():
            if name != "step":
                writer.add_scalar(name, float(value), entry["step"])

    return show
