"""What a language model may be asked to be."""

from dataclasses import dataclass
from typing import Literal

from rnnjax.tasks.options import Options


@dataclass(frozen=True)
class Config(Options):
    """Train a language model on text, and measure it beside an n-gram model.

    Without options: a character LSTM on the shipped King James text, about three minutes on two cores.
    """

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
    reset: float = 0.03
    """Share of streams whose state starts afresh at each window, so that the model learns to begin anywhere."""
