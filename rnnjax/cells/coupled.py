"""Long short-term memory that writes as much as it forgets."""

import jax.numpy as jnp
from jax.nn import sigmoid

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.cells.lstm import LSTMParams, LSTMState
from rnnjax.types import Initializer
from rnnjax.weights import biases, fused, glorot, orthogonal

open_forget = biases(1, 0, 0)


@interned
def coupled_lstm(
    n: int,
    m: int,
    *,
    weight: Initializer = glorot,
    recurrent: Initializer = orthogonal,
    bias: Initializer = open_forget,
) -> Cell:
    """The LSTM with its input gate coupled to its forget gate (CIFG); gates in the order f g o.

        f, g, o = split(x W + h U + b)
        c' = σ(f) c + (1 - σ(f)) tanh(g)
        h' = σ(o) tanh(c'),   y = h'

    A quarter fewer weights than `lstm`, and the cell stays within (-1, 1). There are no peepholes, which the paper has.

    Args:
        n, m: sizes of the input and of the state.
        weight, recurrent: initialisers of each gate's block of W (n, 3m) and U (m, 3m).
        bias: initialiser of b (3m,), by default 1 for the forget gate and 0 elsewhere.

    State: `LSTMState(h, c)`, each (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.coupled_lstm(3, 4)
        >>> params = cell.init(jax.random.key(0))
        >>> state, y = cell.step(params, cell.start(params), jnp.ones(3))
        >>> bool((jnp.abs(state.c) < 1).all())
        True

    Greff et al. 2017, https://arxiv.org/abs/1503.04069
    """
    sizes("coupled_lstm", n=n, m=m)

    def init(key):
        return LSTMParams(*fused(key, 3, n, m, weight, recurrent, bias))

    def start(params):
        return LSTMState(jnp.zeros(m, params.U.dtype), jnp.zeros(m, params.U.dtype))

    def step(params, state, x):
        features("coupled_lstm", x, n)
        W, U, b = params
        h, c = state
        f, g, o = jnp.split(x @ W + h @ U + b, 3)
        f = sigmoid(f)
        c = f * c + (1 - f) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(c)
        return LSTMState(h, c), h

    return Cell(init, start, step)
