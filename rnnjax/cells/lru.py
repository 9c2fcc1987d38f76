"""The linear recurrent unit: a diagonal recurrence of complex numbers."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes


class LRUParams(NamedTuple):
    nu: Float[Array, " m"]
    theta: Float[Array, " m"]
    gamma: Float[Array, " m"]
    B: Float[Array, "n 2*m"]
    C: Float[Array, "2*m n"]
    D: Float[Array, " n"]


def complexed(parts):
    """The complex numbers of which the first half of a vector is the real parts, and the second the imaginary."""
    return jax.lax.complex(*jnp.split(parts, 2))


def parts(h):
    """A complex vector as its real parts and then its imaginary ones."""
    return jnp.concatenate([h.real, h.imag])


@interned
def lru(n: int, m: int, *, r_min: float = 0.0, r_max: float = 1.0, max_phase: float = 2 * math.pi) -> Cell:
    """The linear recurrent unit: each of m complex numbers decays and turns at a speed that is learnt.

        λ = exp(-exp(ν) + i exp(θ)),   so that |λ| < 1
        h' = λ h + exp(γ) (x B)
        y = Re(h' C) + D x

    It keeps the promise `affine`, with a = λ. No complex number is a param: B (n, 2m) holds the real parts and then the
    imaginary ones, and C (2m, n) what the real and the imaginary parts of h' are multiplied with, so that
    y = [Re h', Im h'] C + D x. λ starts uniform on the ring r_min <= |λ| <= r_max, with phases from 0 to `max_phase`,
    and exp(γ) at √(1 - |λ|²), with which white inputs give h the variance of x B.

    Args:
        n, m: sizes of the input, which is that of the output too, and of the state.
        r_min, r_max, max_phase: where λ starts. A memory of T steps asks for r_min near 1 - 1/T and a small max_phase.

    Params: ν, θ, γ (m,), B, C, D (n,), of float32 at least. State: h (m,), complex. Input: x (n,). Output: y (n,).
    Raises `ValueError` if x has another shape, or unless 0 <= r_min < r_max <= 1.

    Example:
        >>> cell = rnnjax.lru(3, 4, r_min=0.9, r_max=0.99)
        >>> params = cell.init(jax.random.key(0))
        >>> h, y = cell.step(params, cell.start(params), jnp.ones(3))
        >>> h.dtype, y.dtype
        (dtype('complex64'), dtype('float32'))

    Orvieto et al. 2023, https://arxiv.org/abs/2303.06349
    """
    sizes("lru", n=n, m=m)
    if not 0 <= r_min < r_max <= 1:
        raise ValueError(
            f"lru: the ring must have 0 <= r_min < r_max <= 1, but r_min is {r_min} and r_max is {r_max}. Give a ring."
        )

    def init(key):
        u, v, B, C, D = jax.random.split(key, 5)
        area = jax.random.uniform(u, (m,), minval=max(r_min**2, 1e-12), maxval=r_max**2)
        decay, phase = -jnp.log(area) / 2, jax.random.uniform(v, (m,), minval=1e-6 * max_phase, maxval=max_phase)
        gain = jnp.sqrt(-jnp.expm1(-2 * decay))
        B = jax.random.normal(B, (n, 2 * m)) / math.sqrt(2 * n)
        C = jax.random.normal(C, (2 * m, n)) / math.sqrt(m)
        return LRUParams(jnp.log(decay), jnp.log(phase), jnp.log(gain), B, C, jax.random.normal(D, (n,)))

    def start(params):
        return jax.lax.complex(jnp.zeros_like(params.nu), jnp.zeros_like(params.nu))

    def affine(params, x):
        features("lru", x, n)
        ν, θ, γ, B, *_ = params
        λ = jnp.exp(jax.lax.complex(-jnp.exp(ν), jnp.exp(θ)))
        return λ, complexed(jnp.exp(jnp.tile(γ, 2)) * (x @ B))

    def step(params, h, x):
        λ, b = affine(params, x)
        h = λ * h + b
        return h, parts(h) @ params.C + params.D * x

    return Cell(init, start, step, affine=affine)
