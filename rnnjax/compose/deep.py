"""Layers of one kind of cell."""

from rnnjax.cell import Cell, interned, sizes
from rnnjax.compose.bidirectional import bidirectional as both_ways
from rnnjax.compose.dropout import dropout as drop
from rnnjax.compose.stack import stack
from rnnjax.loops.deferred import deferred
from rnnjax.loops.scan import scan


@interned
def deep(cell, n: int, m: int, *, layers=1, bidirectional=False, dropout=0.0, loop=deferred, **options) -> Cell:
    """Layers of `cell(n, m)` over whole sequences: the `nn.LSTM`, `nn.GRU` or `nn.RNN` of this library.

    Args:
        cell: a constructor `(n, m) -> Cell`, as `lstm`, `gru`, `rnn`, your own, or one with noise on it,
            `lambda n, m: zoneout(lstm(n, m), 0.1)`.
        n, m: sizes of the input and of each layer's state.
        layers: how many; each after the first takes the outputs of the one before, 2m wide if bidirectional.
        bidirectional: run every layer from both ends and join the outputs.
        dropout: rate between layers (not after the last), silent until `seed`.
        loop, options: those of `scan`.

    Example:
        >>> model = rnnjax.deep(rnnjax.lstm, 3, 4, layers=2, bidirectional=True, dropout=0.5)
        >>> params = model.init(jax.random.key(0))
        >>> state, ys = rnnjax.apply(model, params, jnp.ones((5, 7, 3)), lengths=jnp.array([7, 1, 0, 3, 7]))
        >>> ys.shape
        (5, 7, 8)

    Graves et al. 2013, https://arxiv.org/abs/1303.5778
    """
    sizes("deep", layers=layers)
    parts = []
    for layer in range(layers):
        width = n if layer == 0 else m * (2 if bidirectional else 1)
        if layer and dropout:
            parts.append(drop(dropout))
        if bidirectional:
            parts.append(both_ways(cell(width, m), cell(width, m), loop=loop, **options))
        else:
            parts.append(scan(cell(width, m), loop, **options))
    return stack(*parts)
