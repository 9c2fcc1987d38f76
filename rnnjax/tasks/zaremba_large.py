"""Zaremba's large word model of the Penn Treebank; see `zaremba`."""

from dataclasses import dataclass

from rnnjax.tasks import zaremba
from rnnjax.tasks.zaremba import SMOKE, recipe

__all__ = ["SMOKE", "Config", "recipe"]


@dataclass(frozen=True)
class Config(zaremba.Config):
    """Train Zaremba's large word model of the Penn Treebank, with dropout."""

    steps: int = 55 * 1327
    """Updates to make, 1327 an epoch of 20 streams x 35 words."""
    every: int = 1327
    """Steps between evaluations and checkpoints."""
    clip: float = 10.0
    """Largest global norm of a gradient, of losses summed over the window."""
    m: int = 1500
    """Size of a word's vector, and of each LSTM."""
    window: int = 35
    """Steps that gradients flow back, and between updates."""
    dropout: float = 0.65
    """Share of activations dropped around the layers."""
    spread: float = 0.04
    """All weights begin uniform within ± this."""
    flat: int = 14
    """Epochs at the full learning rate."""
    decay: float = 1.15
    """What the learning rate is divided by in each epoch after them."""
