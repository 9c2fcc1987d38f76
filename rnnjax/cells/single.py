"""Cells with a single gate, which keeps or writes: JANET, MGU, UGRNN."""

import jax.numpy as jnp
from jax.nn import sigmoid

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.cells.elman import RNNParams
from rnnjax.types import Initializer
from rnnjax.weights import biases, fused, glorot, orthogonal, zeros

open_gate = biases(1, 0)


def _one_gate(name, n, m, step, weight, recurrent, bias):
    """A cell of a gate and a candidate, of which `step: params, h, x -> h` is the equations."""
    sizes(name, n=n, m=m)

    def init(key):
        return RNNParams(*fused(key, 2, n, m, weight, recurrent, bias))

    def start(params):
        return jnp.zeros(m, params.U.dtype)

    def checked(params, h, x):
        features(name, x, n)
        h = step(params, h, x)
        return h, h

    return Cell(init, start, checked)


@interned
def janet(
    n: int,
    m: int,
    *,
    beta: float = 1.0,
    weight: Initializer = glorot,
    recurrent: Initializer = orthogonal,
    bias: Initializer = open_gate,
) -> Cell:
    """JANET, the LSTM with its forget gate only; gates in the order f g.

        f, g = split(x W + h U + b)
        h' = σ(f) h + (1 - σ(f - β)) tanh(g),   y = h'

    With β > 0 it writes a little more than it forgets. The paper's cell c is h.

    Args:
        n, m: sizes of the input and of the state.
        beta: β.
        weight, recurrent: initialisers of each gate's block of W (n, 2m) and U (m, 2m).
        bias: initialiser of b (2m,), by default 1 for the forget gate. The paper's knows the longest time T that is
            to be remembered: `weights.biases(weights.lasting(T), 0)`.

    State: h (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.janet(3, 4)
        >>> params = cell.init(jax.random.key(0))
        >>> print(params.b)
        [1. 1. 1. 1. 0. 0. 0. 0.]

    van der Westhuizen & Lasenby 2018, https://arxiv.org/abs/1804.04849
    """

    def step(params, h, x):
        W, U, b = params
        f, g = jnp.split(x @ W + h @ U + b, 2)
        return sigmoid(f) * h + (1 - sigmoid(f - beta)) * jnp.tanh(g)

    return _one_gate("janet", n, m, step, weight, recurrent, bias)


@interned
def ugrnn(
    n: int, m: int, *, weight: Initializer = glorot, recurrent: Initializer = orthogonal, bias: Initializer = open_gate
) -> Cell:
    """The update gate RNN, a highway through time; gates in the order z a.

        z, a = split(x W + h U + b)
        h' = σ(z) h + (1 - σ(z)) tanh(a),   y = h'

    The gate z, the paper's g, multiplies the old state.

    Args:
        n, m: sizes of the input and of the state.
        weight, recurrent: initialisers of each gate's block of W (n, 2m) and U (m, 2m).
        bias: initialiser of b (2m,), by default 1 for the gate.

    State: h (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.ugrnn(3, 4)
        >>> h, y = cell.step(cell.init(jax.random.key(0)), jnp.zeros(4), jnp.ones(3))
        >>> y.shape
        (4,)

    Collins et al. 2017, https://arxiv.org/abs/1611.09913
    """

    def step(params, h, x):
        W, U, b = params
        z, a = jnp.split(x @ W + h @ U + b, 2)
        return sigmoid(z) * h + (1 - sigmoid(z)) * jnp.tanh(a)

    return _one_gate("ugrnn", n, m, step, weight, recurrent, bias)


@interned
def mgu(
    n: int, m: int, *, weight: Initializer = glorot, recurrent: Initializer = orthogonal, bias: Initializer = zeros
) -> Cell:
    """The minimal gated unit, a GRU whose one gate resets before the product and updates; gates in the order f a.

        f, a = split(x W + b)
        f = σ(f + h U_f)
        h' = (1 - f) h + f tanh(a + (f h) U_a),   y = h'

    The gate f multiplies the new candidate, as in the paper, and not the old state, as z does in `gru`.

    Args:
        n, m: sizes of the input and of the state.
        weight, recurrent: initialisers of each gate's block of W (n, 2m) and U = [U_f U_a] (m, 2m).
        bias: initialiser of b (2m,).

    State: h (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.mgu(3, 4)
        >>> h, y = cell.step(cell.init(jax.random.key(0)), jnp.zeros(4), jnp.ones(3))
        >>> bool((jnp.abs(h) < 1).all())
        True

    Zhou et al. 2016, https://arxiv.org/abs/1603.09420
    """

    def step(params, h, x):
        W, U, b = params
        U_f, U_a = jnp.split(U, 2, axis=1)
        f, a = jnp.split(x @ W + b, 2)
        f = sigmoid(f + h @ U_f)
        return (1 - f) * h + f * jnp.tanh(a + (f * h) @ U_a)

    return _one_gate("mgu", n, m, step, weight, recurrent, bias)
