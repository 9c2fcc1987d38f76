"""Initialisers of weights."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cell import interned
from rnnjax.types import Initializer, Key
from rnnjax.weights.called import called

glorot: Initializer = jax.nn.initializers.glorot_uniform()
lecun: Initializer = jax.nn.initializers.lecun_uniform()
fan_in: Initializer = jax.nn.initializers.variance_scaling(1.0, "fan_in", "normal")
positive: Initializer = jax.nn.initializers.uniform(1.0)
orthogonal: Initializer = jax.nn.initializers.orthogonal()
zeros: Initializer = jax.nn.initializers.zeros
small: Initializer = jax.nn.initializers.normal(0.1)


def per_gate(init: Initializer, gates: int) -> Initializer:
    """Draw each gate's block of a fused `(n, gates * m)` weight by itself.

    Drawn as one, an orthogonal `(m, 4m)` matrix leaves each gate a quarter of its energy, and a Glorot one
    counts the gates as outputs.
    """

    def draw(key, shape, dtype=float):
        *lead, width = shape
        block = (*lead, width // gates)
        return jnp.concatenate([init(k, block, dtype) for k in jax.random.split(key, gates)], axis=-1)

    return draw


def fused(
    key: Key, gates: int, n: int, m: int, weight: Initializer, recurrent: Initializer, bias: Initializer
) -> tuple[Float[Array, "{n} {gates*m}"], Float[Array, "{m} {gates*m}"], Float[Array, " {gates*m}"]]:
    """W (n, gates * m), U (m, gates * m) and b (gates * m,) of a gated cell, the matrices drawn `per_gate`."""
    W, U, b = jax.random.split(key, 3)
    width = gates * m
    return per_gate(weight, gates)(W, (n, width)), per_gate(recurrent, gates)(U, (m, width)), bias(b, (width,))


@interned
def uniform(scale: float) -> Initializer:
    """Uniform on (-scale, scale), for weights and biases alike (Zaremba et al. 2014; PyTorch at 1/√m)."""

    def draw(key, shape, dtype=float):
        return jax.random.uniform(key, shape, dtype, -scale, scale)

    return called(draw, f"uniform({scale})")


@interned
def identity(scale: float = 1.0) -> Initializer:
    """`scale` times the identity, of a recurrent weight: the IRNN (Le et al. 2015, arXiv 1504.00941) has relu over it.

    >>> rnnjax.rnn(3, 4, jax.nn.relu, recurrent=rnnjax.weights.identity())
    rnn(3, 4, activation=relu, recurrent=identity(1.0))
    """

    def draw(key, shape, dtype=float):
        return scale * jnp.eye(*shape, dtype=dtype)

    return called(draw, f"identity({scale})")
