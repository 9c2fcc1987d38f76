"""Writing to a disk that may be full, or may not be written at all."""

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path

from rnnjax.types import Location


def ready(folder: Location, needed: int) -> None:
    """Refuse a folder that cannot be written, or has not `needed` bytes free."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except OSError as error:
        raise ValueError(
            f"train: the run's folder must be writable, but {folder} is not: {error.strerror}. "
            "Free some space or choose other --runs."
        ) from error
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ValueError(
            f"train: the checkpoints need {megabytes(needed)} free, but the disk of {folder} has {megabytes(free)}. "
            "Free some space, choose other --runs, or --keep fewer."
        )


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def append(path: Location, data: bytes) -> None:
    """Write at the end of a file, all or (`OSError`) nothing."""
    with open(path, "ab", buffering=0) as file:
        begin = file.tell()
        try:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError:
            file.truncate(begin)
            raise


def replace(path: Location, text: str) -> None:
    """Make text the whole of a file, or (`OSError`) leave it as it was."""
    half = Path(f"{path}.tmp")
    try:
        with open(half, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError:
        half.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def held(path: Location):
    """Within it this process alone holds a file, where the system has such locks. They end with the process.

    Raises `ValueError` if another one holds it.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            fcntl.flock(stack.enter_context(open(path)), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"train: a run must be trained by one program at a time, but another holds {path}. Stop it first."
            ) from error
        except OSError:  # there is no such file here, or no such locks
            pass
        yield
