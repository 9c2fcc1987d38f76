"""How fast is one recurrent layer, forward and backward, in this library and in every other?

    pip install '.[bench]' && python -m benchmarks.peers [--record] [--cells lstm gru] [--rounds 5]

One table a cell over a grid of shapes: time, compile time and temporary memory, and the ratios to the `floor` (the
matrix products alone, through XLA), to PyTorch and to the fastest other JAX library. Each contender lives in a process
of its own and they take turns, since PyTorch's pool of threads waits by spinning, and would take a core from XLA's.
All compute the same numbers, which is checked first, but for Haiku's RNN, which has ReLU, and its GRU, which resets
before the product.
On a GPU, cuDNN from JAX and PyTorch in 16 bits take part.
"""

import math
import shutil

import tyro

from benchmarks import layers, others
from benchmarks.report import RESULTS, heading, publish, table, watch
from benchmarks.timing import interleaved, least, own_process, paced, ratio, typical

SHAPES = [
    (4, 200, 256, 512),
    (1, 500, 256, 512),
    (32, 200, 256, 256),
    (32, 100, 64, 128),
    (20, 35, 200, 200),
    (64, 256, 256, 512),
    (128, 28, 28, 128),
    (1, 1000, 32, 64),
]
ON_GPU = [(16, 1024, 768, 768)]
OURS = {"rnnjax": {}, "rnnjax, user's cell": {"own": True}, "rnnjax, rolled": {"loop": "rolled"}}
JAX = {"flax": others.flax, "haiku": others.haiku, "equinox": others.equinox, "keras": others.keras}
OWN_EQUATIONS = ("haiku", "rnn"), ("haiku", "gru")
TURN = 0.25  # seconds of one turn


def contenders(cell, gpu):
    """{name: (build, options)}"""
    rows = {name: (layers.rnnjax, options) for name, options in OURS.items()}
    rows |= {name: (build, {}) for name, build in JAX.items() if (name, cell) != ("equinox", "rnn")}
    rows |= {"torch": (others.torch, {}), "floor": (layers.floor, {})}
    if gpu:
        rows |= {f"torch, {d}": (others.torch, {"dtype": d}) for d in ("float16", "bfloat16")}
        rows |= {"cudnn": (others.cudnn, {})} if cell == "lstm" else {}
    return rows


def agree(name, facts, reference, rtol=1e-3):
    """Refuse to time what computes something else."""
    for mine, theirs, what in zip(facts[:3], reference[:3], facts._fields):
        if None not in (mine, theirs) and not math.isnan(mine) and abs(mine - theirs) > rtol * (1 + abs(theirs)):
            raise SystemExit(f"peers: {name} must compute the {what} of rnnjax, {theirs:.5g}, but it gives {mine:.5g}.")


def measure(cell, shape, backward, rounds, places, gpu):
    """{name: (facts, seconds of its steps, one list a round)}"""
    facts, turns = {}, {}
    for name, (build, options) in contenders(cell, gpu).items():
        facts[name], turn = places[name](build, cell, shape, backward, **options)
        if (name, cell) not in OWN_EQUATIONS and name not in ("cudnn", "torch, float16", "torch, bfloat16"):
            agree(f"{name} on {cell} {shape}", facts[name], facts["rnnjax"])
        turns[name] = paced(turn, TURN)
    times = interleaved(turns, rounds=rounds, steps=1, warm=0, pause=0.1)
    return {name: (facts[name], times[name]) for name in facts}


def rows(found):
    """One row a contender: how long it took, and how that compares."""
    jax_best = min((typical(found[name][1]), name) for name in JAX if name in found)[1]
    for name, (facts, times) in found.items():
        compile, memory = ("–", "–") if facts.compile is None else (facts.compile, facts.memory / 2**20)
        ratios = [ratio(times, found[other][1]) for other in ("floor", "torch", jax_best)]
        cost = [x if isinstance(x, str) else f"{x:.2f}" if x < 10 else f"{x:.0f}" for x in (compile, memory)]
        yield [name, *(f"{1e3 * f(times):.4g}" for f in (least, typical)), *(f"{r:.2f}" for r in ratios), *cost], ratios


def geometric(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def summary(cell, tables):
    """What the grid says on the whole: geometric means, and the worst shape, forward and backward together."""
    for name in tables[0][1]:
        ratios = [found[name] for _, found in tables if name in found]
        means = [f"{geometric([r[k] for r in ratios]):.2f} ({max(r[k] for r in ratios):.2f})" for k in range(3)]
        yield [f"{cell}, {name}", *means]


def main(record: bool = False, cells: tuple[str, ...] = ("rnn", "lstm", "gru"), rounds: int = 5, most: int = 99):
    """Time one layer in every library.

    Args:
        record: write the tables to benchmarks/results/peers-cpu.md (or -gpu).
        cells: of rnn, lstm, gru.
        rounds: turns of each contender at each shape.
        most: only so many of the shapes.
    """
    others_used = watch()
    gpu = shutil.which("nvidia-smi") is not None
    shapes = [*SHAPES, *(ON_GPU if gpu else [])][:most]
    places = {name: own_process() for cell in cells for name in contenders(cell, gpu)}
    text = heading("One recurrent layer, beside the peers", "flax", "dm-haiku", "equinox", "keras", "torch")
    text += __doc__.partition("\n\n")[2].partition("\n\n")[2]
    text += "\nms: min / median of the steps; ratios: median over rounds of medians, to the floor, PyTorch, and the\n"
    text += "fastest other JAX library at that shape. B, T, n, m: streams, steps, inputs, state. float32.\n"
    overall = []
    for cell in cells:
        tables = []
        for shape in shapes:
            for backward in (False, True):
                found = measure(cell, shape, backward, rounds, places, gpu)
                lines = dict(zip(found, rows(found)))
                title = f"\n### {cell}, {'forward + backward' if backward else 'forward'}, B,T,n,m = {shape}\n\n"
                columns = "", "min ms", "median ms", "to floor", "to torch", "to best JAX peer", "compile s", "temp MiB"
                part = title + table(columns, [line for line, _ in lines.values()])
                print(part, flush=True)
                text += part
                if backward:
                    tables.append((shape, {name: ratios for name, (_, ratios) in lines.items()}))
        overall += summary(cell, tables)
    text += "\n## On the whole: forward + backward, geometric mean over the shapes (and the worst)\n\n"
    text += table(("", "to floor", "to torch", "to best JAX peer"), overall)
    publish(text, others_used(), RESULTS / f"peers-{'gpu' if gpu else 'cpu'}.md" if record else None)


if __name__ == "__main__":
    tyro.cli(main)
