"""`frozen(cell)`: params that do not learn."""

from typing import Any

from jax.lax import stop_gradient

from rnnjax.cell import Cell, interned


@interned
def frozen(cell: Cell) -> Cell:
    """The same cell, but no gradient reaches its params: those of the state and the input are what they were.

    Its promises are the cell's, which is of one step or over whole sequences. An optimizer may still move frozen params
    by what is no gradient, as weight decay.

    Example:
        >>> model = rnnjax.stack(rnnjax.frozen(rnnjax.rnn(3, 4)), rnnjax.dense(4, 1))
        >>> model = rnnjax.with_loss(model, lambda y, target: ((y - target) ** 2).sum())
        >>> params = model.init(jax.random.key(0))
        >>> loss, grads, state = rnnjax.bptt(model)(params, model.start(params), (jnp.ones((7, 3)), jnp.ones((7, 1))))
        >>> [bool(jnp.any(g)) for g in jax.tree.leaves(grads)]
        [False, False, False, True, True]
    """

    def without(function) -> Any:
        return None if function is None else lambda params, *args: function(stop_gradient(params), *args)

    def again(inner):
        return None if inner is None else frozen(inner)

    return Cell(
        cell.init,
        without(cell.start),
        without(cell.step),
        affine=without(cell.affine),
        whole=without(cell.whole),
        chunk=without(cell.chunk),
        each=again(cell.each),
        one=again(cell.one),
        remade=None if cell.remade is None else lambda change: frozen(change(cell)),
    )
