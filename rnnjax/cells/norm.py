"""Gated cells with layer normalisation inside."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import sigmoid
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.cells.layer_norm import norm, ones
from rnnjax.cells.lstm import LSTMState
from rnnjax.types import Initializer
from rnnjax.weights import fused, glorot, open_forget, orthogonal, zeros


class NormLSTMParams(NamedTuple):
    W: Float[Array, "n 4*m"]
    U: Float[Array, "m 4*m"]
    b: Float[Array, " 4*m"]
    w: Float[Array, " 4*m"]
    u: Float[Array, " 4*m"]
    v: Float[Array, " m"]
    d: Float[Array, " m"]


class NormGRUParams(NamedTuple):
    W: Float[Array, "n 3*m"]
    U: Float[Array, "m 3*m"]
    b: Float[Array, " 3*m"]
    d: Float[Array, " m"]
    w: Float[Array, " 3*m"]
    u: Float[Array, " 3*m"]


@interned
def norm_lstm(
    n: int, m: int, *, weight: Initializer = glorot, recurrent: Initializer = orthogonal,
    bias: Initializer = open_forget, gain: Initializer = ones,
) -> Cell:  # fmt: skip
    """The layer-normalised LSTM; gates in the order i f g o.

        i, f, g, o = split(w norm(x W) + u norm(h U) + b)
        c' = σ(f) c + σ(i) tanh(g)
        h' = σ(o) tanh(v norm(c') + d),   y = h'

    There are three norms, each (a - mean) / √(variance + 1e-5): over all gates at once of what the input gives (4m),
    over all gates of what the state gives (4m), and over the cell where h reads it (m); the cell itself is passed on
    as it is. The paper's two offsets of the gates and its bias are one b here.

    Args:
        n, m: sizes of the input and of the state.
        weight, recurrent: initialisers of each gate's block of W (n, 4m) and U (m, 4m).
        bias, gain: initialisers of b (4m,), and of the gains w (4m,), u (4m,) and v (m,). The offset d (m,)
            starts at 0.

    State: `LSTMState(h, c)`, each (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.norm_lstm(3, 4)
        >>> params = cell.init(jax.random.key(0))
        >>> _, y = cell.step(params, cell.start(params), jnp.arange(3.0))
        >>> _, z = cell.step(params, cell.start(params), 1000 * jnp.arange(3.0))
        >>> bool(jnp.allclose(y, z, rtol=1e-3))
        True

    Ba et al. 2016, https://arxiv.org/abs/1607.06450
    """
    sizes("norm_lstm", n=n, m=m)

    def init(key):
        key, w, u, v = jax.random.split(key, 4)
        gains = gain(w, (4 * m,)), gain(u, (4 * m,)), gain(v, (m,))
        return NormLSTMParams(*fused(key, 4, n, m, weight, recurrent, bias), *gains, jnp.zeros(m))

    def start(params):
        return LSTMState(jnp.zeros(m, params.U.dtype), jnp.zeros(m, params.U.dtype))

    def step(params, state, x):
        features("norm_lstm", x, n)
        W, U, b, w, u, v, d = params
        h, c = state
        i, f, g, o = jnp.split(w * norm(x @ W) + u * norm(h @ U) + b, 4)
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(v * norm(c) + d)
        return LSTMState(h, c), h

    return Cell(init, start, step)


@interned
def norm_gru(
    n: int, m: int, *, weight: Initializer = glorot, recurrent: Initializer = orthogonal,
    bias: Initializer = zeros, gain: Initializer = ones,
) -> Cell:  # fmt: skip
    """The layer-normalised GRU, its reset after the product; gates in the order r z n.

        r, z, a = split(w norms(x W) + b)
        s, t, q = split(u norms(h U))
        r = σ(r + s),   z = σ(z + t)
        h' = (1 - z) tanh(a + r (q + d)) + z h,   y = h'

    There are four norms, each (a - mean) / √(variance + 1e-5): `norms` takes one over the gates r and z at once (2m)
    and one over the candidate (m), of what the input gives and of what the state gives. As in `gru`, z multiplies the
    old state; the paper's multiplies the candidate, which is this cell with z's gains and bias negated. The paper's
    two offsets of the gates are one b here.

    Args:
        n, m: sizes of the input and of the state.
        weight, recurrent: initialisers of each gate's block of W (n, 3m) and U (m, 3m).
        bias, gain: initialisers of b (3m,) and d (m,), and of the gains w (3m,) and u (3m,).

    State: h (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.norm_gru(3, 4)
        >>> h, y = cell.step(cell.init(jax.random.key(0)), jnp.zeros(4), jnp.ones(3))
        >>> bool((jnp.abs(h) < 1).all())
        True

    Ba et al. 2016, https://arxiv.org/abs/1607.06450
    """
    sizes("norm_gru", n=n, m=m)

    def init(key):
        key, d, w, u = jax.random.split(key, 4)
        gains = gain(w, (3 * m,)), gain(u, (3 * m,))
        return NormGRUParams(*fused(key, 3, n, m, weight, recurrent, bias), bias(d, (m,)), *gains)

    def norms(a):
        return jnp.concatenate([norm(a[: 2 * m]), norm(a[2 * m :])])

    def step(params, h, x):
        features("norm_gru", x, n)
        W, U, b, d, w, u = params
        r, z, a = jnp.split(w * norms(x @ W) + b, 3)
        s, t, q = jnp.split(u * norms(h @ U), 3)
        r, z = sigmoid(r + s), sigmoid(z + t)
        h = (1 - z) * jnp.tanh(a + r * (q + d)) + z * h
        return h, h

    return Cell(init, lambda params: jnp.zeros(m, params.U.dtype), step)
