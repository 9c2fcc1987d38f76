"""The minimal gated units, whose gates see the input only."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.types import Initializer
from rnnjax.weights import glorot, per_gate, zeros


class MinGRUParams(NamedTuple):
    W: Float[Array, "n 2*m"]
    b: Float[Array, " 2*m"]


class MinLSTMParams(NamedTuple):
    W: Float[Array, "n 3*m"]
    b: Float[Array, " 3*m"]


@interned
def mingru(n: int, m: int, *, weight: Initializer = glorot, bias: Initializer = zeros) -> Cell:
    """The minimal GRU: no reset, no tanh, and an update gate of the input alone; blocks in the order z g.

        z, g = split(x W + b),   z = σ(z)
        h' = (1 - z) h + z g,   y = h'

    It keeps the promise `affine`, with a = 1 - z and b = z g. This is the paper's plain form (its appendix has another
    for logarithms, where g is made positive). In our `gru` it is the old state that z multiplies.

    Args:
        n, m: sizes of the input and of the state.
        weight, bias: initialisers of each block of W (n, 2m), and of b (2m,).

    State: h (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.mingru(3, 4)
        >>> params = cell.init(jax.random.key(0))
        >>> a, b = cell.affine(params, jnp.ones(3))
        >>> h, y = cell.step(params, jnp.ones(4), jnp.ones(3))
        >>> bool(jnp.allclose(h, a * jnp.ones(4) + b))
        True

    Feng et al. 2024, https://arxiv.org/abs/2410.01201
    """

    def gates(z, g):
        z = jax.nn.sigmoid(z)
        return 1 - z, z * g

    return _minimal("mingru", MinGRUParams, gates, 2, n, m, weight, bias)


@interned
def minlstm(n: int, m: int, *, weight: Initializer = glorot, bias: Initializer = zeros) -> Cell:
    """The minimal LSTM: no tanh, no output gate, gates of the input alone that add up to 1; blocks in the order f i g.

        f, i, g = split(x W + b)
        a = σ(f) / (σ(f) + σ(i))
        h' = a h + (1 - a) g,   y = h'

    It keeps the promise `affine`, with a and b = (1 - a) g. This is the paper's plain form, with the ratio computed
    from logarithms, so that it is no 0/0 where both gates are shut. A positive bias of f makes it remember for longer.

    Args:
        n, m: sizes of the input and of the state.
        weight, bias: initialisers of each block of W (n, 3m), and of b (3m,).

    State: h (m,). Input: x (n,). Output: h' (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.scan(rnnjax.minlstm(3, 4))
        >>> params = cell.init(jax.random.key(0))
        >>> h, ys = cell.step(params, cell.start(params), jnp.ones((7, 3)))
        >>> ys.shape
        (7, 4)

    Feng et al. 2024, https://arxiv.org/abs/2410.01201
    """

    def gates(f, i, g):
        a = jax.nn.sigmoid(jax.nn.log_sigmoid(f) - jax.nn.log_sigmoid(i))
        return a, (1 - a) * g

    return _minimal("minlstm", MinLSTMParams, gates, 3, n, m, weight, bias)


def _minimal(name, Params, gates, blocks, n, m, weight, bias):
    """A cell h' = a h + b, of which `gates: blocks of x W + b -> (a, b)` is the equations."""
    sizes(name, n=n, m=m)

    def init(key):
        W, b = jax.random.split(key)
        return Params(per_gate(weight, blocks)(W, (n, blocks * m)), bias(b, (blocks * m,)))

    def start(params):
        return jnp.zeros(m, params.W.dtype)

    def affine(params, x):
        features(name, x, n)
        return gates(*jnp.split(x @ params.W + params.b, blocks))

    def step(params, h, x):
        a, b = affine(params, x)
        h = a * h + b
        return h, h

    return Cell(init, start, step, affine=affine)
