"""The neural Turing machine: a controller with a memory that it writes and reads by address."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import sigmoid, softmax, softplus
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, kind, one_step, sizes
from rnnjax.cells.lstm import lstm
from rnnjax.types import Initializer, Params, State
from rnnjax.weights import glorot, zeros


class NTMParams(NamedTuple):
    controller: Params
    W: Float[Array, "m asked"]
    b: Float[Array, " asked"]


class NTMState(NamedTuple):
    controller: State
    M: Float[Array, "*B slots width"]
    r: Float[Array, "*B width"]
    w: Float[Array, "*B 2 slots"]


@interned
def ntm(
    n: int,
    m: int,
    slots: int,
    width: int,
    *,
    controller: Callable[[int, int], Cell] = lstm,
    weight: Initializer = glorot,
    bias: Initializer = zeros,
) -> Cell:
    """The neural Turing machine with one head that reads and one that writes, in this order.

        c', h = controller(c, [x, r])
        k, β, g, s, γ of each head, then e and a:  split(h W + b)
        k = tanh(k),  β = softplus(β),  g = σ(g),  s = softmax(s),  γ = 1 + softplus(γ),  e = σ(e),  a = tanh(a)
        w̃ = g softmax(β cos(k, M)) + (1 - g) w          by content, or as before
        ŵ[i] = s[0] w̃[i+1] + s[1] w̃[i] + s[2] w̃[i-1]    shifted around a circle by -1, 0 or 1
        w' = ŵ^γ / Σ ŵ^γ                                sharpened
        r' = w'_read M,   M' = (1 - w'_write e) M + w'_write a,   y = [h, r']

    What is read is there from the step before. cos(k, M) = k Mᵀ / √(|k|² |M|² + 10⁻¹⁶), which has a gradient where
    one of them is 0. The functions that keep k, β, ... in their ranges are those of Collier & Beel, as is M = 10⁻⁶ at
    the start; r is 0 then, and both heads are on the first slot. Clip the gradient.

    Args:
        n, m: sizes of the input and of the controller's output.
        slots, width: how many rows the memory has, at least 3, and their size.
        controller: a constructor `(n, m) -> Cell` of one step, as `lstm`, `gru`, or your own.
        weight, bias: initialisers of W (m, 4 · width + 12) and b (4 · width + 12,).

    Params: `NTMParams(controller, W, b)`. State: `NTMState(controller, M, r, w)`, M (slots, width), r (width,), w
    (2, slots): where the heads are. Input: x (n,). Output: y (m + width,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.ntm(3, 8, slots=5, width=4, controller=rnnjax.gru)
        >>> params = cell.init(jax.random.key(0))
        >>> state, y = cell.step(params, cell.start(params), jnp.ones(3))
        >>> state.M.shape, y.shape, bool(jnp.allclose(state.w.sum(1), 1))
        ((5, 4), (12,), True)

    Graves et al. 2014, https://arxiv.org/abs/1410.5401; Collier & Beel 2018, https://arxiv.org/abs/1807.08518
    """
    sizes("ntm", n=n, m=m, slots=slots, width=width)
    if slots < 3:
        raise ValueError(f"ntm: a shift must lead to three slots, but slots is {slots}. Give at least 3.")
    inner, ask = controller(n + width, m), 4 * width + 12
    one_step("ntm", inner)

    def init(key):
        c, W, b = jax.random.split(key, 3)
        return NTMParams(inner.init(c), weight(W, (m, ask)), bias(b, (ask,)))

    def start(params):
        dtype = params.W.dtype
        w = jnp.zeros((2, slots), dtype).at[:, 0].set(1)
        return NTMState(
            inner.start(params.controller), jnp.full((slots, width), 1e-6, dtype), jnp.zeros(width, dtype), w
        )

    def address(asked, M, w):
        k, (β, g, γ), s = jnp.split(asked, [width, width + 3])
        k = jnp.tanh(k)
        cos = M @ k / jnp.sqrt((k @ k) * (M * M).sum(1) + 1e-16)
        g, s = sigmoid(g), softmax(s)
        w = g * softmax(softplus(β) * cos) + (1 - g) * w
        w = s[0] * jnp.roll(w, -1) + s[1] * w + s[2] * jnp.roll(w, 1)
        return softmax((1 + softplus(γ)) * jnp.log(jnp.maximum(w, jnp.finfo(w.dtype).tiny)))

    def step(params, state, x):
        features("ntm", x, n)
        c, M, r, w = state
        c, h = inner.step(params.controller, c, jnp.concatenate([x, r]))
        if jnp.shape(h) != (m,):
            raise ValueError(f"ntm: the controller must give {m} numbers, but its y is {kind(h)}. Give such an m.")
        heads, e, a = jnp.split(h @ params.W + params.b, [2 * (width + 6), 3 * width + 12])
        w = jax.vmap(address, (0, None, 0))(heads.reshape(2, width + 6), M, w)
        reads, writes = w
        r = reads @ M
        M = (1 - jnp.outer(writes, sigmoid(e))) * M + jnp.outer(writes, jnp.tanh(a))
        return NTMState(c, M, r, w), jnp.concatenate([h, r])

    return Cell(init, start, step)
