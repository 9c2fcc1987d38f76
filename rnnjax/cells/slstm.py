"""The scalar cell of xLSTM, with exponential gates."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import log_sigmoid, sigmoid
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.types import Activation, Initializer
from rnnjax.weights import biases, glorot, per_gate, spaced, zeros

slow_forget = biases(0, spaced(3, 6), 0, 0)


class SLSTMParams(NamedTuple):
    W: Float[Array, "n 4*m"]
    U: Float[Array, "heads l 4 l"]
    b: Float[Array, " 4*m"]


class SLSTMState(NamedTuple):
    h: Float[Array, "*B m"]
    c: Float[Array, "*B m"]
    d: Float[Array, "*B m"]
    p: Float[Array, "*B m"]


def scaled(i, f, p):
    """The gates exp(i) and exp(f) over exp(p') and exp(p' - p), for the peak p' = max(f + p, i): neither is above 1."""
    peak = jnp.maximum(f + p, i)
    return jnp.exp(i - peak), jnp.exp(f + p - peak), peak


def head_width(where, n, m, heads):
    """m / heads, of sizes that are refused where they do not fit."""
    sizes(where, n=n, m=m, heads=heads)
    if m % heads:
        raise ValueError(f"{where}: heads must divide m, but m is {m} and heads is {heads}. Give another of them.")
    return m // heads


@interned
def slstm(
    n: int,
    m: int,
    *,
    heads: int = 1,
    forget: Activation = log_sigmoid,
    weight: Initializer = glorot,
    recurrent: Initializer = zeros,
    bias: Initializer = slow_forget,
) -> Cell:
    """The sLSTM, an LSTM with exponential gates and a normaliser; gates in the order i f z o.

        i, f, z, o = split(x W + h U + b)
        p' = max(log f + p, i)
        c' = exp(log f + p - p') c + exp(i - p') tanh(z)
        d' = exp(log f + p - p') d + exp(i - p')
        h' = σ(o) c' / d',   y = h'

    where log f = `forget`(f). The cell is c exp(p), its normaliser d exp(p), and p keeps their exponentials from
    overflowing; it starts at -∞, when nothing is stored. (The paper's n and m are d and p here.)

    Args:
        n, m: sizes of the input and of the state.
        heads: a divisor of m. A unit reads the old h of its own head only, of m / heads units.
        forget: the logarithm of the forget gate, by default of σ(f), as in the authors' code; `lambda f: f` is the
            paper's other choice, exp(f).
        weight, recurrent: initialisers of each gate's block of W (n, 4m) and, in each head, of
            U (heads, m / heads, 4, m / heads), which is 0 at first in the authors' code.
        bias: initialiser of b (4m,), by default 3 to 6 for the forget gates and 0 elsewhere.

    State: `SLSTMState(h, c, d, p)`, each (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another
    shape, or heads does not divide m.

    Example:
        >>> cell = rnnjax.slstm(3, 4, heads=2)
        >>> params = cell.init(jax.random.key(0))
        >>> state, y = cell.step(params, cell.start(params), 1e4 * jnp.ones(3))
        >>> params.U.shape, bool((jnp.abs(y) <= 1).all())
        ((2, 2, 4, 2), True)

    Beck et al. 2024, https://arxiv.org/abs/2405.04517
    """
    width = head_width("slstm", n, m, heads)

    def init(key):
        W, U, b = jax.random.split(key, 3)
        blocks = jnp.stack([recurrent(k, (width, width)) for k in jax.random.split(U, 4 * heads)])
        U = blocks.reshape(heads, 4, width, width).swapaxes(1, 2)
        return SLSTMParams(per_gate(weight, 4)(W, (n, 4 * m)), U, bias(b, (4 * m,)))

    def start(params):
        nothing = jnp.zeros(m, params.U.dtype)
        return SLSTMState(nothing, nothing, nothing, nothing - jnp.inf)

    def step(params, state, x):
        features("slstm", x, n)
        W, U, b = params
        h, c, d, p = state
        mixed = jnp.einsum("hk,hkgl->ghl", h.reshape(heads, width), U)
        i, f, z, o = (x @ W + b + mixed.reshape(4 * m)).reshape(4, m)
        i, f, p = scaled(i, forget(f), p)
        c = f * c + i * jnp.tanh(z)
        d = f * d + i
        h = sigmoid(o) * c / d
        return SLSTMState(h, c, d, p), h

    return Cell(init, start, step)
