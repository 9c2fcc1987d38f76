"""How long does one step take in a stream, of an exported model beside PyTorch and ONNX Runtime?

    pip install '.[bench]' && python -m benchmarks.stream [--record] [--rounds 12]

An LSTM of m = 256, and a character model of two such layers, on one stream (B = 1). Each contender lives in a process
of its own, with as many threads as it likes, and is given x as a NumPy array and asked for y as one, while the state
stays with it. All give the same y, which is checked first.
"""

import importlib.util
import tempfile
from pathlib import Path

import numpy as np
import tyro

from benchmarks import serving
from benchmarks.report import RESULTS, heading, publish, table, watch
from benchmarks.timing import interleaved, least, own_process, ratio, typical

CONTENDERS = {
    "exported": (serving.exported, {}),
    "exported, params fixed": (serving.exported, {"fixed": True}),
    "rnnjax, jitted": (serving.jitted, {}),
    "torch, nn.LSTM": (serving.torch, {}),
    "torch, nn.LSTMCell": (serving.torch, {"cells": True}),
    "torch, nn.LSTMCell traced": (serving.torch, {"cells": True, "trace": True}),
    "ONNX Runtime": (serving.onnx, {}),
}
MODELS = {"layer": "One LSTM", "characters": "A character model: embedding, two LSTMs, readout"}
COLUMNS = "", "min µs", "median µs", "ratio to exported"


def measure(model, folder, places, rounds, steps):
    """The rows of one table: every contender built and held to the first, then timed in turns."""
    own_process()(serving.written, model, folder)
    ys, turns = {}, {}
    for name, place in places.items():
        build, options = CONTENDERS[name]
        ys[name], turns[name] = place(build, model, folder, **options)
        error = np.abs(ys[name] - ys["exported"]).max()
        if not error < 1e-5:
            raise SystemExit(f"stream: {name} must compute the y of the exported step, but it is off by {error:.1e}.")
    times = interleaved(turns, rounds=rounds, steps=steps, pause=0.1)
    for name, took in times.items():
        yield name, f"{1e6 * least(took):.0f}", f"{1e6 * typical(took):.0f}", f"{ratio(took, times['exported']):.2f}"


def main(record: bool = False, rounds: int = 12, steps: int = 200):
    """Time one step of every contender in turns.

    Args:
        record: write the tables to benchmarks/results/stream-cpu.md.
        rounds: turns of each contender.
        steps: steps timed in a turn.
    """
    others = watch()
    packages = [name for name in ("torch", "onnxruntime") if importlib.util.find_spec(name)]
    places = {name: own_process() for name in CONTENDERS if name != "ONNX Runtime" or "onnxruntime" in packages}
    text = heading("One step of a stream on a CPU", *packages)
    text += f"\nm = {serving.m}, B = 1, float32; {rounds} rounds of {steps} steps, each contender in its own process.\n"
    for model, title in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            rows = list(measure(model, Path(folder, "model"), places, rounds, steps))
        text += f"\n## {title}\n\n" + table(COLUMNS, rows)
    publish(text, others(), RESULTS / "stream-cpu.md" if record else None)


if __name__ == "__main__":
    tyro.cli(main)
