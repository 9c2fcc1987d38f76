"""What a language model may be asked to be."""

import math
from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints


@dataclass(frozen=True)
class Config:
    """What to train, on what, and for how long. The defaults take about three minutes on two cores."""

    text: str | None = None
    """A UTF-8 file to learn; without it, the shipped opening of the King James Bible."""
    unit: Literal["char", "jamo", "word", "token", "byte"] = "char"
    """What one step reads and predicts: of Hangul the letters (jamo), of text split at spaces already the tokens."""
    vocabulary: int = 10_000
    """At most so many different symbols; rarer ones are read as unknown."""
    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    """The recurrent cell."""
    layers: int = 1
    """How many layers of it."""
    m: int = 256
    """Size of each layer's state."""
    embed: int = 64
    """Size of a symbol's vector."""
    dropout: float = 0.0
    """Share of activations dropped around the layers."""
    window: int = 48
    """Steps that gradients flow back (truncated BPTT), and between updates."""
    batch: int = 32
    """Parallel streams of text."""
    steps: int = 2500
    """Updates to make."""
    lr: float = 1e-2
    """Peak learning rate of Adam, after a warm-up and before a cosine to almost zero."""
    clip: float = 1.0
    """Largest global norm of a gradient."""
    reset: float = 0.03
    """Share of streams whose state starts afresh at each window, so that the model learns to begin anywhere."""
    seed: int = 0
    """Seed of everything random."""
    every: int = 250
    """Steps between evaluations and checkpoints."""

    def __post_init__(self):
        for name in "layers", "m", "embed", "window", "batch", "steps", "every":
            if getattr(self, name) < 1:
                raise ValueError(f"train: {name} must be at least 1, but {name} is {getattr(self, name)}. Give more.")
        for name, low, high in ("dropout", 0, 1), ("reset", 0, 1), ("lr", 0, math.inf), ("clip", 0, math.inf):
            if not low <= getattr(self, name) < high:
                raise ValueError(f"train: {name} must be in [{low}, {high}), but {name} is {getattr(self, name)}.")
        check_seed("train", self.seed)
        for name in "unit", "cell":
            choices = get_args(get_type_hints(Config)[name])
            if getattr(self, name) not in choices:
                raise ValueError(f"train: {name} must be one of {choices}, but {name} is {getattr(self, name)!r}.")


def check_seed(where, seed):
    """Refuse a seed that is not 32 bits."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"{where}: seed must be from 0 to 4294967295, but seed is {seed}. Give another.")
