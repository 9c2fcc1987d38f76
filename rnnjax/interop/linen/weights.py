"""Weights of Flax Linen, both ways."""

from typing import Any, TypeAlias

from flax import core

import rnnjax.interop.flax_weights as flax_weights
from rnnjax.cell import Cell
from rnnjax.types import Params

Variables: TypeAlias = core.FrozenDict[str, Any] | dict[str, Any]


def load(variables: Variables, model: Cell) -> Params:
    """The params of `model` with the weights of Linen's `LSTMCell`, `OptimizedLSTMCell`, `GRUCell` or `SimpleCell`.

    Args:
        variables: the variables of the cell, of an `nn.RNN` of one, or of an `nn.Bidirectional` of two.
        model: `lstm(n, m)`, `gru(n, m)`, or `rnn(n, m, activation)`, run over time or not; or `bidirectional`.

    Dtypes stay as they are. Weights are all that is read: a cell with `residual=True`, another `gate_fn`, or, of an
    LSTM or a GRU, another `activation_fn` has other equations, and runs as it is, as `cell(linen_cell, n)`. Nor do they
    say what runs the cell, as `RNN(reverse=True)` or `Bidirectional(merge_fn=...)`: the model does. Raises `TypeError`
    if the model is none of these, and `ValueError` if an array is missing, left over or of another shape.

        >>> from flax import linen as nn
        >>> from rnnjax.interop.linen import dump, load
        >>> xs = jnp.ones((2, 5, 3))
        >>> variables = nn.RNN(nn.GRUCell(4)).init(jax.random.key(0), xs)
        >>> model = rnnjax.gru(3, 4)
        >>> params = load(variables, model)
        >>> _, ys = rnnjax.apply(model, params, xs)
        >>> bool(jnp.allclose(ys, nn.RNN(nn.GRUCell(4)).apply(dump(params, model, variables), xs), atol=1e-6))
        True
    """
    return flax_weights.load("linen.load", _arrays(variables), model)


def dump(params: Params, model: Cell, variables: Variables) -> dict[str, Any]:
    """Variables for Linen's cell, or what holds it, with these params: the inverse of `load`, which shows it.

    `variables` are such as the module's own `init` gives, and stay as they were. Raises as `load` does.
    """
    return {**core.unfreeze(variables), "params": flax_weights.dump("linen.dump", params, _arrays(variables), model)}


def _arrays(variables):
    if "params" not in variables:
        raise TypeError(
            f"linen: variables must have a collection params, but it has {', '.join(variables) or 'nothing'}. "
            "Give what module.init returns."
        )
    return core.unfreeze(variables)["params"]
