"""A cell of Flax Linen as a cell here."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from rnnjax.cell import Cell, interned


@interned
def cell(linen_cell: nn.RNNCellBase, n: int | tuple[int, ...]) -> Cell:
    """A cell of Flax Linen, such as `nn.LSTMCell(4)`, as a `Cell`, for every loop and gradient here.

    Args:
        linen_cell: the cell.
        n: the number of features of one input, or its shape, as `nn.ConvLSTMCell` wants it.

    Params are the cell's nested dict, `variables["params"]`, drawn by its own initialisers; the state is its carry.
    Raises `TypeError` for a cell with other variables than params, for these change from step to step.

        >>> from flax import linen as nn
        >>> from rnnjax.interop.linen import cell
        >>> gru = cell(nn.GRUCell(4), 3)
        >>> params = gru.init(jax.random.key(0))
        >>> h, ys = rnnjax.scan(gru, rnnjax.checkpointed).step(params, gru.start(params), jnp.ones((7, 3)))
        >>> gru is cell(nn.GRUCell(4), 3), ys.shape
        (True, (7, 4))
    """
    shape = (n,) if isinstance(n, int) else n

    def start(params):
        return linen_cell.initialize_carry(jax.random.key(0), shape)

    def step(params, carry, x):
        return linen_cell.apply({"params": params}, carry, x)

    def init(key):
        x = jnp.zeros(shape, linen_cell.param_dtype)
        variables = linen_cell.init(key, start(None), x)
        for name in variables.keys() - {"params"}:
            raise TypeError(
                f"linen.cell: {type(linen_cell).__name__} must have params only, but it has {name} too. "
                "Leave keys and statistics out of the cell."
            )
        return variables["params"]

    return Cell(init, start, step)
