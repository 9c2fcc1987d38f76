"""The real-gated linear recurrent unit of Griffin."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.types import Initializer
from rnnjax.weights import lecun, per_gate

SHARPNESS, STEEPEST = 8.0, 1000.0


class RGLRUParams(NamedTuple):
    W: Float[Array, "m 2*m"]
    b: Float[Array, " 2*m"]
    decay: Float[Array, " m"]


@jax.custom_jvp
def safe_sqrt(x):
    """√x for x >= 0, with a derivative of at most 1000: that of √x grows beyond all bounds where x goes to 0."""
    return jnp.sqrt(x)


@safe_sqrt.defjvp
def _safe_sqrt_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return safe_sqrt(x), dx / (2 * jnp.sqrt(jnp.maximum(x, 1 / (4 * STEEPEST**2))))


@interned
def rglru(m: int, *, weight: Initializer = lecun, a_min: float = 0.9, a_max: float = 0.999) -> Cell:
    """The RG-LRU: an elementwise recurrence with gates of the input alone, in the order r i.

        r, i = σ(split(x W + b))
        a = exp(-8 r softplus(Λ))
        h' = a h + √(1 - a²) (i x),   y = h'

    It keeps the promise `affine`. √(1 - a²) keeps the scale of h; its derivative is cut off at 1000, as in the authors'
    code, so that no gradient is infinite where a goes to 1. The recurrence gate r can only lengthen the memory that Λ
    sets. W is dense here and block-diagonal in Griffin; the first step is as any other.

    Args:
        m: size of the input and of the state. `stack(dense(n, m), rglru(m))` takes other inputs.
        weight: initialiser of each gate's block of W (m, 2m); b (2m,) starts at 0.
        a_min, a_max: Λ, the param `decay` (m,), starts so that a is uniform between them where r = 1.

    State: h (m,). Input: x (m,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> model = rnnjax.scan(rnnjax.stack(rnnjax.dense(3, 4), rnnjax.rglru(4)))
        >>> params = model.init(jax.random.key(0))
        >>> state, ys = model.step(params, model.start(params), jnp.ones((7, 3)))
        >>> ys.shape
        (7, 4)

    De et al. 2024, https://arxiv.org/abs/2402.19427
    """
    sizes("rglru", m=m)

    def init(key):
        W, Λ = jax.random.split(key)
        a = jax.random.uniform(Λ, (m,), minval=a_min, maxval=a_max)
        Λ = jnp.log(jnp.expm1(-jnp.log(a) / SHARPNESS))
        return RGLRUParams(per_gate(weight, 2)(W, (m, 2 * m)), jnp.zeros(2 * m), Λ)

    def start(params):
        return jnp.zeros(m, params.W.dtype)

    def affine(params, x):
        features("rglru", x, m)
        W, b, Λ = params
        r, i = jnp.split(jax.nn.sigmoid(x @ W + b), 2)
        log_a = -SHARPNESS * r * jax.nn.softplus(Λ)
        return jnp.exp(log_a), safe_sqrt(-jnp.expm1(2 * log_a)) * (i * x)

    def step(params, h, x):
        a, b = affine(params, x)
        h = a * h + b
        return h, h

    return Cell(init, start, step, affine=affine)
