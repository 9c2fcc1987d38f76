"""What every task may be asked for, and the values that make no sense."""

import math
from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints

import optax

SHARES = "dropout", "reset"


@dataclass(frozen=True)
class Options:
    """How long to train, and how. The options of a task add to these, with defaults of their own."""

    batch: int = 32
    """Sequences, or parallel streams of text, in an update."""
    steps: int = 2500
    """Updates to make."""
    lr: float = 1e-2
    """Peak learning rate of Adam, after a warm-up and before a cosine to almost zero."""
    clip: float = 1.0
    """Largest global norm of a gradient."""
    seed: int = 0
    """Seed of everything random."""
    every: int = 250
    """Steps between evaluations and checkpoints."""
    keep: int = 2
    """How many of the newest checkpoints are kept; the best is kept besides."""
    nonfinite: Literal["stop", "skip"] = "stop"
    """At a loss or gradient that is not finite: stop, or skip the step (ten in a row stop too)."""

    def __post_init__(self):
        hints = get_type_hints(type(self))
        for name, value in ((field.name, getattr(self, field.name)) for field in fields(self)):
            choices = get_args(hints[name])
            if name == "seed":
                check_seed("train", value)
            elif hints[name] is int and value < 1:
                raise ValueError(f"train: {name} must be at least 1, but {name} is {value}. Give more.")
            elif hints[name] is float and not 0 <= value < (1 if name in SHARES else math.inf):
                raise ValueError(
                    f"train: {name} must be in [0, {1 if name in SHARES else 'inf'}), but {name} is {value}."
                )
            elif choices and type(None) not in choices and value not in choices:
                raise ValueError(f"train: {name} must be one of {choices}, but {name} is {value!r}.")


def check_seed(where: str, seed: int) -> None:
    """Refuse a seed that is not 32 bits."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"{where}: seed must be from 0 to 4294967295, but seed is {seed}. Give another.")


def adam(options: Options) -> optax.GradientTransformation:
    """Adam under a clipped gradient, with warm-up and a cosine."""
    warm = max(1, options.steps // 33)
    rate = optax.warmup_cosine_decay_schedule(0.0, options.lr, warm, max(options.steps, warm + 1), options.lr / 50)
    return optax.chain(optax.clip_by_global_norm(options.clip), optax.adam(rate, b2=0.99))
