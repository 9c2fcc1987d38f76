"""When does it pay to run time in parallel?

    python -m benchmarks.parallel [--record] [--rounds 3]

One stream of T steps, forward and backward, by each loop that the cell allows, each in a process of its own and in
turns; and the operations of the forward pass as they are counted in its program, with the longest chain of them. Draws
`results/parallel-cpu.png` beside the table.
"""

import functools
import math
from unittest import mock

import jax
import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import tyro

from benchmarks.count import counted
from benchmarks.layers import Facts, compiled
from benchmarks.report import RESULTS, heading, publish, table, watch
from benchmarks.timing import interleaved, own_process, paced, typical

TURN = 0.3
# name: how the cell is built, its size, how many steps, and its loops with their options
CELLS = {
    "mingru": ("mingru", 64, (10**3, 10**4, 10**5, 10**6), ("deferred", "rolled", "associative", "chunked")),
    "gru": ("gru", 16, (10**3, 10**4, 10**5, 10**6), ("deferred", "rolled", "newton", "newton, diagonal")),
    "mlstm": ("mlstm", 64, (10**3, 10**4, 10**5), ("deferred", "rolled", "chunked")),
    "gla": ("gla", 64, (10**3, 10**4), ("deferred", "rolled", "chunked")),
}
LOOPS = list(dict.fromkeys(loop for *_, loops in CELLS.values() for loop in loops))


def problem(name, m, T, loop):
    """A cell, its loop with the options, its params and its inputs."""
    import rnnjax

    cell = rnnjax.gla(m, m, m) if name == "gla" else getattr(rnnjax, name)(m, m)
    loop, _, diagonal = loop.partition(", ")
    options = {"jacobian": rnnjax.diagonal_jacobian} if diagonal else {}
    xs = np.random.default_rng(0).normal(size=(T, m)).astype(np.float32)
    return cell, functools.partial(getattr(rnnjax, loop), **options), cell.init(jax.random.key(0)), xs


def timed(name, m, T, loop):
    """The gradient, as a contender."""
    cell, run, params, xs = problem(name, m, T, loop)
    times = np.random.default_rng(1).normal(size=(T, m)).astype(np.float32)
    return compiled(lambda params, xs: run(cell, params, cell.start(params), xs)[1], params, xs, times, True)


def operations(name, m, T, loop):
    """Work and depth of the forward pass as a GPU would run it, and the iterations of Newton's method."""
    import rnnjax

    cell, run, params, xs = problem(name, m, T, loop)
    trips = 0
    if run.func is rnnjax.newton:
        solve = functools.partial(rnnjax.solve, cell, **run.keywords)
        trips = int(jax.jit(solve)(params, cell.start(params), xs).iterations)
    with mock.patch.object(jax, "default_backend", lambda: "gpu"):
        return (*counted(functools.partial(run, cell), params, cell.start(params), xs, trips=trips), trips), None


def measure(name, places, rounds):
    """{T: {loop: (facts, seconds, work, depth, iterations)}}"""
    build, m, lengths, loops = CELLS[name]
    found = {}
    for T in lengths:
        counts, facts, turns = {}, {}, {}
        for loop in loops:
            counts[loop], _ = places[loop](operations, build, m, T, loop)
            facts[loop], turn = places[loop](timed, build, m, T, loop)
            turns[loop] = paced(turn, TURN)
        agree(name, T, facts)
        times = interleaved(turns, rounds=rounds if T < 10**6 else 1, steps=1, warm=0, pause=0.1)
        found[T] = {loop: (facts[loop], times[loop], *counts[loop]) for loop in loops}
        print(name, T, {loop: f"{1e3 * typical(t):.4g} ms" for loop, t in times.items()}, flush=True)
    return found


def agree(name, T, facts: dict[str, Facts]):
    """Refuse to time what does not compute the same."""
    for loop, its in facts.items():
        for mine, other in zip(its[:3], facts["deferred"][:3]):
            if not math.isclose(mine, other, rel_tol=2e-3, abs_tol=1e-2 * T**0.5):
                raise SystemExit(f"{name}, T = {T}: {loop} gives {mine} where deferred gives {other}.")


def draw(found, path):
    figure, axes = plt.subplots(2, len(found), figsize=(14, 6.5), sharex="col", layout="constrained")
    for column, (name, points) in zip(axes.T, found.items()):
        for loop in CELLS[name][3]:
            style = dict(color=f"C{LOOPS.index(loop)}", marker="o", ms=3, label=loop)
            column[0].loglog(list(points), [1e3 * typical(its[loop][1]) for its in points.values()], **style)
            column[1].loglog(list(points), [its[loop][0].memory / 2**20 for its in points.values()], **style)
        column[0].set_title(f"{name}, m = {CELLS[name][1]}", fontsize=10)
        column[1].set_xlabel("T")
        column[0].legend(fontsize=8)
        for axis in column:
            axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("ms, forward + backward")
    axes[1, 0].set_ylabel("temporary memory, MiB")
    figure.savefig(path, dpi=110)


def main(record: bool = False, rounds: int = 3):
    """Time, memory, work and depth over T.

    Args:
        record: write the table and the picture to benchmarks/results/.
        rounds: turns of each contender at each point, below a million steps.
    """
    used = watch()
    places = {loop: own_process() for loop in LOOPS}
    text, found = heading("Time in parallel"), {}
    text += (
        "\nOne stream, forward + backward: median ms / MiB of temporary memory. Then the forward pass as counted in "
        "its program for a GPU: millions of operations / the longest chain of them, each on whole arrays.\n"
    )
    for name, (_, m, _, loops) in CELLS.items():
        found[name] = measure(name, places, rounds)
        rows, counts = [], []
        for T, its in found[name].items():
            rows.append([T, *(f"{1e3 * typical(its[k][1]):.4g} / {its[k][0].memory / 2**20:.3g}" for k in loops)])
            counts.append([T, *(f"{its[k][2] / 1e6:.4g} / {its[k][3]}" + iterations(its[k][4]) for k in loops)])
        text += f"\n## {name}({m}, {m})\n\n" + table(("T", *loops), rows) + "\n" + table(("T", *loops), counts)
    where = "gpu" if jax.default_backend() == "gpu" else "cpu"
    path = RESULTS / f"parallel-{where}.md" if record else None
    publish(text + f"\n![parallel](parallel-{where}.png)\n", used(), path)
    if record:
        draw(found, RESULTS / f"parallel-{where}.png")


def iterations(trips):
    return f" ({trips} iterations)" if trips else ""


if __name__ == "__main__":
    tyro.cli(main)
