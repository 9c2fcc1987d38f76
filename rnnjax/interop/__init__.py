"""Weights and models of other libraries. Each file imports its library where it needs it, and not before."""

import importlib
from typing import TYPE_CHECKING, Any

from rnnjax.interop import keras, torch

if TYPE_CHECKING:
    from rnnjax.interop import export, linen, nnx

__all__ = ["export", "keras", "linen", "nnx", "torch"]


def __getattr__(name: str) -> Any:
    """The modules that need a library to be imported at all, when they are first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return importlib.import_module(f"{__name__}.{name}")
