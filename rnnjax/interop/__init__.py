"""Weights and models of other libraries. Each file imports its library where it needs it, and not before."""

from rnnjax.interop import keras, torch

__all__ = ["keras", "torch"]
