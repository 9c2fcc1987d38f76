"""Cells without a state: a dense layer, an embedding, any function."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from rnnjax.cell import Cell, features, interned, kind, sizes
from rnnjax.types import Initializer
from rnnjax.weights import glorot, small, zeros


class DenseParams(NamedTuple):
    W: Float[Array, "n m"]
    b: Float[Array, " m"]


@interned
def dense(n: int, m: int, *, weight: Initializer = glorot, bias: Initializer = zeros) -> Cell:
    """y = x W + b, with W (n, m) and b (m,). `stack(scan(lstm(n, m)), dense(m, k))` reads k numbers from each h.

    >>> model = rnnjax.stack(rnnjax.scan(rnnjax.lstm(3, 8)), rnnjax.dense(8, 2))
    >>> state, ys = rnnjax.apply(model, model.init(jax.random.key(0)), jnp.ones((5, 7, 3)))
    >>> ys.shape
    (5, 7, 2)
    """
    sizes("dense", n=n, m=m)

    def init(key):
        W, b = jax.random.split(key)
        return DenseParams(weight(W, (n, m)), bias(b, (m,)))

    def step(params, state, x):
        features("dense", x, n)
        return state, x @ params.W + params.b

    return Cell(init, lambda params: (), step)


@interned
def embed(v: int, m: int, *, weight: Initializer = small) -> Cell:
    """y = E[x]: row x of E (v, m), for an integer symbol x in 0 ... v-1.

    >>> cell = rnnjax.embed(66, 8)
    >>> state, y = cell.step(cell.init(jax.random.key(0)), (), jnp.array(3))
    >>> y.shape
    (8,)
    """
    sizes("embed", v=v, m=m)

    def step(E, state, x):
        if jnp.shape(x) != () or not jnp.issubdtype(jnp.result_type(x), jnp.integer):
            raise TypeError(
                f"embed: x must be one integer symbol, but x is {kind(x)}. "
                "Use scan for a time axis, batch (or apply) for a batch axis, and encode text with a vocabulary."
            )
        return state, E[x]

    return Cell(lambda key: weight(key, (v, m)), lambda params: (), step)


@interned
def lift(function: Callable[[PyTree], PyTree]) -> Cell:
    """A pure function of one step as a cell without params or state: y = function(x).

    >>> rnnjax.stack(rnnjax.dense(3, 4), rnnjax.lift(jax.nn.relu), rnnjax.dense(4, 2))
    stack(dense(3, 4), lift(relu), dense(4, 2))
    """
    return Cell(lambda key: (), lambda params: (), lambda params, state, x: (state, function(x)))
