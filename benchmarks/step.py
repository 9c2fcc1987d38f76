"""How long does one training step of a deep LSTM take, beside Flax NNX and PyTorch?

    python -m benchmarks.step [--record] [--rounds 12] [--together]

Each contender lives in a process of its own, and they take turns: a pool of threads that waits by spinning, as
OpenMP's does for a while, would otherwise take a core from the next one. `--together` puts all in one process, to see
how much that matters; it has not been measured yet on a machine quiet enough to tell.
"""

import numpy as np
import tyro

import rnnjax
from benchmarks import contenders, problem
from benchmarks.report import RESULTS, heading, publish, table, watch
from benchmarks.timing import interleaved, least, own_process, ratio, this_process, typical

ROWS = {
    "lstm": {
        "rnnjax": (contenders.ours, {}),
        "rnnjax, loop=rolled": (contenders.ours, {"loop": rnnjax.rolled}),
        "rnnjax, loop=checkpointed": (contenders.ours, {"loop": rnnjax.checkpointed}),
        "rnnjax, unroll=4": (contenders.ours, {"unroll": 4}),
        "rnnjax, tbptt(window=16)": (contenders.ours, {"window": 16}),
        "rnnjax, tbptt(window=64)": (contenders.ours, {"window": 64}),
        "Flax NNX, OptimizedLSTMCell": (contenders.flax, {}),
        "PyTorch, nn.LSTM": (contenders.torch, {}),
    },
    "gru": {
        "rnnjax": (contenders.ours, {}),
        "rnnjax, loop=rolled": (contenders.ours, {"loop": rnnjax.rolled}),
        "Flax NNX, GRUCell": (contenders.flax, {}),
        "PyTorch, nn.GRU": (contenders.torch, {}),
    },
}
COLUMNS = "", "compile s", "min ms", "median ms", "ratio to rnnjax", "temp MiB"


def agree(name, facts, reference, rtol=1e-4):
    """Refuse to time a model whose loss, or any gradient, is not that of the reference; in units of its largest."""
    mine, theirs = ({"loss": f.loss} | (f.grads or {}) for f in (facts, reference))
    for key in mine:
        error = np.abs(mine[key] - theirs[key]).max() / np.abs(theirs[key]).max()
        if not error < rtol:
            raise SystemExit(f"step: {name} must compute the same {key} as rnnjax, but it is off by {error:.1e}.")


def measure(cell, places, rounds, steps):
    """The rows of one table: every contender built and held to the first, then timed in turns."""
    facts, turns = {}, {}
    for name, (build, options) in ROWS[cell].items():
        facts[name], turns[name] = places[name](build, cell, **options)
        agree(name, facts[name], facts["rnnjax"])
    times = interleaved(turns, rounds=rounds, steps=steps)
    for name, fact in facts.items():
        took = 1e3 * least(times[name]), 1e3 * typical(times[name]), ratio(times[name], times["rnnjax"])
        cost = ("–", "–") if fact.compile is None else (f"{fact.compile:.1f}", f"{fact.memory / 2**20:.0f}")
        yield name, cost[0], f"{took[0]:.1f}", f"{took[1]:.1f}", f"{took[2]:.2f}", cost[1]


def main(record: bool = False, rounds: int = 12, steps: int = 3, together: bool = False):
    """Time the training step of every contender in turns.

    Args:
        record: write the table to benchmarks/results/step-cpu.md.
        rounds: turns of each contender.
        steps: steps timed in a turn.
        together: all in one process, to see how their threads disturb each other.
    """
    others = watch()
    names = {name for rows in ROWS.values() for name in rows}
    places = {name: this_process if together else own_process() for name in names}
    where = "all in one process" if together else "each contender in its own process"
    text = heading("One training step on a CPU", "flax", "optax", "torch")
    text += (
        f"\n`deep(cell, {problem.n}, {problem.m}, layers=2)`, a dense readout to {problem.n}, cross entropy, "
        f"clipping, Adam; B = {problem.B}, T = {problem.T}, float32. All losses agree, "
        "and all gradients but that of tbptt(window=16), which stops at its windows. "
        f"{rounds} rounds of {steps} steps, {where}.\n"
    )
    for cell in ROWS:
        text += f"\n## {cell.upper()}\n\n" + table(COLUMNS, measure(cell, places, rounds, steps))
    publish(text, others(), RESULTS / "step-cpu.md" if record else None)


if __name__ == "__main__":
    tyro.cli(main)
