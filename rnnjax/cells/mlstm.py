"""The matrix cell of xLSTM, with exponential gates."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import log_sigmoid, sigmoid
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned
from rnnjax.cells.chunkwise import peaked
from rnnjax.cells.slstm import head_width, scaled
from rnnjax.types import Activation, Initializer
from rnnjax.weights import biases, glorot, per_gate, small, spaced, zeros

slow_forget = biases(small, spaced(3, 6))


class MLSTMParams(NamedTuple):
    W: Float[Array, "n 4*m"]
    b: Float[Array, " 4*m"]
    G: Float[Array, "n 2*heads"]
    g: Float[Array, " 2*heads"]


class MLSTMState(NamedTuple):
    C: Float[Array, "*B heads l l"]
    d: Float[Array, "*B heads l"]
    p: Float[Array, "*B heads"]


@interned
def mlstm(
    n: int,
    m: int,
    *,
    heads: int = 1,
    forget: Activation = log_sigmoid,
    weight: Initializer = glorot,
    bias: Initializer = zeros,
    gate: Initializer = zeros,
    opening: Initializer = slow_forget,
) -> Cell:
    """The mLSTM, whose cell is a matrix that stores values by their keys; products in the order q k v o, gates i f.

        q, k, v, o = split(x W + b),   i, f = split(x G + g)
        p' = max(log f + p, i)
        C' = exp(log f + p - p') C + exp(i - p') v kᵀ / √l
        d' = exp(log f + p - p') d + exp(i - p') k / √l
        y = σ(o) C' q / max(|d' q|, exp(-p'))

    in each head, of l = m / heads numbers, where log f = `forget`(f); a head has one i and one f. The cell is C exp(p),
    its normaliser d exp(p), and p keeps their exponentials from overflowing; it starts at -∞, when nothing is stored.
    (The paper's n and m are d and p here. As in the authors' code, √l divides the key's bias too.) No weight reads the
    old state: the gates depend on x alone, and the cell keeps the promise `chunk` (`chunkwise.peaked`). Run long
    sequences with `scan(cell, rnnjax.chunked)`: on a CPU, a head of 64 then takes a tenth of `deferred`'s time or less.

    Args:
        n, m: sizes of the input and of the output.
        heads: a divisor of m.
        forget: the logarithm of the forget gate, by default of σ(f), as in the authors' code; `lambda f: f` is the
            paper's other choice, exp(f).
        weight, bias: initialisers of each product's block of W (n, 4m), and of b (4m,).
        gate, opening: initialisers of G (n, 2 heads) and g (2 heads,); as in the authors' code they start at 0 and at
            3 to 6 for the forget gates, about 0 for the input gates.

    State: `MLSTMState(C, d, p)`, C (heads, l, l), d (heads, l), p (heads,). Input: x (n,). Output: y (m,). Raises
    `ValueError` if x has another shape, or heads does not divide m.

    Example:
        >>> cell = rnnjax.mlstm(3, 8, heads=2)
        >>> params = cell.init(jax.random.key(0))
        >>> state, y = cell.step(params, cell.start(params), jnp.ones(3))
        >>> state.C.shape, y.shape
        ((2, 4, 4), (8,))

    Beck et al. 2024, https://arxiv.org/abs/2405.04517; in chunks, Beck et al. 2025, https://arxiv.org/abs/2503.14376
    """
    l = head_width("mlstm", n, m, heads)

    def init(key):
        W, b, G, g = jax.random.split(key, 4)
        return MLSTMParams(
            per_gate(weight, 4)(W, (n, 4 * m)), bias(b, (4 * m,)), gate(G, (n, 2 * heads)), opening(g, (2 * heads,))
        )

    def start(params):
        p = jnp.full(heads, -jnp.inf, params.W.dtype)
        return MLSTMState(jnp.zeros((heads, l, l), p.dtype), jnp.zeros((heads, l), p.dtype), p)

    def parts(params, x):
        features("mlstm", x, n)
        W, b, G, g = params
        q, k, v, o = (x @ W + b).reshape(4, heads, l)
        i, f = (x @ G + g).reshape(2, heads)
        return sigmoid(o), q, k / l**0.5, v, i, jax.vmap(forget)(f)

    def head(C, d, p, q, k, v, i, f):
        i, f, p = scaled(i, f, p)
        C = f * C + i * jnp.outer(v, k)
        d = f * d + i * k
        return MLSTMState(C, d, p), C @ q / jnp.maximum(jnp.abs(d @ q), jnp.exp(-jnp.maximum(p, -80)))

    def step(params, state, x):
        o, *rest = parts(params, x)
        state, y = jax.vmap(head)(*state, *rest)
        return state, (o * y).reshape(m)

    def chunk(params, state, xs, *keep):
        o, q, k, v, i, f = jax.vmap(parts, (None, 0))(params, xs)
        for real in keep:
            i, f = jnp.where(real[:, None], i, -jnp.inf), jnp.where(real[:, None], f, 0)
        state, ys = jax.vmap(peaked, (0, 0, 0, 1, 1, 1, 1, 1), (0, 1))(*state, q, k, v, i, f)
        return MLSTMState(*state), (o * ys).reshape(-1, m)

    return Cell(init, start, step, chunk=chunk)
