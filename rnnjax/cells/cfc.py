"""The closed form of a liquid network: a gate that time itself closes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.types import Initializer
from rnnjax.weights import glorot, per_gate, zeros


class CfCParams(NamedTuple):
    W: Float[Array, "n k"]
    U: Float[Array, "m k"]
    b: Float[Array, " k"]
    V: Float[Array, "k 4*m"]
    c: Float[Array, " 4*m"]


@interned
def cfc(n: int, m: int, *, backbone: int = 128, weight: Initializer = glorot, bias: Initializer = zeros) -> Cell:
    """The closed-form continuous-time network, gated, with one layer as the backbone; heads in the order g k p q.

        z = 1.7159 tanh(2/3 (x W + h U + b))
        g, k, p, q = split(z V + c),   t = σ(p Δ + q)
        h' = (1 - t) tanh(g) + t tanh(k),   y = h'

    Δ is the time since the last input: 1, or of inputs that come at odd times a number that comes with each, as
    x = (x, Δ). The old state acts through the backbone only.

    Args:
        n, m: sizes of the input and of the state.
        backbone: size k of z.
        weight: initialiser of W (n, k), U (m, k), and of each head's block of V (k, 4m).
        bias: initialiser of b (k,) and c (4m,).

    State: h (m,). Input: x (n,), or (x, Δ) with a number Δ. Output: h' (m,). Raises `ValueError` if x has another
    shape.

    Example:
        >>> cell = rnnjax.scan(rnnjax.cfc(3, 4, backbone=8))
        >>> params = cell.init(jax.random.key(0))
        >>> h, ys = cell.step(params, cell.start(params), (jnp.ones((2, 3)), jnp.array([0.1, 5.0])))
        >>> ys.shape
        (2, 4)

    Hasani et al. 2022, https://arxiv.org/abs/2106.13898
    """
    sizes("cfc", n=n, m=m, backbone=backbone)

    def init(key):
        W, U, b, V, c = jax.random.split(key, 5)
        W, U, b = weight(W, (n, backbone)), weight(U, (m, backbone)), bias(b, (backbone,))
        return CfCParams(W, U, b, per_gate(weight, 4)(V, (backbone, 4 * m)), bias(c, (4 * m,)))

    def start(params):
        return jnp.zeros(m, params.U.dtype)

    def step(params, h, x):
        x, Δ = x if isinstance(x, tuple) else (x, 1.0)
        features("cfc", x, n)
        W, U, b, V, c = params
        z = 1.7159 * jnp.tanh(2 / 3 * (x @ W + h @ U + b))
        g, k, p, q = jnp.split(z @ V + c, 4)
        t = jax.nn.sigmoid(p * Δ + q)
        h = (1 - t) * jnp.tanh(g) + t * jnp.tanh(k)
        return h, h

    return Cell(init, start, step)
