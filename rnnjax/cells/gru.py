"""The gated recurrent unit."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.cells.elman import RNNParams
from rnnjax.types import Initializer
from rnnjax.weights import fused, glorot, orthogonal, per_gate, zeros


class GRUParams(NamedTuple):
    W: Float[Array, "n 3*m"]
    U: Float[Array, "m 3*m"]
    b: Float[Array, " 3*m"]
    d: Float[Array, " m"]


@interned
def gru(
    n: int, m: int, *, weight: Initializer = glorot, recurrent: Initializer = orthogonal, bias: Initializer = zeros
) -> Cell:
    """The GRU with its reset after the product, PyTorch's and cuDNN's `nn.GRU`; gates in the order r z n.

        r, z, a = split(x W + b)
        s, u, q = split(h U)
        r = σ(r + s),   z = σ(z + u)
        h' = (1 - z) tanh(a + r (q + d)) + z h,   y = h'

    The update gate z multiplies the old state. The candidate's recurrent bias d stands inside the reset, so it is
    apart from b; PyTorch's other two biases are one here.

    Args:
        n, m: sizes of the input and of the state.
        weight, recurrent: initialisers of each gate's block of W (n, 3m) and U (m, 3m).
        bias: initialiser of b (3m,) and d (m,).

    State: h (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.gru(3, 4)
        >>> params = cell.init(jax.random.key(0))
        >>> h, y = cell.step(params, cell.start(params), jnp.ones(3))
        >>> bool(jnp.all(jnp.abs(h) < 1))
        True

    Cho et al. 2014, https://arxiv.org/abs/1406.1078 (reset after the product: Chung et al. 2014's cuDNN form)
    """
    sizes("gru", n=n, m=m)

    def init(key):
        W, U, b, d = jax.random.split(key, 4)
        return GRUParams(
            per_gate(weight, 3)(W, (n, 3 * m)), per_gate(recurrent, 3)(U, (m, 3 * m)), bias(b, (3 * m,)), bias(d, (m,))
        )

    def start(params):
        return jnp.zeros(m, params.U.dtype)

    def step(params, h, x):
        features("gru", x, n)
        W, U, b, d = params
        r, z, a = jnp.split(x @ W + b, 3)
        s, u, q = jnp.split(h @ U, 3)
        r, z = jax.nn.sigmoid(r + s), jax.nn.sigmoid(z + u)
        h = (1 - z) * jnp.tanh(a + r * (q + d)) + z * h
        return h, h

    return Cell(init, start, step)


@interned
def reset_first_gru(
    n: int, m: int, *, weight: Initializer = glorot, recurrent: Initializer = orthogonal, bias: Initializer = zeros
) -> Cell:
    """The GRU with its reset before the product, the paper's (v3) and Haiku's; gates in the order r z n.

        r, z, a = split(x W + b)
        s, u = split(h U_g)
        r = σ(r + s),   z = σ(z + u)
        h' = (1 - z) tanh(a + (r h) U_a) + z h,   y = h'

    The update gate z multiplies the old state, as in the paper and in `gru` (Haiku's multiplies the candidate). The
    product with U_a waits for the reset, so that a step has two products in turn where `gru` has one.

    Args:
        n, m: sizes of the input and of the state.
        weight, recurrent: initialisers of each gate's block of W (n, 3m) and U = [U_g U_a] (m, 3m).
        bias: initialiser of b (3m,).

    State: h (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.reset_first_gru(3, 4)
        >>> h, y = cell.step(cell.init(jax.random.key(0)), jnp.zeros(4), jnp.ones(3))
        >>> bool(jnp.all(jnp.abs(h) < 1))
        True

    Cho et al. 2014, https://arxiv.org/abs/1406.1078v3
    """
    sizes("reset_first_gru", n=n, m=m)

    def init(key):
        return RNNParams(*fused(key, 3, n, m, weight, recurrent, bias))

    def start(params):
        return jnp.zeros(m, params.U.dtype)

    def step(params, h, x):
        features("reset_first_gru", x, n)
        W, U, b = params
        U_g, U_a = jnp.split(U, [2 * m], axis=1)
        r, z, a = jnp.split(x @ W + b, 3)
        s, u = jnp.split(h @ U_g, 2)
        r, z = jax.nn.sigmoid(r + s), jax.nn.sigmoid(z + u)
        h = (1 - z) * jnp.tanh(a + (r * h) @ U_a) + z * h
        return h, h

    return Cell(init, start, step)
