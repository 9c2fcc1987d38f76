"""Flax Linen: a model here as a module there, a module's cell as a cell here, and weights both ways."""

from rnnjax.interop.linen.cells import cell
from rnnjax.interop.linen.recurrent import Recurrent
from rnnjax.interop.linen.weights import dump, load

__all__ = ["Recurrent", "cell", "dump", "load"]
