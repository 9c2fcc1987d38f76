"""Sequences of different lengths: a step that a mask leaves out changes nothing."""

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, interned, kind, one_step


@interned
def masked(cell: Cell) -> Cell:
    """A cell whose input is `(x, keep)`: where keep is False the state stays as it was and y is zero.

    keep is a boolean scalar, or (B,) over a cell that is batched. `scan` wraps its cell so when it is given a mask,
    and right padding then needs no flipping in a reversed run: the state rests until the first real step.

        >>> cell = rnnjax.masked(rnnjax.rnn(3, 4))
        >>> params = cell.init(jax.random.key(0))
        >>> h, y = cell.step(params, jnp.ones(4), (jnp.ones(3), jnp.array(False)))
        >>> print(h, y)
        [1. 1. 1. 1.] [0. 0. 0. 0.]
    """
    one_step("masked", cell)

    def step(params, state, x):
        x, keep = _opened(x)
        after, y = cell.step(params, state, x)
        return select(keep, after, state), select(keep, y)

    def affine(params, x):
        x, keep = _opened(x)
        a, b = jax.tree.map(jnp.asarray, cell.affine(params, x))
        return select(keep, a, jax.tree.map(jnp.ones_like, a)), select(keep, b)

    def chunk(params, state, xs, *more):
        xs, keep = xs
        keep = select(*more, keep) if more else keep
        xs = jax.tree.map(lambda x: select(keep, x) if jnp.issubdtype(x.dtype, jnp.inexact) else x, xs)
        state, ys = cell.chunk(params, state, xs, keep)
        return state, select(keep, ys)

    one = cell.one and masked(cell.one)
    return Cell(cell.init, cell.start, step, affine=cell.affine and affine, chunk=cell.chunk and chunk, one=one)


def _opened(x):
    if not isinstance(x, tuple) or len(x) != 2:
        raise TypeError(f"masked: x must be a pair (x, keep), but x is {jax.tree.map(kind, x)}. Give the mask with it.")
    return x


def select(keep, new, old=None):
    """`new` where keep, else `old` or zero. keep stands for the leading axes of every leaf."""

    def choose(new, old):
        if new is old:  # so that a loop sees that it stays
            return old
        return jnp.where(keep.reshape(keep.shape + (1,) * (new.ndim - keep.ndim)), new, old)

    return jax.tree.map(choose, new, jax.tree.map(jnp.zeros_like, new) if old is None else old)
