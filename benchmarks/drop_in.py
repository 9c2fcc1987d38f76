"""What does a cell cost as a Flax module, beside the same cell in `rnnjax.scan` and Flax's own?

    pip install '.[bench]' && python -m benchmarks.drop_in [--record] [--rounds 12]

One LSTM, forward and backward, under `jax.jit`. The modules of rnnjax and of Flax hold the same weights, and give the
same loss, which is checked first.
"""

import jax
import jax.numpy as jnp
import tyro
from flax import linen, nnx, serialization

import rnnjax.interop.linen
import rnnjax.interop.nnx
from benchmarks.report import RESULTS, heading, publish, table, watch
from benchmarks.timing import interleaved, least, own_process, ratio, typical

SHAPES = [(32, 100, 64, 128), (4, 200, 256, 512), (128, 28, 28, 128), (1, 500, 64, 64)]
CONTENDERS = "rnnjax.scan", "nnx.Recurrent", "linen.Recurrent", "flax nnx.RNN", "flax linen.RNN"


def build(name, shape):
    """The loss, and one step: the loss and its gradients."""
    B, T, n, m = shape
    xs = jax.random.normal(jax.random.key(1), (B, T, n))
    cell = rnnjax.lstm(n, m)
    params, rest = cell.init(jax.random.key(0)), None
    if name == "rnnjax.scan":

        def run(params, rest):
            return rnnjax.apply(cell, params, xs)[1]

    elif "nnx" in name:
        if name == "nnx.Recurrent":
            module = rnnjax.interop.nnx.Recurrent(cell, params=params, rngs=nnx.Rngs(0))
        else:
            module = nnx.RNN(nnx.OptimizedLSTMCell(n, m, rngs=nnx.Rngs(0)))
            rnnjax.interop.nnx.dump(params, cell, module)
        graph, params, rest = nnx.split(module, nnx.Param, ...)

        def run(params, rest):
            return nnx.merge(graph, params, rest, copy=True)(xs)

    else:
        ours = name == "linen.Recurrent"
        module = rnnjax.interop.linen.Recurrent(cell) if ours else linen.RNN(linen.OptimizedLSTMCell(m))
        start = module.init(jax.random.key(0), xs)
        if ours:
            params = {"params": {"cell": serialization.to_state_dict(params)}}
        else:
            params = rnnjax.interop.linen.dump(params, cell, start)

        def run(params, rest):
            return module.apply(params, xs)

    step = jax.jit(jax.value_and_grad(lambda params, rest: jnp.mean(run(params, rest) ** 2)))
    return float(step(params, rest)[0]), lambda: jax.block_until_ready(step(params, rest))


def main(record: bool = False, rounds: int = 12, steps: int = 10):
    """Time every contender in turns.

    Args:
        record: write the table to benchmarks/results/drop_in-cpu.md.
        rounds: turns of each contender.
        steps: steps timed in a turn.
    """
    others = watch()
    places = {name: own_process() for name in CONTENDERS}
    rows = []
    for shape in SHAPES:
        losses, turns = {}, {}
        for name in CONTENDERS:
            losses[name], turns[name] = places[name](build, name, shape)
            if abs(losses[name] / losses["rnnjax.scan"] - 1) > 1e-4:
                raise SystemExit(f"drop_in: {name} must give the loss of rnnjax.scan, but it gives {losses[name]:.5g}.")
        times = interleaved(turns, rounds=rounds, steps=steps, pause=0.1)
        for name, took in times.items():
            row = f"{1e3 * least(took):.2f}", f"{1e3 * typical(took):.2f}", f"{ratio(took, times['rnnjax.scan']):.2f}"
            rows.append((str(shape), name, *row))
    text = heading("An LSTM as a Flax module", "flax") + f"\nForward and backward, float32; {rounds} rounds.\n\n"
    text += table(("B, T, n, m", "", "min ms", "median ms", "ratio to rnnjax.scan"), rows)
    publish(text, others(), RESULTS / "drop_in-cpu.md" if record else None)


if __name__ == "__main__":
    tyro.cli(main)
