"""Long short-term memory with a large cell and a small hidden state."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import sigmoid
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.cells.lstm import LSTMState
from rnnjax.types import Initializer
from rnnjax.weights import glorot, open_forget, orthogonal, per_gate


class ProjectedParams(NamedTuple):
    W: Float[Array, "n 4*m"]
    U: Float[Array, "p 4*m"]
    b: Float[Array, " 4*m"]
    P: Float[Array, "m p"]


@interned
def projected_lstm(
    n: int,
    m: int,
    p: int,
    *,
    weight: Initializer = glorot,
    recurrent: Initializer = orthogonal,
    bias: Initializer = open_forget,
) -> Cell:
    """The LSTM with its output projected, PyTorch's `nn.LSTM(n, m, proj_size=p)`; gates in the order i f g o.

        i, f, g, o = split(x W + h U + b)
        c' = σ(f) c + σ(i) tanh(g)
        h' = (σ(o) tanh(c')) P,   y = h'

    The cell has m numbers, of which the next step and the next layer see p: U has 4 p m weights in place of 4 m².
    There are no peepholes, which the paper has.

    Args:
        n, m, p: sizes of the input, of the cell, and of the hidden state.
        weight: initialiser of P (m, p) and of each gate's block of W (n, 4m).
        recurrent: initialiser of each gate's block of U (p, 4m).
        bias: initialiser of b (4m,). PyTorch's two biases are one here.

    State: `LSTMState(h, c)`, h (p,) and c (m,). Input: x (n,). Output: h' (p,). Raises `ValueError` if x has another
    shape.

    Example:
        >>> cell = rnnjax.projected_lstm(3, 8, 2)
        >>> params = cell.init(jax.random.key(0))
        >>> state, y = cell.step(params, cell.start(params), jnp.ones(3))
        >>> state.c.shape, y.shape
        ((8,), (2,))

    Sak et al. 2014, https://arxiv.org/abs/1402.1128
    """
    sizes("projected_lstm", n=n, m=m, p=p)

    def init(key):
        W, U, b, P = jax.random.split(key, 4)
        W, U = per_gate(weight, 4)(W, (n, 4 * m)), per_gate(recurrent, 4)(U, (p, 4 * m))
        return ProjectedParams(W, U, bias(b, (4 * m,)), weight(P, (m, p)))

    def start(params):
        return LSTMState(jnp.zeros(p, params.U.dtype), jnp.zeros(m, params.U.dtype))

    def step(params, state, x):
        features("projected_lstm", x, n)
        W, U, b, P = params
        h, c = state
        i, f, g, o = jnp.split(x @ W + h @ U + b, 4)
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        h = (sigmoid(o) * jnp.tanh(c)) @ P
        return LSTMState(h, c), h

    return Cell(init, start, step)
