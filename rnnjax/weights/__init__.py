"""Initialisers: `key, shape, dtype -> array`, as in `jax.nn.initializers`, any of which serve here too."""

from rnnjax.weights.biases import biases, chrono, forget, lasting, open_forget, spaced
from rnnjax.weights.matrices import (
    fan_in,
    fused,
    glorot,
    identity,
    lecun,
    orthogonal,
    per_gate,
    positive,
    small,
    uniform,
    zeros,
)

__all__ = [
    "biases", "chrono", "fan_in", "forget", "fused", "glorot", "identity", "lasting", "lecun", "open_forget",
    "orthogonal", "per_gate", "positive", "small", "spaced", "uniform", "zeros",
]  # fmt: skip
