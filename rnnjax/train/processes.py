"""Many processes that train one model together: each runs the same program on its own devices.

Process 0 begins the run and tells of it; the others follow. What they compute is the same in all, to the bit.
"""

import atexit
import contextlib
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils
from rich.console import Console

HEARTBEAT = 100
"""Seconds without a sign of life after which a process counts as lost."""
LOST = 3
"""The exit code of a process that has lost another."""


def join(processes: int | None = None, process: int | None = None, coordinator: str | None = None) -> None:
    """Make this one of `processes`, found at `coordinator` ("HOST:PORT", where process 0 listens), before any use of a
    device; without arguments, as Slurm and other schedulers say, where JAX knows them.

    Raises `ValueError` unless all three or none are given, and make sense.
    """
    said = {"--processes": processes, "--process": process, "--coordinator": coordinator}
    missing = [name for name, value in said.items() if value is None]
    if 0 < len(missing) < len(said):
        raise ValueError(f"train: {', '.join(said)} must come together, but {missing[0]} is missing. Give it too.")
    if processes is not None and process is not None and coordinator is not None:
        if processes < 1 or not 0 <= process < processes:
            raise ValueError(
                f"train: --process must be from 0 to --processes - 1, but it is {process} of {processes}. "
                "Number the processes from 0."
            )
        host, _, port = coordinator.rpartition(":")
        if not (host and port.isdecimal() and 0 < int(port) < 2**16):
            raise ValueError(
                f"train: --coordinator must be HOST:PORT, but it is {coordinator!r}. "
                "Give process 0's, as localhost:9000."
            )
    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM from us, and let nobody stop
    seconds = int(os.environ.get("RNNJAX_HEARTBEAT", HEARTBEAT))
    try:
        jax.distributed.initialize(
            coordinator, processes, process, initialization_timeout=3 * seconds, heartbeat_timeout_seconds=seconds,
            shutdown_timeout_seconds=seconds,
        )  # fmt: skip
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"train: all processes must find one another, but JAX says: {error}. Start all, or name the coordinator."
        ) from error


def leads() -> bool:
    """Whether this process tells of the run: the only one, or process 0 of many."""
    return jax.process_index() == 0


def everywhere() -> jax.sharding.Sharding:
    """A whole copy in every process, on its devices; of one process, on its first device."""
    if jax.process_count() == 1:
        return jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.NamedSharding(_all(), jax.P())


def _all():
    return jax.make_mesh((jax.device_count(),), ("all",), axis_types=(jax.sharding.AxisType.Auto,))


def first(make: Callable[[], str]) -> str:
    """What `make()` gives in process 0, in all processes. If it raises there, so do the others, of a `ValueError`."""
    if jax.process_count() == 1:
        return make()
    text, failure = "", None
    if leads():
        try:
            text = make()
        except Exception as error:
            failure = error
    said = np.zeros(4096, np.uint8)
    written = (b"!" if failure else b"=") + text.encode()
    said[: len(written)] = np.frombuffer(written, np.uint8)
    mark, text = (heard := bytes(multihost_utils.broadcast_one_to_all(said)).rstrip(b"\0"))[:1], heard[1:].decode()
    if failure:
        raise failure
    if mark == b"!":
        raise ValueError("train: process 0 must begin the run, but it could not. See what it says.")
    return text


def together(asked: Callable[[], bool]) -> Callable[[], bool]:
    """A question that any process may answer with True, as one that all answer alike, if all ask it equally often.

    What is asked goes out at once, and is heard at the next question: so no process waits for the others.
    """
    if jax.process_count() == 1:
        return asked
    across = jax.NamedSharding(_all(), jax.P("all"))
    anyone = jax.jit(lambda flags: flags.any(), out_shardings=everywhere())
    sent = []

    def ask():
        mine = np.full(jax.local_device_count(), asked())
        sent.append(anyone(jax.make_array_from_process_local_data(across, mine)))
        return len(sent) > 1 and bool(sent.pop(0))

    return ask


def meet(where: str) -> None:
    """Wait until all processes are here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(where)


def heard(console: Console) -> Console:
    """The console as this process may use it: what all but process 0 tell goes nowhere."""
    return console if leads() else Console(file=io.StringIO())


def follow(run) -> None:
    """Let all but process 0 write what they tell of a run, but for its checkpoints, to nowhere."""
    if not leads():
        run.path = Path(tempfile.mkdtemp(prefix="rnnjax-"))
        atexit.register(shutil.rmtree, run.path, ignore_errors=True)


@contextlib.contextmanager
def minded(again: str):
    """Within it the loss of another process ends this one with a message and the exit code `LOST`."""
    try:
        yield
    except Exception as error:
        if jax.process_count() == 1 or isinstance(error, ValueError | OSError):
            raise
        said = " ".join(str(error).split())[:200]
        print(
            f"rnnjax: train: all processes must live, but one was lost ({said}). Start all again, with: {again}",
            file=sys.stderr,
            flush=True,
        )
        os._exit(LOST)  # at a usual exit JAX would wait for the one that was lost
