"""`dilated(cell, d)`: a cell whose state comes back after d steps."""

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, interned, one_step, sizes
from rnnjax.compose.memory import given


@interned
def dilated(cell: Cell, d: int) -> Cell:
    """The dilated RNN of any cell: a step sees the state of d steps before, and not of those in between.

        s_t, y_t = cell(s_(t-d), x_t)

    It is d cells with shared params that take turns, so that a gradient goes back T steps in T/d. With doubled d from
    layer to layer, as the paper has it, `stack(cell, dilated(cell, 2), dilated(cell, 4))`, every input is seen. The
    cell's promises are not kept: the new state is not a function of each number's own place.

    Args:
        cell: a cell of one step.
        d: the dilation; 1 is the cell itself, with one more axis in its state.

    Params: the cell's. State: its last d states, stacked, oldest first; keys, and an attended memory, are there once.
    Input and output: the cell's. Raises `ValueError` unless d is positive.

    Example:
        >>> model = rnnjax.stack(rnnjax.gru(3, 4), rnnjax.dilated(rnnjax.gru(4, 4), 2))
        >>> state, ys = rnnjax.apply(model, model.init(jax.random.key(0)), jnp.ones((5, 7, 3)))
        >>> state[1].shape, ys.shape
        ((5, 2, 4), (5, 7, 4))

    Chang et al. 2017, https://arxiv.org/abs/1710.02224
    """
    one_step("dilated", cell)
    sizes("dilated", d=d)

    def each(function, *states):
        return jax.tree.map(lambda *s: s[-1] if given(s[0]) else function(*s), *states, is_leaf=given)

    def start(params):
        return each(lambda s: jnp.broadcast_to(s, (d, *jnp.shape(s))), cell.start(params))

    def step(params, ring, x):
        state, y = cell.step(params, each(lambda s: s[0], ring), x)
        return each(lambda old, s: jnp.concatenate([old[1:], s[None]]), ring, state), y

    return Cell(cell.init, start, step)
