"""Made-up problems that can only be solved by what was seen long before."""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import optax

import rnnjax
from rnnjax.data import delayed_xor
from rnnjax.tasks.options import Options, adam
from rnnjax.tasks.recipe import Recipe, mean, whole

SMOKE = dict(lag=5, m=8, batch=8, steps=20, every=20)
HELD_OUT = 1024


@dataclass(frozen=True)
class Config(Options):
    """Learn to remember over a lag: the exclusive or of two bits seen long before, among other bits.

    Every update sees new sequences. Without memory the share of right answers is 0.5.
    """

    lag: int = 50
    """Steps between what must be remembered and where it is asked for."""
    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    """The recurrent cell."""
    m: int = 64
    """Size of its state."""


def recipe(config: Config) -> Recipe:
    """Two bits, a lag, and a question."""
    cell = {"lstm": rnnjax.lstm, "gru": rnnjax.gru, "rnn": rnnjax.rnn}[config.cell]
    network = rnnjax.stack(cell(3, config.m), rnnjax.dense(config.m, 2))

    def batch(count, place):
        xs, targets = delayed_xor(batch=count, lag=config.lag, seed=[config.seed, place])
        return xs.swapaxes(0, 1), targets[-1]

    held_out = {"valid": batch(HELD_OUT, 0), "test": batch(HELD_OUT, 1)}

    def answers(params, xs):
        _, ys = rnnjax.apply(network, params, xs)
        return ys[:, -1]

    def loss(params, key, xs, targets):
        return optax.softmax_cross_entropy_with_integer_labels(answers(params, xs), targets).mean()

    def judge(params, xs, targets):
        return {"share right": jnp.float32(answers(params, xs).argmax(-1) == targets)}

    return Recipe(
        about=f"delayed XOR: the exclusive or of two bits, asked {config.lag} steps after the second",
        model=f"{config.cell}({config.m})",
        unit="share right",
        better="higher",
        init=network.init,
        start=lambda params: jax.random.key(config.seed),
        gradient=whole(loss),
        optimizer=adam(config),
        batch_at=lambda step: batch(config.batch, 2 + step),
        measure=lambda params, part: mean(judge, params, [held_out[part]]),
        baselines=lambda part: {"a coin": 0.5},
    )
