"""A run's metrics for TensorBoard, beside its JSON lines."""

import contextlib
import struct
import time
from collections.abc import Callable
from pathlib import Path

from rnnjax.train.disk import append


def board(folder: Path, step: int) -> Callable[[dict], None]:
    """A function that shows a dict of numbers with its `step` in TensorBoard: `tensorboard --logdir FOLDER`.

    What an earlier part of the run showed after `step` is hidden. What a full disk does not take waits for the next
    line, as in the metrics. The file is one of TFRecords, each an event, as TensorFlow writes them.
    """
    Event, SessionLog, Summary, masked_crc32c = protocol()

    def record(**what):
        data = Event(wall_time=time.time(), **what).SerializeToString()
        size = struct.pack("<Q", len(data))
        return b"".join([size, struct.pack("<I", masked_crc32c(size)), data, struct.pack("<I", masked_crc32c(data))])

    folder.mkdir(exist_ok=True)
    file = folder / f"events.out.tfevents.{int(time.time())}.{step}"
    append(file, record(file_version="brain.Event:2"))
    append(file, record(step=step + 1, session_log=SessionLog(status=SessionLog.START)))
    waiting = bytearray()

    def show(entry: dict) -> None:
        values = [Summary.Value(tag=name, simple_value=float(x)) for name, x in entry.items() if name != "step"]
        waiting.extend(record(step=entry["step"], summary=Summary(value=values)))
        with contextlib.suppress(OSError):  # of which the metrics have told
            append(file, bytes(waiting))
            waiting.clear()

    return show


def protocol():
    """What events are made of. Raises `ValueError` if the package tensorboardX is missing."""
    try:
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.proto.summary_pb2 import Summary
        from tensorboardX.record_writer import masked_crc32c
    except ImportError as error:
        raise ValueError(
            "train: --tensorboard needs the package tensorboardX, but it is not installed. "
            "pip install 'rnnjax[tensorboard]'"
        ) from error
    return Event, SessionLog, Summary, masked_crc32c
