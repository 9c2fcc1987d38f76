"""What every task may be asked for, and the values that make no sense."""

import math
from dataclasses import dataclass, fields
from typing import Literal, get_args, get_origin, get_type_hints

import optax

SHARES = "dropout", "reset"
LARGEST = {"layers": 1000}


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
    accumulate: int = 1
    """Parts of a batch that take turns in memory before each update; all of them weigh alike."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What matrices are multiplied in; all else stays float32."""

    def __post_init__(self):
        hints = get_type_hints(type(self))
        for name, value in ((field.name, getattr(self, field.name)) for field in fields(self)):
            kind, choices = hints[name], get_args(hints[name])
            top = 1 if name in SHARES else math.inf
            if get_origin(kind) is Literal and value not in choices:
                raise ValueError(f"train: {name} must be one of {choices}, but {name} is {value!r}.")
            if not fits(value, kind):
                raise TypeError(f"train: {name} must be {said(kind)}, but {name} is {value!r}. Give one.")
            if name == "seed":
                check_seed("train", value)
            elif kind is int and not 1 <= value <= LARGEST.get(name, 2**31 - 1):
                most = LARGEST.get(name, 2**31 - 1)
                bound, change = ("at least 1", "more") if value < 1 else (f"at most {most}", "less")
                raise ValueError(f"train: {name} must be {bound}, but {name} is {value}. Give {change}.")
            elif kind is float and not 0 <= value < top:
                raise ValueError(f"train: {name} must be in [0, {top}), but {name} is {value}.")
        if self.batch % self.accumulate:
            raise ValueError(
                f"train: accumulate must divide batch, but accumulate is {self.accumulate} and batch is {self.batch}."
            )

    @property
    def micro(self) -> int:
        """Sequences that are in memory at a time."""
        return self.batch // self.accumulate


def fits(value, kind) -> bool:
    """Whether a value is of an option's type: true and false are no numbers, but a whole number serves as a float."""
    if get_origin(kind) is Literal:
        return True
    if kind in (int, float):
        return isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    return any(fits(value, each) for each in get_args(kind)) if get_args(kind) else isinstance(value, kind)


def said(kind) -> str:
    """An option's type as an error says it."""
    return " or ".join("none" if each is type(None) else each.__name__ for each in get_args(kind) or (kind,))


def check_seed(where: str, seed: int) -> None:
    """Refuse a seed that is not 32 bits."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"{where}: seed must be from 0 to 4294967295, but seed is {seed}. Give another.")


def adam(options: Options) -> optax.GradientTransformation:
    """Adam under a clipped gradient, with warm-up and a cosine."""
    warm = max(1, options.steps // 33)
    rate = optax.warmup_cosine_decay_schedule(0.0, options.lr, warm, max(options.steps, warm + 1), options.lr / 50)
    return optax.chain(optax.clip_by_global_norm(options.clip), optax.adam(rate, b2=0.99))
