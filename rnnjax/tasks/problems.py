"""Three made-up problems of memory: what goes in, what is asked, and how an answer is judged."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from rnnjax.data import BLANK, adding, copying, delayed_xor

CLASSES = BLANK + 2


class Problem(NamedTuple):
    """A problem over a lag, for a network from `inputs` to `outputs` numbers a step.

    - `about`: what is asked, with a place for the lag.
    - `draw`: (count, lag, seed) -> batch-major (xs (B, T, inputs), targets (B, ...)).
    - `loss`, `judge`: (ys (B, T, outputs), targets) -> a number; and {unit: array}, the metric first.
    - `forgetful`: lag -> {label: value} of the best answers without memory, in that metric.
    """

    about: str
    inputs: int
    outputs: int
    draw: Callable
    loss: Callable
    judge: Callable
    forgetful: Callable
    unit: str
    better: str
    loss_unit: str


def _xor(count, lag, seed):
    xs, targets = delayed_xor(batch=count, lag=lag, seed=seed)
    return xs.swapaxes(0, 1), targets[-1]


def _adding(count, lag, seed):
    xs, targets = adding(batch=count, T=lag, seed=seed)
    return xs.swapaxes(0, 1), targets


def _copying(count, lag, seed):
    xs, targets = copying(batch=count, lag=lag, seed=seed)
    return jax.nn.one_hot(xs.T, CLASSES), targets.T


def _squared(ys, targets):
    return (ys[:, -1, 0] - targets) ** 2


def _recalled(ys, targets):
    losses = optax.softmax_cross_entropy_with_integer_labels(ys, targets)
    right = jnp.float32(ys[:, -10:].argmax(-1) == targets[:, -10:])
    return {"nats a step": losses, "share of symbols right": right}


PROBLEMS = {
    "xor": Problem(
        about="delayed XOR: the exclusive or of two bits, asked {} steps after the second",
        inputs=3,
        outputs=2,
        draw=_xor,
        loss=lambda ys, targets: optax.softmax_cross_entropy_with_integer_labels(ys[:, -1], targets).mean(),
        judge=lambda ys, targets: {"share right": jnp.float32(ys[:, -1].argmax(-1) == targets)},
        forgetful=lambda lag: {"a coin": 0.5},
        unit="share right",
        better="higher",
        loss_unit="nats",
    ),
    "adding": Problem(
        about="adding: the sum of two marked numbers among {}",
        inputs=2,
        outputs=1,
        draw=_adding,
        loss=lambda ys, targets: _squared(ys, targets).mean(),
        judge=lambda ys, targets: {"squared error": _squared(ys, targets)},
        forgetful=lambda lag: {"always 1": 1 / 6},
        unit="squared error",
        better="lower",
        loss_unit="squared error",
    ),
    "copying": Problem(
        about="copying: ten symbols of eight, asked {} steps after the last",
        inputs=CLASSES,
        outputs=CLASSES,
        draw=_copying,
        loss=lambda ys, targets: _recalled(ys, targets)["nats a step"].mean(),
        judge=_recalled,
        forgetful=lambda lag: {"blanks, then guesses": 10 * math.log(BLANK) / (lag + 20)},
        unit="nats a step",
        better="lower",
        loss_unit="nats a step",
    ),
}
