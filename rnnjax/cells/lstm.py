"""Long short-term memory."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.types import Initializer
from rnnjax.weights import glorot, open_forget, orthogonal, per_gate


class LSTMParams(NamedTuple):
    W: Float[Array, "*space n width"]
    U: Float[Array, "*space m width"]
    b: Float[Array, " width"]


class LSTMState(NamedTuple):
    h: Float[Array, "... p"]
    c: Float[Array, "... m"]


@interned
def lstm(
    n: int,
    m: int,
    *,
    weight: Initializer = glorot,
    recurrent: Initializer = orthogonal,
    bias: Initializer = open_forget,
) -> Cell:
    """The LSTM with a forget gate and no peepholes, PyTorch's `nn.LSTM`; gates in the order i f g o.

        i, f, g, o = split(x W + h U + b)
        c' = σ(f) c + σ(i) tanh(g)
        h' = σ(o) tanh(c'),   y = h'

    Args:
        n, m: sizes of the input and of the state.
        weight, recurrent: initialisers of each gate's block of W (n, 4m) and U (m, 4m).
        bias: initialiser of b (4m,), by default 1 for the forget gate and 0 elsewhere (PyTorch's two biases are
            one here, and start near 0).

    State: `LSTMState(h, c)`, each (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.lstm(3, 4)
        >>> params = cell.init(jax.random.key(0))
        >>> state, y = cell.step(params, cell.start(params), jnp.ones(3))
        >>> state.c.shape, y.shape
        ((4,), (4,))

    Hochreiter & Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735;
    Gers et al. 2000, https://doi.org/10.1162/089976600300015015
    """
    sizes("lstm", n=n, m=m)

    def init(key):
        W, U, b = jax.random.split(key, 3)
        return LSTMParams(per_gate(weight, 4)(W, (n, 4 * m)), per_gate(recurrent, 4)(U, (m, 4 * m)), bias(b, (4 * m,)))

    def start(params):
        return LSTMState(jnp.zeros(m, params.U.dtype), jnp.zeros(m, params.U.dtype))

    def step(params, state, x):
        features("lstm", x, n)
        W, U, b = params
        h, c = state
        i, f, g, o = jnp.split(x @ W + h @ U + b, 4)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return LSTMState(h, c), h

    return Cell(init, start, step)
