"""Initialisers: `key, shape, dtype -> array`, as in `jax.nn.initializers`, any of which serve here too."""

import jax
import jax.numpy as jnp

from rnnjax.cell import interned

glorot = jax.nn.initializers.glorot_uniform()
lecun = jax.nn.initializers.lecun_uniform()
fan_in = jax.nn.initializers.variance_scaling(1.0, "fan_in", "normal")
positive = jax.nn.initializers.uniform(1.0)
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


@interned
def uniform(scale):
    """Uniform on (-scale, scale), for weights and biases alike (Zaremba et al. 2014; PyTorch at 1/√m)."""

    def draw(key, shape, dtype=float):
        return jax.random.uniform(key, shape, dtype, -scale, scale)

    return _called(draw, f"uniform({scale})")


@interned
def identity(scale=1.0):
    """`scale` times the identity, of a recurrent weight: the IRNN (Le et al. 2015, arXiv 1504.00941) has relu over it.

    >>> rnnjax.rnn(3, 4, jax.nn.relu, recurrent=rnnjax.weights.identity())
    rnn(3, 4, activation=relu, recurrent=identity(1.0))
    """

    def draw(key, shape, dtype=float):
        return scale * jnp.eye(*shape, dtype=dtype)

    return _called(draw, f"identity({scale})")


@interned
def forget(value):
    """Biases of an LSTM (gates i f g o): the forget gate's `value`, the rest 0 (Gers et al. 2000)."""

    def draw(key, shape, dtype=float):
        i, f, g, o = jnp.split(jnp.zeros(shape, dtype), 4)
        return jnp.concatenate([i, f + value, g, o])

    return _called(draw, f"forget({value})")


@interned
def chrono(longest, *, gru=None):
    """Biases that make an LSTM, or with `gru=m` a GRU of m units, remember for 1 to `longest` steps.

        b_f = log u,   b_i = -b_f,   u ~ U(1, longest - 1);   of a GRU b_z = log u;   all else 0

    A forget gate σ(b_f) keeps its cell for u + 1 steps; in our GRU it is z that multiplies the old state. (A GRU also
    has a bias d (m,), which stays 0: that is why its m must be known.) Raises `ValueError` unless longest > 2, and for
    biases of another GRU.

        >>> cell = rnnjax.lstm(3, 4, bias=rnnjax.weights.chrono(100))
        >>> cell is rnnjax.lstm(3, 4, bias=rnnjax.weights.chrono(100))
        True
        >>> i, f, g, o = jnp.split(cell.init(jax.random.key(0)).b, 4)
        >>> bool((i == -f).all()), bool((0 <= f).all() and (f <= jnp.log(99)).all())
        (True, True)
        >>> rnnjax.gru(3, 4, bias=rnnjax.weights.chrono(100, gru=4))
        gru(3, 4, bias=chrono(100, gru=4))

    Tallec & Ollivier 2018, https://arxiv.org/abs/1804.11188
    """
    if not longest > 2:
        raise ValueError(f"chrono: longest must be more than 2 steps, but longest is {longest}. Give more.")

    def draw(key, shape, dtype=float):
        if gru is not None and shape not in ((3 * gru,), (gru,)):
            raise ValueError(f"chrono: biases must be of gru(n, {gru}), but they are {shape}. Give its m, gru=m.")
        if shape == (gru,):
            return jnp.zeros(shape, dtype)
        m = shape[0] // (4 if gru is None else 3)
        long = jnp.log(jax.random.uniform(key, (m,), dtype, 1, longest - 1))
        still = jnp.zeros_like(long)
        return jnp.concatenate([-long, long, still, still] if gru is None else [still, long, still])

    return _called(draw, f"chrono({longest})" if gru is None else f"chrono({longest}, gru={gru})")


def _called(draw, name):
    """The initialiser by the name that a cell's repr shows."""
    draw.__name__ = name
    return draw


open_forget = forget(1.0)
small = jax.nn.initializers.normal(0.1)
