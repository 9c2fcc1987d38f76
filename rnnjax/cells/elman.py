"""The vanilla recurrent network."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.types import Activation, Initializer
from rnnjax.weights import glorot, orthogonal, zeros


class RNNParams(NamedTuple):
    W: Float[Array, "n width"]
    U: Float[Array, "m width"]
    b: Float[Array, " width"]


@interned
def rnn(
    n: int,
    m: int,
    activation: Activation = jnp.tanh,
    *,
    weight: Initializer = glorot,
    recurrent: Initializer = orthogonal,
    bias: Initializer = zeros,
) -> Cell:
    """The Elman network, PyTorch's `nn.RNN`.

        h' = activation(x W + h U + b),   y = h'

    Args:
        n, m: sizes of the input and of the state.
        activation: any elementwise function, as `jnp.tanh` or `jax.nn.relu`.
        weight, recurrent, bias: initialisers of W (n, m), U (m, m) and b (m,). PyTorch's two biases are one here.

    State: h (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.rnn(3, 4, jax.nn.relu)
        >>> params = cell.init(jax.random.key(0))
        >>> h, y = cell.step(params, cell.start(params), jnp.ones(3))
        >>> y.shape
        (4,)

    Elman 1990, https://doi.org/10.1207/s15516709cog1402_1
    """
    sizes("rnn", n=n, m=m)

    def init(key):
        W, U, b = jax.random.split(key, 3)
        return RNNParams(weight(W, (n, m)), recurrent(U, (m, m)), bias(b, (m,)))

    def start(params):
        return jnp.zeros(m, params.U.dtype)

    def step(params, h, x):
        features("rnn", x, n)
        W, U, b = params
        h = activation(x @ W + h @ U + b)
        return h, h

    return Cell(init, start, step)
