"""How training lies across the devices of a mesh: all the rules, by the shapes of arrays alone.

What the optimizer knows of a param has the param's shape, and so lies as it does.
"""

import math
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

LARGE = 2**14
"""Fewer numbers than these are on all devices: to gather them takes longer than to keep them."""
SPREAD = "data", "fsdp"
"""The axes of a mesh that the batch lies across."""


class Layout(NamedTuple):
    """The rules on a mesh from `mesh_of`, for a batch of so many sequences.

    - A param (..., k) that is large lies by its columns across `model`, and by the longest axis left across `fsdp`:
      U (m, 4m) of an LSTM by its gates, and by its rows. Axes that the devices do not divide stay whole.
    - A state (B, ..., m) of the streams lies by B across `data` and `fsdp`, by m across `model`; what has no B is on
      all devices.
    - An array of a batch lies by its axis `axis` across `data` and `fsdp`.
    """

    mesh: Mesh
    batch: int
    axis: int = 0

    def param(self, shape: tuple[int, ...]) -> P:
        """How a param of this shape lies, and its gradient, and what the optimizer knows of it."""
        spec: list[Any] = [*self.used(shape)]
        free = [i for i, name in enumerate(spec) if name is None and self._divides("fsdp", shape[i])]
        if free and math.prod(shape) >= LARGE:
            spec[max(free, key=lambda i: shape[i])] = "fsdp"
        return P(*spec)

    def used(self, shape: tuple[int, ...]) -> P:
        """How a param lies where it is used: every step of a loop uses all of it, so it is gathered once before."""
        wide = len(shape) > 1 and math.prod(shape) >= LARGE and self._divides("model", shape[-1])
        return P(*[None] * (len(shape) - 1), *["model" if wide else None] * (len(shape) > 0))

    def state(self, shape: tuple[int, ...]) -> P:
        """How the state of the streams lies."""
        if shape[:1] != (self.batch,):
            return P()
        wide = len(shape) > 1 and self._divides("model", shape[-1])
        return P(SPREAD, *[None] * (len(shape) - 2), *["model" if wide else None] * (len(shape) > 1))

    def given(self, shape: tuple[int, ...]) -> P:
        """How an array of a batch lies."""
        along = shape[self.axis : self.axis + 1] == (self.batch,)
        return P(*[None] * self.axis, SPREAD) if along else P()

    def _divides(self, name, size):
        return self.mesh.shape[name] > 1 and size % self.mesh.shape[name] == 0

    def lay(self, rule, tree):
        """A tree within `jit`, held to a rule of these."""
        return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, self._sharding(rule, x)), tree)

    def spread(self, batch):
        """A batch that every process has, as arrays across all of them, each of which holds only its own rows."""
        return jax.tree.map(self._rows, batch)

    def whole(self, tree):
        """A tree as arrays of one device, a copy in every process."""
        everywhere = jax.device_put(tree, NamedSharding(self.mesh, P()))
        return jax.tree.map(lambda x: x.addressable_data(0), everywhere)

    def _sharding(self, rule, x):
        return NamedSharding(self.mesh, rule(np.shape(x)))

    def _rows(self, x):
        x = np.asarray(x)
        x = x.astype(jax.dtypes.canonicalize_dtype(x.dtype), copy=False)
        return jax.make_array_from_callback(x.shape, self._sharding(self.given, x), x.__getitem__)
