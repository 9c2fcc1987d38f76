"""Does a language model learn as well where its matrices are multiplied in bfloat16?

    python -m benchmarks.precision [--record] [--steps 1000]

The same runs of `rnnjax train` but for `--precision`: their learning curves, and what they reach. On a CPU products
in bfloat16 are float32 products of rounded numbers, so it is the learning that is compared here, not the time.
"""

import io
import tempfile
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import tyro
from rich.console import Console

from benchmarks.report import RESULTS, heading, table
from rnnjax.tasks import kept
from rnnjax.tasks.config import Config
from rnnjax.tasks.learn import learn

COLOURS = {"float32": "#0072B2", "bfloat16": "#D55E00"}


def trained(folder, precision, steps):
    """The training losses by step, and the held-out ones, in bits a character; and those on the test part."""
    config = Config(precision=precision, steps=steps, every=steps // 10)
    run, recipe = kept.create(Path(folder, precision), "language", config)
    assert learn(run, recipe, Console(file=io.StringIO()))
    logged = run.metrics()
    curves = {key: [(e["step"], e[key]) for e in logged if key in e] for key in ("train", "valid")}
    return {key: np.array(points).T for key, points in curves.items()}, recipe.measure(
        kept.trained(run, recipe).params, "test"
    )[recipe.unit]


def draw(found, path):
    """Both learning curves, and how far they are apart."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for name, (curves, _) in found.items():
        left.plot(*curves["train"], color=COLOURS[name], lw=0.8, alpha=0.5)
        left.plot(*curves["valid"], "o-", color=COLOURS[name], label=name)
    left.set(xlabel="training step", ylabel="bits a character", ylim=(1.5, 3.0))
    left.legend(title="points: held out")
    (one, _), (other, _) = found["float32"], found["bfloat16"]
    right.axhline(0, color="#555555", lw=0.8)
    right.plot(one["train"][0], other["train"][1] - one["train"][1], color="#555555", lw=0.8, label="training")
    right.plot(one["valid"][0], other["valid"][1] - one["valid"][1], "o-", color="#009E73", label="held out")
    right.set(xlabel="training step", ylabel="bfloat16 less float32 (bits a character)", ylim=(-0.1, 0.1))
    right.legend()
    figure.savefig(path, dpi=100)


def main(record: bool = False, steps: int = 1000):
    """Train in both.

    Args:
        record: write the table and the picture to benchmarks/results/.
        steps: updates of each.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = {precision: trained(folder, precision, steps) for precision in COLOURS}
    where = jax.default_backend()
    rows = [(name, f"{curves['valid'][1][-1]:.3f}", f"{test:.3f}") for name, (curves, test) in found.items()]
    text = heading("Products in bfloat16 beside float32", "optax")
    text += f"\n`rnnjax train --steps {steps} --precision ...`, bits a character.\n\n"
    text += table(("", "held out", "test"), rows) + f"\n![learning](precision-{where}.png)\n"
    print(text)
    if record:
        (RESULTS / f"precision-{where}.md").write_text(text)
        draw(found, RESULTS / f"precision-{where}.png")


if __name__ == "__main__":
    tyro.cli(main)
