"""How do time and memory of a layer's gradient grow with the number of steps, of streams, and of units?

    python -m benchmarks.growth [--record] [--rounds 3]

An LSTM, forward and backward, one of T, B and m varied at a time, and n = m. Each contender in a process of its own,
in turns. Draws `results/growth-cpu.png` beside the table.
"""

import jax
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import tyro

from benchmarks import layers, others
from benchmarks.report import RESULTS, heading, publish, table, watch
from benchmarks.timing import interleaved, own_process, paced, typical

CONTENDERS = {
    "deferred": (layers.rnnjax, {}),
    "rolled": (layers.rnnjax, {"loop": "rolled"}),
    "checkpointed": (layers.rnnjax, {"loop": "checkpointed"}),
    "torch": (others.torch, {}),
}
# shapes are (B, T, n, m)
SWEEPS = {
    "T": {T: (4, T, 64, 64) for T in (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)},
    "B": {B: (B, 100, 128, 128) for B in (1, 2, 4, 8, 16, 32, 64, 128, 256)},
    "m": {m: (16, 50, m, m) for m in (16, 32, 64, 128, 256, 512, 1024)},
}
FIXED = {"T": "B = 4, n = m = 64", "B": "T = 100, n = m = 128", "m": "B = 16, T = 50, n = m"}
TURN = 0.2


def measure(shape, places, rounds):
    """{name: (facts, seconds of its steps)}"""
    facts, turns = {}, {}
    for name, (build, options) in CONTENDERS.items():
        facts[name], turn = places[name](build, "lstm", shape, True, **options)
        turns[name] = paced(turn, TURN)
    times = interleaved(turns, rounds=rounds, steps=1, warm=0, pause=0.1)
    return {name: (facts[name], times[name]) for name in facts}


def draw(found, path):
    """Milliseconds in the upper row, temporary memory in the lower, one column a sweep."""
    figure, axes = plt.subplots(2, len(SWEEPS), figsize=(12, 6.5), sharex="col", layout="constrained")
    for column, (name, points) in zip(axes.T, found.items()):
        for contender in CONTENDERS:
            at = list(points)
            column[0].loglog(at, [1e3 * typical(points[x][contender][1]) for x in at], "o-", ms=3, label=contender)
            memory = [points[x][contender][0].memory for x in at]
            if None not in memory:
                column[1].loglog(at, [b / 2**20 for b in memory], "o-", ms=3, label=contender)
        column[0].set_title(f"{name} ({FIXED[name]})", fontsize=10)
        column[1].set_xlabel(name)
        for axis in column:
            axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("ms, forward + backward")
    axes[1, 0].set_ylabel("temporary memory, MiB")
    axes[0, 0].legend()
    figure.savefig(path, dpi=110)


def main(record: bool = False, rounds: int = 3):
    """Vary T, B and m, one at a time.

    Args:
        record: write the table and the picture to benchmarks/results/.
        rounds: turns of each contender at each point.
    """
    used = watch()
    places = {name: own_process() for name in CONTENDERS}
    text, found = heading("How cost grows", "torch"), {}
    text += "\nLSTM, forward + backward: median ms / MiB of temporary memory.\n"
    for name, shapes in SWEEPS.items():
        found[name] = {x: measure(shape, places, rounds) for x, shape in shapes.items()}
        rows = []
        for x, its in found[name].items():
            cells = [
                f"{1e3 * typical(t):.4g}" + (f" / {f.memory / 2**20:.3g}" if f.memory else "") for f, t in its.values()
            ]
            rows.append([x, *cells])
        part = f"\n## {name} ({FIXED[name]})\n\n" + table((name, *CONTENDERS), rows)
        print(part, flush=True)
        text += part
    where = "gpu" if jax.default_backend() == "gpu" else "cpu"
    publish(text + f"\n![growth](growth-{where}.png)\n", used(), RESULTS / f"growth-{where}.md" if record else None)
    if record:
        draw(found, RESULTS / f"growth-{where}.png")


if __name__ == "__main__":
    tyro.cli(main)
