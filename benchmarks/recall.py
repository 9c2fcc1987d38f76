"""Which gradient algorithms learn what lies further back than a window of truncated BPTT?

    python -m benchmarks.recall [--record] [--seeds 5]

Delayed XOR: an LSTM reads random bits, and has to answer for the first two, 20 steps later. Draws
`results/recall-cpu.png` beside the table.
"""

import functools
import time

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
import tyro

import rnnjax
from benchmarks.report import RESULTS, heading, publish, table, watch
from rnnjax.data import SILENT, delayed_xor
from rnnjax.train import begin
from rnnjax.train.update import stepped
from rnnjax.weights import chrono

matplotlib.use("Agg")
import matplotlib.pyplot as plt

LAG, WINDOW, UPDATES, B, M = 20, 8, 1000, 32, 16
NOISY = {"kf_rtrl": rnnjax.kf_rtrl, "uoro": rnnjax.uoro, "forward_gradient": rnnjax.forward_gradient}
WORDS = {
    "bptt": rnnjax.bptt,
    f"tbptt, window {WINDOW}": functools.partial(rnnjax.tbptt, window=WINDOW),
    "rtrl": rnnjax.rtrl,
    "snap of 1": rnnjax.snap,
    "eprop": rnnjax.eprop,
    "rflo": rnnjax.rflo,
    **NOISY,
}


def answer(y, target):
    """Cross entropy in nats where an answer is due."""
    bit = (target > 0).astype(y.dtype)
    return jnp.where(target == SILENT, 0, optax.sigmoid_binary_cross_entropy(y[0], bit))


def learn(name, seed):
    """The loss of every update, in nats an answer, and the share of right answers on 1000 new sequences."""
    network = rnnjax.stack(rnnjax.lstm(3, M, bias=chrono(2 * LAG)), rnnjax.dense(M, 1))
    learner = rnnjax.batch(rnnjax.with_loss(network, answer), B)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(3e-3 if name in NOISY else 1e-2))
    gradient, own = WORDS[name](learner), jax.random.key(seed)

    def one(training, x):
        keys = {"rflo": own} | {noisy: jax.random.fold_in(own, training.step) for noisy in NOISY}
        keyed = functools.partial(gradient, **({"key": keys[name]} if name in keys else {}))
        afresh = training._replace(state=learner.start(training.params))
        training, metrics = stepped(keyed, optimizer)(afresh, x)
        return training, metrics.loss * (LAG + 2)

    data = [delayed_xor(batch=B, lag=LAG, seed=[seed, step]) for step in range(UPDATES)]
    data = jax.tree.map(lambda *x: np.stack(x), *data)
    training, losses = jax.jit(functools.partial(jax.lax.scan, one))(begin(learner, optimizer, own), data)
    xs, targets = delayed_xor(batch=1000, lag=LAG, seed=[seed, UPDATES])
    _, ys = rnnjax.apply(network, training.params, np.swapaxes(xs, 0, 1))
    return np.asarray(losses), float(np.mean((ys[:, -1, 0] > 0) == targets[-1]))


def draw(found, path):
    """The learning curves of each word, all seeds and their median, a mean over 20 updates at each point."""
    figure, grid = plt.subplots(3, 3, figsize=(10, 7.5), sharex=True, sharey=True, layout="constrained")
    for axes, (name, runs) in zip(grid.flat, found.items()):
        curves = [np.convolve(losses, np.ones(20) / 20, "valid") for losses, _ in runs]
        for curve in curves:
            axes.plot(curve, color="#0072B2", lw=0.8, alpha=0.5)
        axes.plot(np.median(curves, axis=0), color="#D55E00", lw=2)
        axes.axhline(np.log(2), color="#555555", ls="--", lw=1)
        axes.set_title(name, fontsize=11)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    grid[0, 0].text(UPDATES, np.log(2) + 0.01, "chance", ha="right", va="bottom", color="#555555", fontsize=9)
    grid[0, 0].set_ylim(-0.02, 0.85)
    for axes in grid[-1]:
        axes.set_xlabel("update")
    for axes in grid[:, 0]:
        axes.set_ylabel("nats an answer")
    figure.suptitle(f"Delayed XOR, lag {LAG}: {len(runs)} seeds (blue) and their median (orange)")
    figure.savefig(path, dpi=110)


def main(record: bool = False, seeds: int = 5):
    """Train with each.

    Args:
        record: write the table and the picture to benchmarks/results/.
        seeds: runs of each.
    """
    used, found, rows = watch(), {}, []
    for name in WORDS:
        began = time.perf_counter()
        found[name] = [learn(name, seed) for seed in range(seeds)]
        took = (time.perf_counter() - began) / seeds
        late = np.median([losses[-100:].mean() for losses, _ in found[name]])
        right = " ".join(f"{share:.2f}" for _, share in found[name])
        rows.append((name, f"{late:.3f}", right, f"{took:.0f}"))
        print(*rows[-1], sep="  ", flush=True)
    text = heading(f"Delayed XOR, lag {LAG}", "optax")
    text += (
        f"\nLSTM of {M} with chrono bias, {B} sequences an update, {UPDATES} updates of Adam (rate 0.01, of the noisy"
    )
    text += f"\nones 0.003); seeds 0 to {seeds - 1}, each with data of its own. Chance: 0.693 nats, 0.50 right.\n\n"
    text += table(("", "nats, last 100 updates, median", "right on 1000 new, by seed", "s a run, with compiling"), rows)
    where = jax.default_backend()
    publish(text + f"\n![learning](recall-{where}.png)\n", used(), RESULTS / f"recall-{where}.md" if record else None)
    if record:
        draw(found, RESULTS / f"recall-{where}.png")


if __name__ == "__main__":
    tyro.cli(main)
