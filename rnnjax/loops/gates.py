"""The gates of a cell across devices: every gate of a unit on the device that has the unit."""

import jax
from jax.extend.core import Literal
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from rnnjax.loops.equations import FIXED, bind
from rnnjax.loops.rewrites import count

MODEL = "model"
"""The axis of a mesh that the units of a layer lie across."""


def gates(jaxpr, level, env):
    """Where the mesh in force has the axis `MODEL`: what is cut into k gates of m units, as x W + h U + b, is computed
    with an axis of its own for the gates, of weights (n, k, m) that lie across devices by their units.

    The columns of W (n, km) themselves, k gates beside one another, would lie by gates, and each step would send what
    the gates of a unit are from device to device. So only the weights are sent, once for all steps, and of every step
    the state, which all columns read.
    """
    made = {v: eqn for eqn in jaxpr.eqns for v in eqn.outvars}
    uses, across, wide = count(jaxpr.eqns, jaxpr.outvars), devices(), {}

    def parted(v, k):
        """The variables that k gates are made of, v at the end; None if they are made otherwise."""
        if isinstance(v, Literal) or v.aval.ndim == 0 or v.aval.shape[-1] % k:
            return None
        if level[v] == FIXED:
            return {v}
        eqn = made.get(v)
        if eqn is None or uses[v] != 1:
            return None
        if eqn.primitive.name == "add":
            parts = [parted(w, k) for w in eqn.invars]
            same = all(part is not None for part in parts)
            return {v}.union(*parts) if same else None
        return {v, eqn.invars[1]} if _columns(eqn, level) else None

    split = {}
    for eqn in jaxpr.eqns:
        sizes = eqn.params.get("sizes", ()) if eqn.primitive.name == "split" else ()
        if len(set(sizes)) == 1 and eqn.params["axis"] == eqn.invars[0].aval.ndim - 1 and sizes[0] % across == 0:
            split |= dict.fromkeys(parted(eqn.invars[0], len(sizes)) or (), len(sizes))

    def apart(v, value):
        """The value of a variable with an axis for its gates."""
        if v not in wide:
            out = value.reshape(*value.shape[:-1], split[v], -1)
            wide[v] = jax.lax.with_sharding_constraint(out, P(*[None] * (out.ndim - 1), MODEL))
        return wide[v]

    def widened(eqn, values):
        name, (v, *_) = eqn.primitive.name, eqn.outvars
        if name == "split" and eqn.invars[0] in split:
            parts = jax.lax.split(apart(eqn.invars[0], values[0]), [1] * len(eqn.outvars), eqn.params["axis"])
            return [part.reshape(out.aval.shape) for part, out in zip(parts, eqn.outvars)]
        if v not in split or level[v] == FIXED:
            return bind(eqn, values)
        if name == "add":
            wide[v] = jax.lax.add(*(apart(w, value) for w, value in zip(eqn.invars, values)))
        else:
            options = {key: eqn.params[key] for key in ("dimension_numbers", "precision", "preferred_element_type")}
            wide[v] = jax.lax.dot_general(values[0], apart(eqn.invars[1], values[1]), **options)
        return [None]  # it is read once, in its wide form

    return widened


def devices():
    """How many devices the units lie across; 1 where no mesh says so, or where types say how all lies."""
    mesh = jax.sharding.get_abstract_mesh()
    auto = [name for name, kind in zip(mesh.axis_names, mesh.axis_types) if kind == AxisType.Auto]
    return mesh.shape[MODEL] if MODEL in auto else 1


def _columns(eqn, level):
    """Whether an equation is a product with the columns of a weight."""
    if eqn.primitive.name != "dot_general" or any(isinstance(v, Literal) for v in eqn.invars):
        return False
    x, w = eqn.invars
    (_, contracted), batch = eqn.params["dimension_numbers"]
    return level[x] != FIXED == level[w] and w.aval.ndim == 2 and tuple(contracted) == (0,) and batch == ((), ())
