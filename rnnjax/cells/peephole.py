"""Long short-term memory whose gates see the cell."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import sigmoid
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.cells.lstm import LSTMState
from rnnjax.types import Initializer
from rnnjax.weights import fused, glorot, open_forget, orthogonal, small


class PeepholeParams(NamedTuple):
    W: Float[Array, "n 4*m"]
    U: Float[Array, "m 4*m"]
    b: Float[Array, " 4*m"]
    P: Float[Array, "3 m"]


@interned
def peephole_lstm(
    n: int,
    m: int,
    *,
    weight: Initializer = glorot,
    recurrent: Initializer = orthogonal,
    bias: Initializer = open_forget,
    peephole: Initializer = small,
) -> Cell:
    """The LSTM with peepholes, for intervals and counts; gates in the order i f g o.

        i, f, g, o = split(x W + h U + b)
        c' = σ(f + P_f c) c + σ(i + P_i c) tanh(g)
        h' = σ(o + P_o c') tanh(c'),   y = h'

    Each unit's gates see its own cell: the products with P are elementwise. The output gate sees the new cell. (The
    squashing is tanh's, as of every LSTM since; in 2000 it was a scaled σ.)

    Args:
        n, m: sizes of the input and of the state.
        weight, recurrent: initialisers of each gate's block of W (n, 4m) and U (m, 4m).
        bias, peephole: initialisers of b (4m,) and of P (3, m), in the order i f o.

    State: `LSTMState(h, c)`, each (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.peephole_lstm(3, 4)
        >>> params = cell.init(jax.random.key(0))
        >>> state, y = cell.step(params, cell.start(params), jnp.ones(3))
        >>> params.P.shape, y.shape
        ((3, 4), (4,))

    Gers & Schmidhuber 2000, https://doi.org/10.1109/IJCNN.2000.861302; Graves 2013, https://arxiv.org/abs/1308.0850
    """
    sizes("peephole_lstm", n=n, m=m)

    def init(key):
        key, P = jax.random.split(key)
        return PeepholeParams(*fused(key, 4, n, m, weight, recurrent, bias), peephole(P, (3, m)))

    def start(params):
        return LSTMState(jnp.zeros(m, params.U.dtype), jnp.zeros(m, params.U.dtype))

    def step(params, state, x):
        features("peephole_lstm", x, n)
        W, U, b, (P_i, P_f, P_o) = params
        h, c = state
        i, f, g, o = jnp.split(x @ W + h @ U + b, 4)
        c = sigmoid(f + P_f * c) * c + sigmoid(i + P_i * c) * jnp.tanh(g)
        h = sigmoid(o + P_o * c) * jnp.tanh(c)
        return LSTMState(h, c), h

    return Cell(init, start, step)
