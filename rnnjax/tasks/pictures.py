"""An encoder of pictures."""

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, interned
from rnnjax.cells.stateless import DenseParams
from rnnjax.weights import glorot

ACROSS = "NHWC", "HWIO", "NHWC"


@interned
def convolved(n: int, m: int, stride: int = 1) -> Cell:
    """relu(W * x + b): pictures of n channels (H, W, n), by filters of 3 x 3, as (H / stride, W / stride, m)."""

    def init(key):
        return DenseParams(glorot(key, (9 * n, m)).reshape(3, 3, n, m), jnp.zeros(m))

    def step(params, state, x):
        y = jax.lax.conv_general_dilated(x[None], params.W, (stride, stride), "SAME", dimension_numbers=ACROSS)[0]
        return state, jax.nn.relu(y + params.b)

    return Cell(init, lambda params: (), step)
