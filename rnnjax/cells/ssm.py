"""A diagonal state space model: a linear differential equation, solved from input to input."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.cells.lru import complexed, parts


class S5Params(NamedTuple):
    alpha: Float[Array, " m"]
    omega: Float[Array, " m"]
    delta: Float[Array, " m"]
    B: Float[Array, "n 2*m"]
    C: Float[Array, "2*m n"]
    D: Float[Array, " n"]


def legs(m):
    """The frequencies of HiPPO-LegS: the positive ones of its normal part, a matrix of 2m states (Gu et al. 2020)."""
    p = np.sqrt(np.arange(2 * m) + 0.5)
    skew = np.tril(np.outer(p, p), -1)
    return np.linalg.eigvalsh(1j * (skew - skew.T))[m:]


def linear(m):
    """The frequencies 0, π, ..., (m - 1) π of S4D-Lin (Gu et al. 2022, https://arxiv.org/abs/2206.11893)."""
    return np.pi * np.arange(m)


@interned
def s5(
    n: int,
    m: int,
    *,
    frequencies: Callable[[int], Float[np.ndarray, " m"]] = legs,
    step_min: float = 0.001,
    step_max: float = 0.1,
) -> Cell:
    """The simplified state space layer S5: one state of m complex numbers for all inputs, held constant in between.

        ds/dt = Λ s + x B,   Λ = -exp(α) + i ω,   Δ = exp(δ)
        h' = exp(ΛΔ) h + (exp(ΛΔ) - 1)/Λ (x B)
        y = 2 Re(h' C) + D x

    It keeps the promise `affine`, with a = exp(ΛΔ). Discretised by zero-order hold, which is exact. The m numbers stand
    for as many conjugate pairs, hence the 2. Each has a step Δ of its own. B (n, 2m) holds real parts and then
    imaginary ones, and C (2m, n) what these of h' are multiplied with, as of `lru`. Without the mixing and the
    nonlinearity that make a layer of it: use `stack` and `residual`.

    Args:
        n, m: sizes of the input, which is that of the output too, and of the state.
        frequencies: m -> ω at the start; exp(α) is 1/2. `cells.ssm.legs`, HiPPO's, or `cells.ssm.linear`, S4D-Lin's.
        step_min, step_max: Δ starts between them, log-uniform; 1/Δ steps are the time that is remembered.

    Params: α, ω, δ (m,), B, C, D (n,), of float32 at least. State: h (m,), complex. Input: x (n,). Output: y (n,).
    Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.scan(rnnjax.s5(3, 4))
        >>> params = cell.init(jax.random.key(0))
        >>> h, ys = cell.step(params, cell.start(params), jnp.ones((7, 3)))
        >>> ys.shape
        (7, 3)

    Smith et al. 2023, https://arxiv.org/abs/2208.04933
    """
    sizes("s5", n=n, m=m)

    def init(key):
        δ, B, C, D = jax.random.split(key, 4)
        α, ω = jnp.full(m, math.log(0.5)), jnp.asarray(frequencies(m), float)
        δ = jax.random.uniform(δ, (m,), minval=math.log(step_min), maxval=math.log(step_max))
        B = jax.random.normal(B, (n, 2 * m)) / math.sqrt(2 * n)
        C = jax.random.normal(C, (2 * m, n)) / math.sqrt(2 * m)
        return S5Params(α, ω, δ, B, C, jax.random.normal(D, (n,)))

    def start(params):
        return jax.lax.complex(jnp.zeros_like(params.alpha), jnp.zeros_like(params.alpha))

    def affine(params, x):
        features("s5", x, n)
        α, ω, δ, B, *_ = params
        Δ, decay = jnp.exp(δ), jnp.exp(α)
        Λ, ΛΔ = jax.lax.complex(-decay, ω), jax.lax.complex(-decay * Δ, ω * Δ)
        return jnp.exp(ΛΔ), jnp.expm1(ΛΔ) / Λ * complexed(x @ B)

    def step(params, h, x):
        a, b = affine(params, x)
        h = a * h + b
        return h, 2 * (parts(h) @ params.C) + params.D * x

    return Cell(init, start, step, affine=affine)
