"""Gated linear attention: a recurrence whose state is a matrix of keys and values."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.cells.chunkwise import fading
from rnnjax.types import Initializer
from rnnjax.weights import glorot, zeros


class GLAParams(NamedTuple):
    Q: Float[Array, "n k"]
    K: Float[Array, "n k"]
    V: Float[Array, "n m"]
    F: Float[Array, "n rank"]
    G: Float[Array, "rank k"]
    b: Float[Array, " k"]


@interned
def gla(
    n: int,
    k: int,
    m: int,
    *,
    rank: int = 16,
    temperature: float = 16.0,
    weight: Initializer = glorot,
    bias: Initializer = zeros,
) -> Cell:
    """Gated linear attention, one head: values are written under keys, fade key by key, and are read by a query.

        q, key, v = x Q, x K, x V
        a = σ(x F G + b)^(1/temperature)
        S' = diag(a) S + keyᵀ v
        y = q S' / √k

    It keeps the promises `affine`, for diag(a) S is elementwise, with a repeated along each row, (k, m), and `chunk`
    (`chunkwise.fading`). Run long sequences with `scan(cell, rnnjax.chunked)`: with k = m = 64, on a CPU, several times
    as fast as `deferred`, in a fiftieth of the memory. The gate is of low rank, and near 1 at the start (1/2 to the
    power of 1/16). What the paper's layer has around the head is not in it: heads side by side, a norm of y, an output
    gate, a last product.

    Args:
        n, k, m: sizes of the input, of a key, and of a value.
        rank, temperature: of the gate.
        weight, bias: initialisers of Q, K (n, k), V (n, m), F (n, rank), G (rank, k), and of b (k,).

    State: S (k, m). Input: x (n,). Output: y (m,). Raises `ValueError` if x has another shape.

    Example:
        >>> cell = rnnjax.gla(3, 2, 4)
        >>> params = cell.init(jax.random.key(0))
        >>> S, y = cell.step(params, cell.start(params), jnp.ones(3))
        >>> S.shape, y.shape
        ((2, 4), (4,))

    Yang et al. 2024, https://arxiv.org/abs/2312.06635
    """
    sizes("gla", n=n, k=k, m=m, rank=rank)
    shapes = (n, k), (n, k), (n, m), (n, rank), (rank, k)

    def init(key):
        *weights, b = jax.random.split(key, 6)
        return GLAParams(*(weight(w, shape) for w, shape in zip(weights, shapes)), bias(b, (k,)))

    def start(params):
        return jnp.zeros((k, m), params.V.dtype)

    def log_gate(params, x):
        features("gla", x, n)
        return jax.nn.log_sigmoid(x @ params.F @ params.G + params.b) / temperature

    def affine(params, x):
        a = jnp.exp(log_gate(params, x))
        return jnp.broadcast_to(a[:, None], (k, m)), jnp.outer(x @ params.K, x @ params.V)

    def step(params, S, x):
        a, b = affine(params, x)
        S = a * S + b
        return S, (x @ params.Q) @ S / k**0.5

    def chunk(params, S, xs, *keep):
        log_a, keys = jax.vmap(log_gate, (None, 0))(params, xs), xs @ params.K
        for real in keep:
            log_a, keys = jnp.where(real[:, None], log_a, 0), jnp.where(real[:, None], keys, 0)
        S, ys = fading(S, xs @ params.Q, keys, xs @ params.V, log_a)
        return S, ys / k**0.5

    return Cell(init, start, step, affine=affine, chunk=chunk)
