"""Weights of Flax NNX, both ways."""

from flax import nnx

import rnnjax.interop.flax_weights as flax_weights
from rnnjax.cell import Cell
from rnnjax.types import Params


def load(flax_cell: nnx.Module | nnx.State, model: Cell) -> Params:
    """The params of `model` with the weights of Flax's: `LSTMCell`, `OptimizedLSTMCell`, `GRUCell` or `SimpleCell`.

    Args:
        flax_cell: the cell, an `nnx.RNN` of one, an `nnx.Bidirectional` of two; or the `nnx.State` of one of these.
        model: `lstm(n, m)`, `gru(n, m)`, or `rnn(n, m, activation)`, run over time or not; or `bidirectional`.

    Dtypes stay as they are. `nnx.GRUCell` has no bias in its reset: `d` is 0. A cell with `residual=True`, another
    `gate_fn`, or, of an LSTM or a GRU, another `activation_fn` has other equations, and runs as it is, as
    `cell(flax_cell)`; an `nnx.State` does not say so. What runs the cell, as `RNN(reverse=True)` or
    `Bidirectional(merge_fn=...)`, is the model's to say. Raises `TypeError` if the model is none of these, and
    `ValueError` if an array is missing, left over or of another shape, and for a cell of other equations.

        >>> from flax import nnx
        >>> from rnnjax.interop.nnx import dump, load
        >>> lstm = nnx.LSTMCell(3, 4, rngs=nnx.Rngs(0))
        >>> params = load(lstm, rnnjax.lstm(3, 4))
        >>> bool((params.U[:, 4:8] == lstm.hf.kernel[...]).all())
        True
        >>> dump(params._replace(b=params.b + 1), rnnjax.lstm(3, 4), lstm)
        >>> print(lstm.ho.bias[...])
        [1. 1. 1. 1.]
    """
    _plain("nnx.load", flax_cell)
    return flax_weights.load("nnx.load", _arrays(flax_cell), model)


def dump(params: Params, model: Cell, flax_cell: nnx.Module) -> None:
    """Write the params of a model into Flax's cell, or what holds it: the inverse of `load`, which shows it.

    Raises as `load` does, before anything is changed, and `ValueError` for a `d` other than 0 into `nnx.GRUCell`.
    """
    _plain("nnx.dump", flax_cell)
    nnx.update(flax_cell, flax_weights.dump("nnx.dump", params, _arrays(flax_cell), model))


def _arrays(flax_cell):
    state = nnx.state(flax_cell, nnx.Param) if isinstance(flax_cell, nnx.Module) else flax_cell
    return nnx.to_pure_dict(state)


def _plain(where, flax_cell):
    """Refuse a cell of other equations than ours."""
    if not isinstance(flax_cell, nnx.Module):
        return
    for _, part in nnx.iter_modules(flax_cell):
        plain = {"residual": False, "gate_fn": nnx.sigmoid}
        if not isinstance(part, nnx.SimpleCell):
            plain["activation_fn"] = nnx.tanh
        for name, value in plain.items():
            if getattr(part, name, value) != value:
                raise ValueError(
                    f"{where}: {type(part).__name__} must be plain, but {name} is {getattr(part, name)}. "
                    "Run it as it is, as nnx.cell(flax_cell)."
                )
