"""What does each gradient algorithm cost as time goes on, and how noisy are the random ones?

    python -m benchmarks.credit [--record]

An LSTM and a diagonal recurrence with a loss at every step: time and temporary memory over T. Then the variance of the
unbiased estimates, over T.
"""

import functools
import time

import jax
import jax.numpy as jnp
import optax
import tyro
from jax.flatten_util import ravel_pytree

import rnnjax
from benchmarks.report import RESULTS, heading, publish, table, watch

WIDTH, STEPS, DRAWS = 16, (100, 1_000, 10_000, 100_000), 2000
UNBIASED = {"kf_rtrl": rnnjax.kf_rtrl, "uoro": rnnjax.uoro, "forward_gradient": rnnjax.forward_gradient}
RANDOM = UNBIASED | {"rflo": rnnjax.rflo}


def half(y, target):
    return 0.5 * jnp.square(y - target).sum()


def diagonal(n, m):
    """The minimal GRU of Feng et al. 2024: no unit waits for another."""

    def init(key):
        return *jax.random.normal(key, (2, n, m)) / n**0.5, jnp.zeros(m)

    def step(params, h, x):
        W, U, b = params
        z = jax.nn.sigmoid(x @ W + b)
        h = (1 - z) * h + z * (x @ U)
        return h, h

    return rnnjax.Cell(init, lambda params: jnp.zeros(m), step)


LSTM = rnnjax.with_loss(rnnjax.lstm(WIDTH, WIDTH), half)
DIAGONAL = rnnjax.with_loss(diagonal(WIDTH, WIDTH), half)
# name: the cell, and `T -> its gradient`
ROWS = {
    "bptt": (LSTM, lambda T: rnnjax.bptt(LSTM)),
    "bptt, checkpointed (√T segments)": (LSTM, lambda T: rnnjax.bptt(rnnjax.scan(LSTM, rnnjax.checkpointed))),
    "bptt, checkpointed (log₂ T snapshots)": (
        LSTM,
        lambda T: rnnjax.bptt(rnnjax.scan(LSTM, rnnjax.checkpointed, snapshots=T.bit_length())),
    ),
    "tbptt, window 100": (LSTM, lambda T: rnnjax.tbptt(LSTM, window=100)),
    "rtrl": (LSTM, lambda T: rnnjax.rtrl(LSTM)),
    "snap of 1": (LSTM, lambda T: rnnjax.snap(LSTM, 1)),
    "eprop": (LSTM, lambda T: rnnjax.eprop(LSTM)),
    **{name: (LSTM, lambda T, word=word: word(LSTM)) for name, word in RANDOM.items()},
    "diagonal: bptt": (DIAGONAL, lambda T: rnnjax.bptt(DIAGONAL)),
    "diagonal: rtrl": (DIAGONAL, lambda T: rnnjax.rtrl(DIAGONAL)),
}


def cost(name, T):
    """Milliseconds and MiB of one gradient over T steps."""
    model, build = ROWS[name]
    params = model.init(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (T, WIDTH)), jnp.zeros((T, WIDTH))
    key = {"key": jax.random.key(2)} if name in RANDOM else {}
    program = jax.jit(build(T)).lower(params, model.start(params), xs, **key).compile()
    took = []
    for _ in range(2 if T >= 10_000 else 6):  # the first warms up
        began = time.perf_counter()
        jax.block_until_ready(program(params, model.start(params), xs, **key))
        took.append(time.perf_counter() - began)
    return f"{1e3 * min(took[1:]):.3g} / {program.memory_analysis().temp_size_in_bytes / 2**20:.2g}"


def variance(name, T):
    """The variance over DRAWS keys, by the squared norm of the exact gradient."""
    model = rnnjax.with_loss(rnnjax.gru(3, 8), half)
    params = model.init(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (T, 3)), jnp.ones((T, 8)) / 2
    exact = rnnjax.bptt(model)(params, model.start(params), xs)[1]
    draw = functools.partial(UNBIASED[name](model), params, model.start(params), xs)
    keys = jax.random.split(jax.random.key(2), DRAWS)
    draws = jax.jit(lambda keys: jax.lax.map(lambda key: ravel_pytree(draw(key=key)[1])[0], keys, batch_size=100))(keys)
    return f"{float(draws.var(0).sum() / optax.tree.norm(exact) ** 2):.3g}"


def tabled(columns, of, names, points):
    """A table of `of(name, point)`, printed row by row on the way."""
    rows = []
    for name in names:
        rows.append((name, *(of(name, point) for point in points)))
        print(*rows[-1], sep="  ", flush=True)
    return table(columns, rows)


def main(record: bool = False):
    """Measure both.

    Args:
        record: write the tables to benchmarks/results/.
    """
    used = watch()
    text = heading("What each gradient algorithm costs, and how noisy it is", "optax")
    text += f"\n## Time and memory\n\nOne stream, n = m = {WIDTH}, float32: ms / MiB of temporary memory, which holds"
    text += "\nthe losses of all steps too (0.4 MiB at T = 100,000).\n\n"
    text += tabled(("LSTM", *(f"T = {T:,}" for T in STEPS)), cost, ROWS, STEPS)
    text += f"\n## Variance\n\nGRU(3, 8), {DRAWS} keys: variance over the squared norm of the exact gradient.\n\n"
    text += tabled(("", "T = 5", "T = 20", "T = 80"), variance, UNBIASED, (5, 20, 80))
    where = jax.default_backend()
    publish(text, used(), RESULTS / f"credit-{where}.md" if record else None)


if __name__ == "__main__":
    tyro.cli(main)
