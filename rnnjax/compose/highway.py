"""`highway(cell, n)`: a gate between a cell and the way around it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cell import Cell, interned, kind, sizes
from rnnjax.compose.around import around, same_type
from rnnjax.types import Initializer, Params
from rnnjax.weights import biases, glorot


class HighwayParams(NamedTuple):
    cell: Params
    W: Float[Array, "n n"]
    b: Float[Array, " n"]


@interned
def highway(cell: Cell, n: int, *, weight: Initializer = glorot, bias: Initializer = biases(-1.0)) -> Cell:  # noqa: B008
    """y = t cell(x) + (1 - t) x, with a gate t that is mostly shut at first.

        t = σ(x W + b)

    Args:
        cell: a cell of n outputs, of one step or over whole sequences, as the result is.
        n: size of the input and of the output.
        weight: initialiser of W (n, n).
        bias: initialiser of b (n,), by default -1; the paper has -1 to -3, the lower the deeper the stack.

    Params: `HighwayParams(cell, W, b)`. State and the promises `affine` and `chunk`: the cell's. Raises
    `ValueError` if x has not n features, or y not the type of x.

    Example:
        >>> model = rnnjax.scan(rnnjax.highway(rnnjax.gru(4, 4), 4))
        >>> params = model.init(jax.random.key(0))
        >>> shut = params._replace(b=jnp.full(4, -50.0))
        >>> _, ys = model.step(shut, model.start(shut), jnp.ones((7, 4)))
        >>> bool(jnp.allclose(ys, 1))
        True

    Srivastava et al. 2015, https://arxiv.org/abs/1505.00387
    """
    sizes("highway", n=n)

    def init(key):
        key, W, b = jax.random.split(key, 3)
        return HighwayParams(cell.init(key), weight(W, (n, n)), bias(b, (n,)))

    def join(params, x, y):
        if [jnp.shape(leaf)[-1:] for leaf in jax.tree.leaves(x)] != [(n,)]:
            raise ValueError(
                f"highway: x must have {n} features, but x is {jax.tree.map(kind, x)}. Give the n of the cell's input."
            )
        same_type("highway", x, y)
        t = jax.nn.sigmoid(x @ params.W + jnp.broadcast_to(params.b, x.shape))
        return t * y + (1 - t) * x

    def make(cell):
        return highway(cell, n, weight=weight, bias=bias)

    return around(make, cell, join, init, lambda params: params.cell)
