"""Flax NNX: a model here as a module there, a module's cell as a cell here, and weights both ways."""

from rnnjax.interop.nnx.cells import cell
from rnnjax.interop.nnx.recurrent import Recurrent
from rnnjax.interop.nnx.weights import dump, load

__all__ = ["Recurrent", "cell", "dump", "load"]
