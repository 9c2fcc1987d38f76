"""How much longer does `rnnjax train` take a step than its compiled update alone?

    python -m benchmarks.overhead [--record] [--rounds 10]

Five loops over the same training take turns in one process, each for a block of steps that ends by waiting for the
last: the update alone on one window; the same, which skips steps that are not finite; `fit` with its windows and
restarts; that with all that `learn` does beside (Grain's batches, reading metrics one step late, logging, asking for
Ctrl-C), off a terminal and with a progress bar on one: its own loop, `told`, but for checkpoints and evaluations.
"""

import io
import itertools
import tempfile
import time
from pathlib import Path
from statistics import median

import jax
import tyro
from rich.console import Console

from benchmarks.report import RESULTS, heading, publish, table, watch
from benchmarks.timing import interleaved, least, ratio, typical
from rnnjax.tasks import kept, language, learn
from rnnjax.train import begin, fit, update
from rnnjax.train.feed import feed
from rnnjax.train.interrupt import interruptible

CONFIGS = {
    "defaults": language.Config(),
    "m=64, batch=8": language.Config(m=64, batch=8),
}
ENDLESS = 10**9


def bare(one_step, training, batch):
    """The update alone, on one window that is on the device already."""
    while True:
        training, metrics = one_step(training, batch)
        yield training, metrics


def plain(loop):
    """A function `block` of so many steps of a loop, without a look at its metrics."""

    def block(steps):
        *_, latest = itertools.islice(loop, steps)
        jax.block_until_ready(latest)

    return block


def measure(config, folder, rounds, steps):
    """Seconds a step of each loop, a list a round; and seconds of a checkpoint, an evaluation and a curve."""
    run, recipe = kept.create(folder, "language", config)
    training = begin(recipe, recipe.optimizer, jax.random.key(config.seed))
    one_step = update(recipe.gradient, recipe.optimizer, skip=True)
    window = jax.device_put(recipe.batch_at(0))
    run.config["options"] |= {"steps": ENDLESS, "every": ENDLESS}

    def copy():
        return jax.tree.map(lambda x: x + 0, training)

    def fitted():
        return fit(one_step, copy(), lambda step: (recipe.batch_at(step),), ENDLESS, restart=recipe.restart)

    def told(console):
        with interruptible() as interrupted, feed(recipe.batch_at, ENDLESS) as batches:
            yield from learn.told(run, recipe, one_step, copy(), batches, console, interrupted, learn.clock(run))

    dumb, terminal = (Console(file=io.StringIO(), force_terminal=on) for on in (False, True))
    blocks = {
        "the update alone": plain(bare(update(recipe.gradient, recipe.optimizer), copy(), window)),
        "which skips": plain(bare(one_step, copy(), window)),
        "fit, windows and restarts": plain(fitted()),
        "the whole loop": plain(told(dumb)),
        "the whole loop with its bar": plain(told(terminal)),
    }

    def turn(block):
        return lambda _: [timed(block, steps) / steps]

    times = interleaved({name: turn(block) for name, block in blocks.items()}, rounds=rounds, steps=1, warm=1)
    saved = (training._replace(step=jax.numpy.int32(k)) for k in itertools.count(1))
    pauses = {
        "a checkpoint": lambda: run.checkpoints.save(next(saved)),
        "an evaluation": lambda: recipe.measure(training.params, "valid"),
        "a curve": lambda: draw(run, recipe),
    }
    return times, {name: median([timed(act) for _ in range(4)][1:]) for name, act in pauses.items()}


def draw(run, recipe):
    with learn.drawn(run, recipe, {"a baseline": 2.0}):
        pass


def timed(act, *args):
    began = time.perf_counter()
    act(*args)
    return time.perf_counter() - began


def main(record: bool = False, rounds: int = 10, block: int = 50):
    """Time the training loop beside its compiled update.

    Args:
        record: write the tables to benchmarks/results/overhead-cpu.md.
        rounds: blocks of each loop.
        block: steps in a block.
    """
    others, text = watch(), heading("The training loop over its compiled update", "optax", "orbax-checkpoint")
    text += f"\nMilliseconds a step, {rounds} rounds of blocks of {block} steps.\n"
    for name, config in CONFIGS.items():
        with tempfile.TemporaryDirectory() as folder:
            times, pauses = measure(config, Path(folder, "run"), rounds, block)
        bare = times["the update alone"]
        rows = [
            (k, *(f"{1e3 * f(t):.2f}" for f in (least, typical)), f"{ratio(t, bare):.3f}") for k, t in times.items()
        ]
        text += f"\n## {name}\n\n" + table(("", "min ms", "median ms", "ratio"), rows) + "\n"
        span = config.every * typical(times["the whole loop"])
        rows = [(k, f"{1e3 * t:.0f}", f"{t / span:.1%}") for k, t in pauses.items()]
        text += table((f"every {config.every} steps", "ms", "of the steps' time"), rows)
    publish(text, others(), RESULTS / "overhead-cpu.md" if record else None)


if __name__ == "__main__":
    tyro.cli(main)
