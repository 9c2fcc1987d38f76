"""Relatives of the Elman network: IRNN, IndRNN, Jordan's network."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.cells.elman import rnn
from rnnjax.types import Activation, Initializer
from rnnjax.weights import glorot, identity, positive, zeros


class IndRNNParams(NamedTuple):
    W: Float[Array, "n m"]
    u: Float[Array, " m"]
    b: Float[Array, " m"]


class JordanParams(NamedTuple):
    W: Float[Array, "n m"]
    U: Float[Array, "k m"]
    b: Float[Array, " m"]
    V: Float[Array, "m k"]
    c: Float[Array, " k"]


@interned
def irnn(n: int, m: int, *, scale: float = 1.0, deviation: float = 0.001) -> Cell:
    """The IRNN: an Elman network of rectified linear units that starts as a sum of its inputs.

        h' = relu(x W + h U + b),   y = h',   where U starts as the identity, and b as 0

    It is `rnn(n, m, jax.nn.relu)` with other first weights: `scale` is that of the identity (0.01 forgets, as the paper
    has it for speech), `deviation` that of W, which is normal.

    Params, state, input and output are those of `rnn`.

    Example:
        >>> cell = rnnjax.irnn(3, 4)
        >>> params = cell.init(jax.random.key(0))
        >>> h, y = cell.step(params, jnp.arange(4.0), jnp.zeros(3))
        >>> print(h)
        [0. 1. 2. 3.]

    Le et al. 2015, https://arxiv.org/abs/1504.00941
    """
    weight = jax.nn.initializers.normal(deviation)
    return rnn(n, m, jax.nn.relu, weight=weight, recurrent=identity(scale))


@interned
def indrnn(
    n: int, m: int, activation: Activation = jax.nn.relu, *,
    weight: Initializer = glorot, recurrent: Initializer = positive, bias: Initializer = zeros,
) -> Cell:  # fmt: skip
    """The independently recurrent network: each unit sees of the state itself only.

        h' = activation(x W + u h + b),   y = h'

    Units meet in the layer above. The Jacobian is diagonal, so RTRL costs O(P) a step. |u| <= γ^(1/T) keeps a gradient
    over T steps below γ; clip u in the optimizer, as the paper does.

    Args:
        n, m: sizes of the input and of the state.
        activation: any elementwise function.
        weight, recurrent, bias: initialisers of W (n, m), u (m,), by default uniform on (0, 1), and b (m,).

    State: h (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.scan(rnnjax.indrnn(3, 4))
        >>> params = cell.init(jax.random.key(0))
        >>> h, ys = cell.step(params, cell.start(params), jnp.ones((7, 3)))
        >>> params.u.shape, ys.shape
        ((4,), (7, 4))

    Li et al. 2018, https://arxiv.org/abs/1803.04831
    """
    sizes("indrnn", n=n, m=m)

    def init(key):
        W, u, b = jax.random.split(key, 3)
        return IndRNNParams(weight(W, (n, m)), recurrent(u, (m,)), bias(b, (m,)))

    def start(params):
        return jnp.zeros(m, params.u.dtype)

    def step(params, h, x):
        features("indrnn", x, n)
        W, u, b = params
        h = activation(x @ W + u * h + b)
        return h, h

    return Cell(init, start, step)


@interned
def jordan(
    n: int,
    m: int,
    k: int,
    activation: Activation = jnp.tanh,
    *,
    weight: Initializer = glorot,
    bias: Initializer = zeros,
) -> Cell:
    """Jordan's network: what comes back is the output, not the hidden units.

        h = activation(x W + y U + b)
        y' = activation(h V + c)

    Args:
        n, m, k: sizes of the input, of the hidden units, and of the output, which is the state.
        activation: any elementwise function, of both layers.
        weight, bias: initialisers of W (n, m), U (k, m), V (m, k), and of b (m,), c (k,).

    State: y (k,). Input: x (n,). Output: y' (k,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.jordan(3, 4, 2)
        >>> params = cell.init(jax.random.key(0))
        >>> state, y = cell.step(params, cell.start(params), jnp.ones(3))
        >>> y.shape
        (2,)

    Jordan 1986, https://doi.org/10.1016/S0166-4115(97)80111-2 (the report, printed again in 1997)
    """
    sizes("jordan", n=n, m=m, k=k)

    def init(key):
        W, U, b, V, c = jax.random.split(key, 5)
        return JordanParams(weight(W, (n, m)), weight(U, (k, m)), bias(b, (m,)), weight(V, (m, k)), bias(c, (k,)))

    def start(params):
        return jnp.zeros(k, params.U.dtype)

    def step(params, y, x):
        features("jordan", x, n)
        W, U, b, V, c = params
        h = activation(x @ W + y @ U + b)
        y = activation(h @ V + c)
        return y, y

    return Cell(init, start, step)
