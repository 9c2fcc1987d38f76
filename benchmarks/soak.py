"""Does a long run grow? The loop of `learn` for 100 000 steps: its memory, and how often it compiles.

    python -m benchmarks.soak [--record] [--steps 100000]

`learn` itself trains a tiny model of the shipped text, with its metrics, checkpoints, evaluations and bar off a
terminal. The memory that the process holds is read as often as a checkpoint is written, and every program that XLA
compiles is counted, with the step at which it was. Then checkpoints alone are saved, in processes of
their own: as they are; with one arena of glibc's `malloc` for all threads; and besides without TensorStore's counts of
its own work, which Orbax asks for at each save: TensorStore 0.1.86 never frees the lists that it gives.
"""

import contextlib
import io
import logging
import multiprocessing
import os
import re
import tempfile
import time
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import psutil
import tyro
from rich.console import Console

from benchmarks.report import RESULTS, heading, table
from rnnjax.tasks import kept, language, learn
from rnnjax.train import begin
from rnnjax.train.checkpoint import Checkpoints

TINY = dict(m=8, embed=4, batch=4, window=8)


@contextlib.contextmanager
def compiled(step):
    """Within it a list grows with (the step, the program's name) of all that XLA compiles."""
    found = []

    class Handler(logging.Handler):
        def emit(self, record):
            if name := re.match(r"Finished XLA compilation of (\S+)", record.getMessage()):
                found.append((step(), name[1]))

    handler, loggers = Handler(), [logging.getLogger(f"jax._src.{name}") for name in ("dispatch", "interpreters.pxla")]
    for logger in loggers:  # what is counted is not printed
        logger.propagate = False
        logger.addHandler(handler)
    try:
        with jax.log_compiles():
            yield found
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True


def soak(folder: Path, steps: int, every: int):
    """Train so long: (MiB of memory at each `every` steps, what was compiled when, seconds)."""
    config = language.Config(**TINY, steps=steps, every=every * 10)
    run, recipe = kept.create(folder, "language", config)
    process, memory, at = psutil.Process(), [], [0]

    def batch_at(step):
        at[0] = step
        if step % every == 0:
            memory.append(process.memory_info().rss / 2**20)
        return recipe.batch_at(step)

    short = recipe._replace(
        batch_at=batch_at, baselines=lambda part: {}, measure=lambda params, part: {recipe.unit: 1.0}
    )
    began = time.perf_counter()
    with compiled(lambda: at[0]) as programs:
        assert learn.learn(run, short, Console(file=io.StringIO()))
    return np.array(memory), programs, time.perf_counter() - began, run.path / "metrics.jsonl"


def saved(count: int, counted: bool):
    """MiB of memory after each of so many saves of the tiny model."""
    process, memory = psutil.Process(), []
    uncounted = mock.patch("tensorstore.experimental_collect_matching_metrics", return_value=[])
    with tempfile.TemporaryDirectory() as folder, contextlib.nullcontext() if counted else uncounted:
        _, recipe = kept.create(Path(folder, "run"), "language", language.Config(**TINY))
        training, checkpoints = begin(recipe, recipe.optimizer, jax.random.key(0)), Checkpoints(Path(folder, "saves"))
        for step in range(1, count + 1):
            checkpoints.save(training._replace(step=jnp.int32(step)), score=-step, data={"next_index": step})
            checkpoints.wait()
            memory.append(process.memory_info().rss / 2**20)
    return np.array(memory)


def alone(count: int):
    """A table of `saved`, each row in a process of its own."""
    rows = []
    for arenas, counted in (None, True), ("1", True), ("1", False):
        surroundings = mock.patch.dict(os.environ, {"MALLOC_ARENA_MAX": arenas} if arenas else {})
        with surroundings, multiprocessing.get_context("spawn").Pool(1) as pool:
            memory = pool.apply(saved, (count, counted))
        what = "MALLOC_ARENA_MAX=1" * bool(arenas) + ", without TensorStore's counts" * (not counted)
        first, second = memory[count // 2] - memory[0], slope(memory)
        rows.append(
            (what or "as they are", f"{memory[0]:.1f}", f"{1024 * first / (count // 2):+.1f}", f"{second:+.1f}")
        )
    return table((f"{count} saves alone", "MiB after the first", "KiB a save, first half", "second half"), rows)


def slope(memory):
    """KiB a look, over the second half, by least squares."""
    half = memory[len(memory) // 2 :]
    return 1024 * np.polyfit(np.arange(len(half)), half, 1)[0]


def main(record: bool = False, steps: int = 100_000, every: int = 1000, saves: int = 100):
    """Train a tiny model for long.

    Args:
        record: write the table to benchmarks/results/soak-cpu.md.
        steps: updates to make.
        every: steps between looks at the memory.
        saves: checkpoints to save alone, each of three times.
    """
    with tempfile.TemporaryDirectory() as folder:
        memory, programs, seconds, metrics = soak(Path(folder, "run"), steps, every)
        lines = len(metrics.read_text().splitlines())
    marks = np.linspace(0, len(memory) - 1, 11).astype(int)
    rows = [(f"{k * every:,}", f"{memory[k]:.1f}") for k in marks]
    late = [(step, name) for step, name in programs if step > 0]
    text = heading("A long run", "optax", "orbax-checkpoint", "numpy")
    text += f"\n`learn`, {steps:,} steps of a 1 x lstm({TINY['m']}), batch {TINY['batch']}, window {TINY['window']}: "
    text += f"{seconds:.0f} s, {1e3 * seconds / steps:.3f} ms a step, {lines:,} lines of metrics, and a checkpoint "
    text += f"every {10 * every:,} steps.\n\n" + table(("step", "memory held, MiB"), rows)
    text += f"\nOver the second half {1000 / every * slope(memory):+.2f} KiB a thousand steps, by least squares.\n"
    text += f"\nThe update was compiled {sum(name == 'jit(step)' for _, name in programs)} time. Of {len(programs)} "
    text += f"programs compiled, {len(late)} after the first step"
    text += "".join(f"; step {step:,}: {name}" for step, name in late) + ".\n"
    text += f"\n{alone(saves)}"
    print(text)
    if record:
        (RESULTS / "soak-cpu.md").write_text(text)


if __name__ == "__main__":
    tyro.cli(main)
