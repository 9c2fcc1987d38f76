"""Cells whose recurrent matrix is made stable: an equation's step with a skew-symmetric matrix in it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.types import Initializer
from rnnjax.weights import fan_in, zeros


class AntisymmetricParams(NamedTuple):
    W: Float[Array, "n m"]
    V: Float[Array, "m m"]
    b: Float[Array, " m"]


class LipschitzParams(NamedTuple):
    W: Float[Array, "n m"]
    M: Float[Array, "m m"]
    N: Float[Array, "m m"]
    b: Float[Array, " m"]


@interned
def antisymmetric(
    n: int,
    m: int,
    *,
    epsilon: float = 0.1,
    gamma: float = 0.01,
    weight: Initializer = fan_in,
    recurrent: Initializer = fan_in,
    bias: Initializer = zeros,
) -> Cell:
    """The antisymmetric RNN, without its gate: a step of an equation that neither grows nor forgets.

        h' = h + ε tanh(x W + h (V - Vᵀ - γ I) + b),   y = h'

    The eigenvalues of V - Vᵀ are imaginary, so the Jacobian of the equation has real parts near 0, and the diffusion γ
    moves them below 0, as Euler's step of size ε needs. V - Vᵀ has m (m - 1)/2 numbers that are free.

    Args:
        n, m: sizes of the input and of the state.
        epsilon, gamma: ε, the step, and γ, the diffusion. The paper tunes both.
        weight, recurrent, bias: initialisers of W (n, m), V (m, m) and b (m,). Normal, of variance 1/n and 1/m.

    State: h (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.scan(rnnjax.antisymmetric(3, 4))
        >>> params = cell.init(jax.random.key(0))
        >>> h, ys = cell.step(params, cell.start(params), jnp.ones((7, 3)))
        >>> ys.shape
        (7, 4)

    Chang et al. 2019, https://arxiv.org/abs/1902.09689
    """
    sizes("antisymmetric", n=n, m=m)

    def init(key):
        W, V, b = jax.random.split(key, 3)
        return AntisymmetricParams(weight(W, (n, m)), recurrent(V, (m, m)), bias(b, (m,)))

    def start(params):
        return jnp.zeros(m, params.V.dtype)

    def step(params, h, x):
        features("antisymmetric", x, n)
        W, V, b = params
        h = h + epsilon * jnp.tanh(x @ W + h @ (V - V.T - gamma * jnp.eye(m, dtype=V.dtype)) + b)
        return h, h

    return Cell(init, start, step)


@interned
def lipschitz(
    n: int,
    m: int,
    *,
    epsilon: float = 0.01,
    beta: float = 0.8,
    gamma: float = 0.01,
    weight: Initializer = fan_in,
    recurrent: Initializer | None = None,
    bias: Initializer = zeros,
) -> Cell:
    """The Lipschitz RNN: a linear part that is stable by itself and a tanh, by Euler's step.

        S(M) = β (M - Mᵀ) + (1 - β) (M + Mᵀ) - γ I
        h' = h + ε (h S(M) + tanh(x W + h S(N) + b)),   y = h'

    β moves the matrices from symmetric, 0, to skew-symmetric, 1; γ moves their eigenvalues to the left. Both matrices
    have the same β and γ here.

    Args:
        n, m: sizes of the input and of the state.
        epsilon, beta, gamma: ε, β and γ, those of the authors' code by default.
        weight, bias: initialisers of W (n, m) and b (m,).
        recurrent: initialiser of M and N (m, m). By default normal of deviation 1/m.

    State: h (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.scan(rnnjax.lipschitz(3, 4, epsilon=0.03))
        >>> params = cell.init(jax.random.key(0))
        >>> h, ys = cell.step(params, cell.start(params), jnp.ones((7, 3)))
        >>> ys.shape
        (7, 4)

    Erichson et al. 2021, https://arxiv.org/abs/2006.12070
    """
    sizes("lipschitz", n=n, m=m)
    recurrent = jax.nn.initializers.normal(1 / m) if recurrent is None else recurrent

    def init(key):
        W, M, N, b = jax.random.split(key, 4)
        return LipschitzParams(weight(W, (n, m)), recurrent(M, (m, m)), recurrent(N, (m, m)), bias(b, (m,)))

    def start(params):
        return jnp.zeros(m, params.M.dtype)

    def S(M):
        return beta * (M - M.T) + (1 - beta) * (M + M.T) - gamma * jnp.eye(m, dtype=M.dtype)

    def step(params, h, x):
        features("lipschitz", x, n)
        W, M, N, b = params
        h = h + epsilon * (h @ S(M) + jnp.tanh(x @ W + h @ S(N) + b))
        return h, h

    return Cell(init, start, step)
