"""A recurrent network whose recurrent matrix is orthogonal, always."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import expm
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.types import Activation, Initializer
from rnnjax.weights import glorot, zeros


class ExpRNNParams(NamedTuple):
    W: Float[Array, "n m"]
    A: Float[Array, "m m"]
    b: Float[Array, " m"]


def turning(key, shape, dtype=float):
    """Planes of two units each, turned by tan(t/2) with t uniform in (0, π/2): the authors' Cayley initialisation."""
    m = shape[0]
    angles = jnp.tan(jax.random.uniform(key, (m // 2,), dtype, 0, math.pi / 2) / 2)
    return jnp.zeros(shape, dtype).at[jnp.arange(0, m - 1, 2), jnp.arange(1, m, 2)].set(-angles)


def cayley(A):
    """(I + A)⁻¹ (I - A), which is orthogonal for a skew-symmetric A."""
    one = jnp.eye(len(A), dtype=A.dtype)
    return jnp.linalg.solve(one + A, one - A)


@interned
def exprnn(
    n: int,
    m: int,
    *,
    rotation: Activation = expm,
    weight: Initializer = glorot,
    recurrent: Initializer = turning,
    bias: Initializer = zeros,
) -> Cell:
    """The expRNN: U is the matrix exponential of a skew-symmetric matrix, hence a rotation.

        U = exp(A - Aᵀ),   of the part of A above its diagonal
        h' = modrelu(x W + h U, b) = sign(u) relu(|u| + b),   u = x W + h U,   y = h'

    |h U| = |h|, of a gradient as of a state, and with b = 0 the modrelu is the identity. U comes of the params only:
    `deferred`, the loop of `scan`, computes it once a run. It takes params of float32 at least.

    Args:
        n, m: sizes of the input and of the state.
        rotation: from a skew-symmetric matrix to an orthogonal one. With `cells.orthogonal.cayley`, which is cheaper
            and never gives an eigenvalue of -1, it is the scoRNN (Helfrich et al. 2018, arXiv 1707.09520) but for the
            diagonal of signs.
        weight, recurrent, bias: initialisers of W (n, m), A (m, m) and b (m,). By default, `turning`.

    State: h (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.scan(rnnjax.exprnn(3, 4))
        >>> params = cell.init(jax.random.key(0))
        >>> h, ys = cell.step(params, cell.start(params), jnp.ones((7, 3)))
        >>> ys.shape
        (7, 4)

    Lezcano-Casado & Martínez-Rubio 2019, https://arxiv.org/abs/1901.08428
    """
    sizes("exprnn", n=n, m=m)

    def init(key):
        W, A, b = jax.random.split(key, 3)
        return ExpRNNParams(weight(W, (n, m)), recurrent(A, (m, m)), bias(b, (m,)))

    def start(params):
        return jnp.zeros(m, params.A.dtype)

    def step(params, h, x):
        features("exprnn", x, n)
        W, A, b = params
        A = jnp.triu(A, 1)
        u = x @ W + h @ rotation(A - A.T)
        h = jnp.sign(u) * jax.nn.relu(jnp.abs(u) + b)
        return h, h

    return Cell(init, start, step)
