"""`weight_drop(cell, rate)`: dropout of recurrent weights."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, interned
from rnnjax.compose.dropout import Noisy, Shared, dropped, share
from rnnjax.compose.variational import Dropped


def recurrent(path: str) -> bool:
    return path.split("/")[-1] == "U"


@interned
def weight_drop(cell: Cell, rate: float, *, where: Callable[[str], bool] = recurrent) -> Cell:
    """DropConnect on recurrent weights: the cell with U = mask U / (1 - rate), one mask for all steps and streams.

    Around a cell over whole sequences the masked weights are made once a sequence, before its loop, and once for all
    streams of a batch; the product in the loop costs what it did. Around a cell of one step they are made at each.

    Args:
        cell: any cell, as `scan(lstm(n, m))`, a `bidirectional`, a `deep`.
        rate: the probability to drop each weight.
        where: which params, a function of the path of each, as `0/U` in a stack; by default all those named U.

    Params, input and output: the cell's. State: `Noisy(state, Shared(key))`, silent until `seed`; the mask lasts as
    long as the key. Raises `ValueError` unless 0 <= rate < 1, and `TypeError` if `where` finds nothing.

    Example:
        >>> model = rnnjax.weight_drop(rnnjax.deep(rnnjax.lstm, 3, 4, layers=2), 0.5)
        >>> params = model.init(jax.random.key(0))
        >>> state, ys = rnnjax.apply(model, params, jnp.ones((5, 7, 3)), key=jax.random.key(1))
        >>> bool((ys == ys[0]).all())
        True

    Wan et al. 2013, https://proceedings.mlr.press/v28/wan13.html; Merity et al. 2018 (AWD-LSTM),
    https://arxiv.org/abs/1708.02182
    """
    share("weight_drop", rate)

    def start(params):
        paths, _, _ = named(params)
        if not any(map(where, paths)):
            raise TypeError(
                f"weight_drop: where must find weights to drop, but {cell} has {', '.join(paths) or 'none at all'}. "
                "Give where=lambda path: ... for others than U."
            )
        return Noisy(cell.start(params), Shared())

    def masked(key, params):
        paths, weights, tree = named(params)
        for i, path in enumerate(paths):
            if where(path):
                weights[i] = thinned(jax.random.fold_in(key, i), rate, weights[i])
        return tree.unflatten(weights)

    def step(params, state, x, *keep):
        inner, noise = state
        if noise.key is not None:
            params = masked(first(noise.key), params)
        inner, y = cell.step(params, inner, x, *keep)
        return Noisy(inner, noise), y

    each = None if cell.each is None else weight_drop(cell.each, rate, where=where)
    return Cell(cell.init, start, step, each=each, remade=lambda change: weight_drop(change(cell), rate, where=where))


def named(params):
    """The paths of params, as `0/U`, the arrays, and their tree."""
    leaves, tree = jax.tree.flatten_with_path(params, is_leaf=lambda w: isinstance(w, Dropped))
    paths = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
    return paths, [w for _, w in leaves], tree


def thinned(key, rate, w):
    """Weights with some of them dropped, also where a `recurrent_dropout` stands around."""
    return replace(w, U=dropped(key, rate, w.U)) if isinstance(w, Dropped) else dropped(key, rate, w)


def first(key):
    """The key that all streams of a batch share, each of which has it in its state, perhaps on another device."""
    if any(jax.typeof(key).sharding.spec):
        key = jax.sharding.reshard(key, jax.P())
    alone = 0 if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else 1
    return key[(0,) * (key.ndim - alone)]
