"""Where params enter a step by products with vectors, so that their Jacobian is a Kronecker product."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.gradients.opened import opened
from rnnjax.loops.equations import alive, bind, read, variables


class Factor(NamedTuple):
    """A sum z = v W + w U + ... + b (k,) of which the new state is made: ∂s'/∂(W, U, b) = (v, w, 1) ⊗ ∂s'/∂z.

    `entries` has for each of these params its number among the leaves, the variable that multiplies it (None for a
    bias), and whether it is transposed, (k, a).
    """

    z: Any
    entries: list

    def lengths(self):
        """Of the pieces of (v, w, 1)."""
        return [1 if v is None else v.aval.shape[0] for _, v, _ in self.entries]


def tapped(step, taps=None, found=None):
    """`step` with `taps` added to each factor's z, which returns ((state, vectors), y), where vectors are (v, w, 1).

    `found`, a list, is given the factors."""

    def stepped(params, state, x):
        jaxpr, values, tree = opened(step, params, state, x)
        names = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(params)]
        factors = _factors(jaxpr, names, len(jax.tree.leaves(state)))
        tap = dict(zip((f.z for f in factors), taps or []))
        if found is not None:
            found.extend(factors)
        for eqn in jaxpr.eqns:
            out = bind(eqn, read(values, eqn.invars))
            values |= {v: y + tap[v] if v in tap else y for v, y in zip(eqn.outvars, out)}
        state, y = jax.tree.unflatten(tree, read(values, jaxpr.outvars))
        return (state, [_vector(f, values) for f in factors]), y

    return stepped


def slope(factors, pairs, credit, grads):
    """`grads`, a list of the params' arrays, and what credit (m,) by the state adds, with u ⊗ A for each factor."""
    for factor, (u, A) in zip(factors, pairs):
        pieces = jnp.split(u, np.cumsum(factor.lengths())[:-1])
        for piece, (leaf, _, transposed) in zip(pieces, factor.entries):
            part = jnp.outer(piece, credit.astype(A.dtype) @ A).astype(grads[leaf].dtype)
            grads[leaf] += (part.T if transposed else part).reshape(grads[leaf].shape)
    return grads


def _vector(factor, values):
    dtype = factor.z.aval.dtype
    pieces = [jnp.ones(1, dtype) if v is None else values[v].astype(dtype) for _, v, _ in factor.entries]
    return jnp.concatenate(pieces)


def _factors(jaxpr, names, n_state):
    state = jaxpr.outvars[:n_state]
    live = alive(jaxpr.eqns, state)
    found = {}
    for leaf, (w, name) in enumerate(zip(jaxpr.invars, names)):
        readers = [eqn for eqn in live if w in variables(eqn.invars)]
        if w not in state and all(eqn.primitive.name == "stop_gradient" for eqn in readers):
            continue
        entry = _entry(w, readers[0]) if len(readers) == 1 and w not in state else None
        if entry is None:
            by = " and ".join(eqn.primitive.name for eqn in readers) or "itself being the state"
            raise ValueError(
                "kf_rtrl: every param that the state waits for must enter by one product with a vector or one sum, but "
                f"params{name} enters by {by}. Use rtrl, snap or uoro."
            )
        found.setdefault(_summed(readers[0].outvars[0], live, state), []).append((leaf, *entry))
    return [Factor(z, entries) for z, entries in found.items()]


def _entry(w, eqn):
    """The variable that a param multiplies, and whether it is transposed, or None if it enters in another way."""
    (out,) = eqn.outvars
    if not jnp.issubdtype(w.aval.dtype, jnp.floating) or eqn.invars.count(w) > 1:
        return None
    if eqn.primitive.name == "add" and w.aval.shape == out.aval.shape and w.aval.ndim == 1:
        return None, False
    if eqn.primitive.name == "dot_general" and w.aval.ndim == 2 and out.aval.ndim == 1:
        at = eqn.invars.index(w)
        v, contracted = eqn.invars[1 - at], eqn.params["dimension_numbers"][0][at]
        if v.aval.ndim == 1:
            return v, contracted == (1,)
    return None


def _summed(z, live, state):
    """The whole sum of which z is a term."""
    while z not in state:
        readers = [eqn for eqn in live if z in variables(eqn.invars)]
        if len(readers) != 1 or readers[0].primitive.name != "add" or readers[0].invars.count(z) != 1:
            break
        (z,) = readers[0].outvars
    return z
