"""`fed_back(cell, m)`: a cell that is given what it last gave."""

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, interned, kind, one_step, sizes


@interned
def fed_back(cell: Cell, m: int) -> Cell:
    """The output of a step joins the input of the next.

        state', y' = cell(state, [x, y])

    Args:
        cell: a cell of one step, whose input is x and its own output.
        m: size of the output.

    Params: the cell's. State: (state, y), with y = 0 at the start. Input: x (n,). Output: y' (m,). Raises `TypeError`
    for a cell over whole sequences, and `ValueError` unless its output is (m,).

    Example:
        >>> decoder = rnnjax.fed_back(rnnjax.luong(rnnjax.gru(2 + 5, 5), 5, 8, rnnjax.general), 5)
        >>> params = decoder.init(jax.random.key(0))
        >>> state = rnnjax.attend_to(decoder.start(params), jnp.ones((7, 8)))
        >>> state, ys = rnnjax.scan(decoder).step(params, state, jnp.ones((4, 2)))
        >>> ys.shape, bool((state[1] == ys[-1]).all())
        ((4, 5), True)

    Input feeding: Luong et al. 2015, https://arxiv.org/abs/1508.04025
    """
    one_step("fed_back", cell)
    sizes("fed_back", m=m)

    def start(params):
        return cell.start(params), jnp.zeros(m, jnp.result_type(*jax.tree.leaves(params)))

    def step(params, state, x):
        state, y = cell.step(params, state[0], jnp.concatenate([x, state[1]]))
        if jnp.shape(y) != (m,):
            raise ValueError(
                f"fed_back: y must have {m} features, but y is {kind(y)}. Give the size of the output as m."
            )
        return (state, y), y

    return Cell(cell.init, start, step)
