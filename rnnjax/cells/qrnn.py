"""Quasi-recurrent networks and simple recurrent units: an elementwise recurrence between matrix products."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.types import Initializer
from rnnjax.weights import glorot, lecun, per_gate, zeros


class QRNNParams(NamedTuple):
    W: Float[Array, "n 3*m"]
    b: Float[Array, " 3*m"]


class SRUParams(NamedTuple):
    W: Float[Array, "n width"]
    b: Float[Array, " 2*m"]


@interned
def qrnn(n: int, m: int, *, weight: Initializer = glorot, bias: Initializer = zeros) -> Cell:
    """The quasi-recurrent network with fo-pooling, of window 1; gates in the order z f o.

        z, f, o = split(x W + b)
        c' = σ(f) c + (1 - σ(f)) tanh(z)
        y = σ(o) c'

    It keeps the promise `affine`. The paper's convolution looks at the last k inputs, which no function of x alone can:
    `window(n, k)` keeps them, and `stack(window(n, k), qrnn(k * n, m))` is the paper's layer of window k. That stack
    has no such promise, but its part `qrnn` has: run the two one after the other, each in a scan of its own, for a
    loop that uses it, and to have the products outside of the loop.

    Args:
        n, m: sizes of the input and of the state.
        weight, bias: initialisers of each gate's block of W (n, 3m), and of b (3m,).

    State: c (m,). Input: x (n,). Output: y (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> model = rnnjax.stack(rnnjax.scan(rnnjax.window(3, 2)), rnnjax.scan(rnnjax.qrnn(6, 4)))
        >>> state, ys = rnnjax.apply(model, model.init(jax.random.key(0)), jnp.ones((5, 7, 3)))
        >>> ys.shape
        (5, 7, 4)

    Bradbury et al. 2017, https://arxiv.org/abs/1611.01576
    """
    sizes("qrnn", n=n, m=m)

    def init(key):
        W, b = jax.random.split(key)
        return QRNNParams(per_gate(weight, 3)(W, (n, 3 * m)), bias(b, (3 * m,)))

    def start(params):
        return jnp.zeros(m, params.W.dtype)

    def gates(params, x):
        features("qrnn", x, n)
        z, f, o = jnp.split(x @ params.W + params.b, 3)
        f = jax.nn.sigmoid(f)
        return f, (1 - f) * jnp.tanh(z), jax.nn.sigmoid(o)

    def step(params, c, x):
        a, b, o = gates(params, x)
        c = a * c + b
        return c, o * c

    return Cell(init, start, step, affine=lambda params, x: gates(params, x)[:2])


@interned
def window(n: int, k: int, *, dtype: DTypeLike = float) -> Cell:
    """The last k inputs side by side, oldest first: y = [x_(t-k+1), ..., x_t]. Before the first they are 0.

    A dense map of y is a causal convolution of width k. It has no params. State: the last k - 1 inputs (k - 1, n), in
    `dtype`, which must be that of x. Input: x (n,). Output: y (k n,). Raises `ValueError` if x has another shape.

        >>> cell = rnnjax.scan(rnnjax.window(1, 2))
        >>> print(cell.step((), cell.start(()), jnp.array([[1.0], [2.0], [3.0]]))[1])
        [[0. 1.]
         [1. 2.]
         [2. 3.]]
    """
    sizes("window", n=n, k=k)

    def step(params, past, x):
        features("window", x, n)
        seen = jnp.concatenate([past, x[None]])
        return seen[1:], seen.ravel()

    return Cell(lambda key: (), lambda params: jnp.zeros((k - 1, n), dtype), step)


@interned
def sru(n: int, m: int, *, weight: Initializer = lecun, highway: float = 0.0) -> Cell:
    """The simple recurrent unit, whose gates see the input only; blocks in the order g f r (s).

        g, f, r, s = split(x W),   or s = x where n = m, and W has no fourth block
        f, r = σ(f + b_f), σ(r + b_r)
        c' = f c + (1 - f) g
        y = r c' + (1 - r) α s,   α = √(1 + 2 exp(highway))

    It keeps the promise `affine`. This is the form of the first version of the paper, but for its tanh and with the
    scale α of the later; in the latter, the gates also see v c, and would have to wait for the state.

    Args:
        n, m: sizes of the input and of the state.
        weight: initialiser of each block of W, (n, 3m), or (n, 4m) where n is not m. By default of variance 1/n.
        highway: what b_r starts from; b (2m,) is b_f, which starts at 0, and b_r.

    State: c (m,). Input: x (n,). Output: y (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.sru(4, 4)
        >>> params = cell.init(jax.random.key(0))
        >>> c, y = cell.step(params, cell.start(params), jnp.ones(4))
        >>> params.W.shape, y.shape
        ((4, 12), (4,))

    Lei et al. 2018, https://arxiv.org/abs/1709.02755
    """
    sizes("sru", n=n, m=m)
    blocks, α = (3 if n == m else 4), math.sqrt(1 + 2 * math.exp(highway))

    def init(key):
        b = jnp.zeros(m)
        return SRUParams(per_gate(weight, blocks)(key, (n, blocks * m)), jnp.concatenate([b, b + highway]))

    def start(params):
        return jnp.zeros(m, params.W.dtype)

    def gates(params, x):
        features("sru", x, n)
        g, f, r, *s = jnp.split(x @ params.W, blocks)
        f, r = jnp.split(jax.nn.sigmoid(jnp.concatenate([f, r]) + params.b), 2)
        return f, (1 - f) * g, r, (1 - r) * α * (s[0] if s else x)

    def step(params, c, x):
        a, b, r, skip = gates(params, x)
        c = a * c + b
        return c, r * c + skip

    return Cell(init, start, step, affine=lambda params, x: gates(params, x)[:2])
