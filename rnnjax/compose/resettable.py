"""`resettable(cell)`: a cell that begins anew within a sequence, as an environment's episodes do."""

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, interned, kind, one_step
from rnnjax.compose.memory import given


@interned
def resettable(cell: Cell) -> Cell:
    """A cell whose input is `(x, reset)`: where reset is True, the step goes out from the cell's start.

        s', y = cell(start if reset else s, x)

    So reset marks the first step of an episode that is run, in a reversed run its last in time: for two directions give
    each its own. A `zoneout` or `dilated` goes inside, or the old episode comes back through it. A step that a mask
    leaves out does nothing, a reset neither. The keys of a seeded cell and the memory of an attending one stay through
    resets, and params in `start` learn from each.

    Args:
        cell: a cell of one step, as a stack of such cells.

    Params and state: the cell's. Input: x, and one boolean (of a batch, (B,)). Output and the promise `affine`: the
    cell's. Raises `TypeError` if x is no such pair.

    Example:
        >>> model = rnnjax.resettable(rnnjax.gru(3, 4))
        >>> params, xs = model.init(jax.random.key(0)), jnp.ones((1, 6, 3))
        >>> resets = jnp.array([[False, False, False, True, False, False]])
        >>> state, ys = rnnjax.apply(model, params, (xs, resets))
        >>> bool(jnp.allclose(ys[:, :3], ys[:, 3:]))
        True
    """
    one_step("resettable", cell)

    def anew(params, state, reset):
        return jax.tree.map(
            lambda old, new: old if given(old) else jnp.where(reset, new, old),
            state, cell.start(params), is_leaf=given,
        )  # fmt: skip

    def step(params, state, x):
        x, reset = _opened(x)
        return cell.step(params, anew(params, state, reset), x)

    def affine(params, x):
        x, reset = _opened(x)
        a, b = cell.affine(params, x)
        b = jax.tree.map(lambda a, s, b: jnp.where(reset, a * s + b, b), a, cell.start(params), b)
        return jax.tree.map(lambda a: jnp.where(reset, jnp.zeros_like(a), a), a), b

    return Cell(cell.init, cell.start, step, affine=None if cell.affine is None else affine)


def _opened(x):
    if not isinstance(x, tuple) or len(x) != 2 or jax.tree.map(kind, x[1]) != "bool[]":
        raise TypeError(
            f"resettable: x must be a pair (x, reset) with one boolean reset, but x is {jax.tree.map(kind, x)}. "
            "Use scan for a time axis and batch (or apply) for a batch axis."
        )
    return x
