"""Initialisers: `key, shape, dtype -> array`, as in `jax.nn.initializers`, any of which serve here too."""

import jax
import jax.numpy as jnp

glorot = jax.nn.initializers.glorot_uniform()
orthogonal = jax.nn.initializers.orthogonal()
zeros = jax.nn.initializers.zeros


def per_gate(init, gates):
    """Draw each gate's block of a fused `(n, gates * m)` weight by itself.

    Drawn as one, an orthogonal `(m, 4m)` matrix leaves each gate a quarter of its energy, and a Glorot one
    counts the gates as outputs.
    """

    def draw(key, shape, dtype=float):
        *lead, width = shape
        block = (*lead, width // gates)
        return jnp.concatenate([init(k, block, dtype) for k in jax.random.split(key, gates)], axis=-1)

    return draw


def uniform(scale):
    """Uniform on (-scale, scale), for weights and biases alike (Zaremba et al. 2014; PyTorch at 1/√m)."""

    def draw(key, shape, dtype=float):
        return jax.random.uniform(key, shape, dtype, -scale, scale)

    return draw


def forget(value):
    """Biases of an LSTM (gates i f g o): the forget gate's `value`, the rest 0 (Gers et al. 2000)."""

    def draw(key, shape, dtype=float):
        i, f, g, o = jnp.split(jnp.zeros(shape, dtype), 4)
        return jnp.concatenate([i, f + value, g, o])

    return draw


open_forget = forget(1.0)
small = jax.nn.initializers.normal(0.1)
