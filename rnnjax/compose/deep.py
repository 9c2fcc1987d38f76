"""Layers of one kind of cell."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, interned, kind, sizes
from rnnjax.compose.bidirectional import Join, concatenate
from rnnjax.compose.bidirectional import bidirectional as both_ways
from rnnjax.compose.dropout import dropout as drop
from rnnjax.compose.stack import stack
from rnnjax.loops import Loop
from rnnjax.loops.deferred import deferred
from rnnjax.loops.scan import scan


@interned
def deep(
    cell: Callable[[int, int], Cell],
    n: int,
    m: int,
    *,
    layers: int = 1,
    bidirectional: bool = False,
    join: Join = concatenate,
    dropout: float = 0.0,
    loop: Loop = deferred,
    **options: Any,
) -> Cell:
    """Layers of `cell(n, m)` over whole sequences: the `nn.LSTM`, `nn.GRU` or `nn.RNN` of this library.

    Args:
        cell: a constructor `(n, m) -> Cell`, as `lstm`, `gru`, `rnn`, your own, or one with noise on it,
            `lambda n, m: zoneout(lstm(n, m), 0.1)`.
        n, m: sizes of the input and of each layer's state.
        layers: how many; each after the first is made for as many inputs as the one before has outputs. (The
            outputs of cells whose x is no vector, as of `conv_lstm`, are taken to have m features.)
        bidirectional: run every layer from both ends and join the outputs.
        join: how, as in `bidirectional`: by default one after the other.
        dropout: rate between layers (not after the last), silent until `seed`.
        loop, options: those of `scan`.

    Raises `TypeError` if a layer gives the next something else than one array of features.

    Example:
        >>> model = rnnjax.deep(rnnjax.lstm, 3, 4, layers=2, bidirectional=True, dropout=0.5)
        >>> params = model.init(jax.random.key(0))
        >>> state, ys = rnnjax.apply(model, params, jnp.ones((5, 7, 3)), lengths=jnp.array([7, 1, 0, 3, 7]))
        >>> ys.shape
        (5, 7, 8)

    Graves et al. 2013, https://arxiv.org/abs/1303.5778
    """
    sizes("deep", layers=layers)
    if join is not concatenate and not bidirectional:
        raise ValueError("deep: join must have two directions, but bidirectional is False. Give bidirectional=True.")
    between = [drop(dropout)] * bool(dropout)
    parts, width = [], n
    for layer in range(layers):
        one = cell(width, m)
        if bidirectional:
            parts.append(both_ways(one, cell(width, m), join=join, loop=loop, **options))
        else:
            parts.append(scan(one, loop, **options))
        if layer < layers - 1:
            parts += between
            width = _width(one, width, m, join if bidirectional else None)
    return stack(*parts)


def _width(cell, n, m, join):
    """How many features a layer of a cell gives out, joined with as many."""

    def output(x):
        params = cell.init(jax.random.key(0))
        return cell.step(params, cell.start(params), x)[1]

    def vector(size):
        return jax.ShapeDtypeStruct((size,), jnp.result_type(float), weak_type=True)

    try:
        y = jax.eval_shape(output, vector(n))
    except (TypeError, ValueError):  # of x; if of anything else, it will be told when the model runs
        y = vector(m)
    y = y if join is None else jax.tree.map(lambda y: jax.eval_shape(join, y, y), y)
    if not isinstance(y, jax.ShapeDtypeStruct) or not y.shape:
        raise TypeError(
            f"deep: a layer must give the next one array of features, but y is {jax.tree.map(kind, y)}. "
            "Choose what the next shall read within the cell, by stack(..., lift(function))."
        )
    return y.shape[-1]
