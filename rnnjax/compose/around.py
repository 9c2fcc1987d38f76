"""Ways around a cell: what it gives is joined with what it was given."""

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, interned, kind
from rnnjax.loops.masked import select


@interned
def residual(cell: Cell) -> Cell:
    """y = x + cell(x), for a cell whose output has the shape of its input (He et al. 2015, arXiv 1512.03385).

    >>> rnnjax.residual(rnnjax.scan(rnnjax.gru(8, 8)))
    residual(scan(gru(8, 8)))
    """

    def join(params, x, y):
        same_type("residual", x, y)
        return jax.tree.map(lambda x, y: x + y, x, y)

    return around(residual, cell, join)


@interned
def skip(cell: Cell) -> Cell:
    """y = [x, cell(x)] on the last axis, so that what comes after sees the input and every layer before it.

    Params, state and the promises `affine` and `chunk` are the cell's, which is of one step or over whole sequences.
    Raises `ValueError` for an x that cannot be joined with y.

    Example:
        >>> model = rnnjax.deep(lambda n, m: rnnjax.skip(rnnjax.gru(n, m)), 3, 4, layers=2)
        >>> _, ys = rnnjax.apply(model, model.init(jax.random.key(0)), jnp.ones((5, 7, 3)))
        >>> ys.shape
        (5, 7, 11)

    Graves 2013, https://arxiv.org/abs/1308.0850; Huang et al. 2016, https://arxiv.org/abs/1608.06993
    """

    def join(params, x, y):
        if _but_last(x) != _but_last(y) or any(jnp.ndim(leaf) == 0 for leaf in jax.tree.leaves(x)):
            raise ValueError(
                f"skip: y must be of the type of x but for its last axis, but x is {jax.tree.map(kind, x)} and y is "
                f"{jax.tree.map(kind, y)}. Put what makes x such a vector, as embed does, before the skip."
            )
        return jax.tree.map(lambda x, y: jnp.concatenate([x, y], axis=-1), x, y)

    return around(skip, cell, join)


def _but_last(tree):
    return jax.tree.structure(tree), [(jnp.shape(x)[:-1], jnp.result_type(x)) for x in jax.tree.leaves(tree)]


def same_type(where, x, y):
    """Refuse a cell whose output is not of the type of its input."""
    if jax.tree.map(kind, x) != jax.tree.map(kind, y):
        raise ValueError(
            f"{where}: y must be of the type of x, but x is {jax.tree.map(kind, x)} and y is {jax.tree.map(kind, y)}. "
            "Use a cell with as many outputs as inputs."
        )


def around(make, cell, join, init=None, inner=lambda params: params):
    """`make(cell)`: the cell, with `y = join(params, x, y)` for all steps and streams at once.

    Params are those of `init`, of which `inner` gives the cell's, or the cell's alone.
    """
    init = cell.init if init is None else init

    def start(params):
        return cell.start(inner(params))

    def joined(run):
        def step(params, state, x, *keep):
            state, y = run(inner(params), state, x, *keep)
            y = join(params, x, y)
            return state, select(*keep, y) if keep else y

        return run and step

    def remade(change):
        return make(change(cell))

    if cell.each is not None:
        return Cell(init, start, joined(cell.step), each=make(cell.each), remade=remade)
    affine = cell.affine and (lambda params, x: cell.affine(inner(params), x))
    promises = dict(affine=affine, chunk=joined(cell.chunk), remade=cell.remade and remade)
    return Cell(init, start, joined(cell.step), **promises)
