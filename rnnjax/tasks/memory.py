"""Made-up problems that can only be solved by what was seen long before.

Delayed XOR and adding after Hochreiter & Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735, copying after
Arjovsky, Shah & Bengio 2016, https://arxiv.org/abs/1511.06464
"""

from dataclasses import dataclass
from typing import Literal

import jax

import rnnjax
from rnnjax.tasks.options import Options, adam
from rnnjax.tasks.problems import PROBLEMS
from rnnjax.tasks.recipe import Recipe, mean, whole
from rnnjax.weights import chrono

SMOKE = dict(lag=5, m=8, batch=8, steps=20, every=20)
HELD_OUT, AT_ONCE = 1024, 256


@dataclass(frozen=True)
class Config(Options):
    """Learn to remember over a lag: an exclusive or of two bits, a sum of two numbers, or ten symbols.

    Every update sees new sequences. Without memory the share of right exclusive ors is 0.5, the squared error of the
    sum 0.167, and the loss of the symbols 10 log 8 / (lag + 20) nats a step.
    """

    problem: Literal["xor", "adding", "copying"] = "xor"
    """What is asked."""
    lag: int = 50
    """Steps between what must be remembered and where it is asked for; of adding, the steps of a sequence."""
    cell: Literal["lstm", "gru", "rnn", "chrono-lstm", "chrono-gru", "irnn", "exprnn", "cornn", "lem"] = "lstm"
    """The recurrent cell; the last six are made for long memory, those of chrono by their first biases."""
    m: int = 64
    """Size of its state."""


def constructor(config: Config):
    """From sizes to the recurrent cell."""
    longest = config.lag + 20
    return {
        "lstm": rnnjax.lstm,
        "gru": rnnjax.gru,
        "rnn": rnnjax.rnn,
        "chrono-lstm": lambda n, m: rnnjax.lstm(n, m, bias=chrono(longest)),
        "chrono-gru": lambda n, m: rnnjax.gru(n, m, bias=chrono(longest, gru=m)),
        "irnn": rnnjax.irnn,
        "exprnn": rnnjax.exprnn,
        "cornn": rnnjax.cornn,
        "lem": rnnjax.lem,
    }[config.cell]


def recipe(config: Config) -> Recipe:
    """What is to be remembered, a lag, and a question."""
    problem = PROBLEMS[config.problem]
    network = rnnjax.stack(
        rnnjax.scan(constructor(config)(problem.inputs, config.m)), rnnjax.dense(config.m, problem.outputs)
    )

    def batch(count, *place):
        return problem.draw(count, config.lag, [config.seed, *place])

    def held_out(part):
        place = ("valid", "test").index(part)
        return (batch(AT_ONCE, place, piece) for piece in range(HELD_OUT // AT_ONCE))

    def ys(params, xs):
        return rnnjax.apply(network, params, xs)[1]

    return Recipe(
        about=problem.about.format(config.lag),
        model=f"{config.cell}({config.m})",
        unit=problem.unit,
        better=problem.better,
        loss_unit=problem.loss_unit,
        init=network.init,
        start=lambda params: jax.random.key(config.seed),
        gradient=whole(lambda params, key, xs, targets: problem.loss(ys(params, xs), targets)),
        optimizer=adam(config),
        batch_at=lambda step: batch(config.batch, 2 + step),
        measure=lambda params, part: mean(
            lambda params, xs, targets: problem.judge(ys(params, xs), targets), params, held_out(part)
        ),
        baselines=lambda part: problem.forgetful(config.lag),
    )
