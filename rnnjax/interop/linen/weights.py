"""Weights of Flax Linen, both ways."""

from typing import Any, TypeAlias

import jax
from flax import core

from rnnjax.cell import Cell
from rnnjax.interop import flax_weights
from rnnjax.types import Params

Variables: TypeAlias = core.FrozenDict[str, Any] | dict[str, Any]


def load(variables: Variables, model: Cell) -> Params:
    """The params of `model` with the weights of Linen's `LSTMCell`, `OptimizedLSTMCell`, `GRUCell` or `SimpleCell`.

    Args:
        variables: the variables of the cell, of an `nn.RNN` of one, or of an `nn.Bidirectional` of two.
        model: `lstm(n, m)`, `gru(n, m)`, or `rnn(n, m, activation)`, run over time or not; or `bidirectional`.

    Dtypes stay as they are. Weights are all that is read: a cell with `residual=True` or another `gate_fn` has other
    equations, and runs as it is, as `cell(linen_cell, n)`. Raises `TypeError` for another kind, for a missing array or
    one too many, and `ValueError` for another shape.

        >>> from flax import linen as nn
        >>> from rnnjax.interop.linen import dump, load
        >>> xs = jnp.ones((2, 5, 3))
        >>> variables = nn.RNN(nn.GRUCell(4)).init(jax.random.key(0), xs)
        >>> params = load(variables, rnnjax.gru(3, 4))
        >>> _, ys = rnnjax.apply(rnnjax.gru(3, 4), params, xs)
        >>> bool(jnp.allclose(ys, nn.RNN(nn.GRUCell(4)).apply(dump(params, variables), xs), atol=1e-6))
        True
    """
    like = jax.eval_shape(model.init, jax.random.key(0))
    return flax_weights.load("linen.load", _arrays(variables), like)


def dump(params: Params, variables: Variables) -> dict[str, Any]:
    """Variables for Linen's cell, or what holds it, with these params: the inverse of `load`, which shows it.

    `variables` are such as the module's own `init` gives, and stay as they were. Raises as `load` does.
    """
    return {**core.unfreeze(variables), "params": flax_weights.dump("linen.dump", params, _arrays(variables))}


def _arrays(variables):
    if "params" not in variables:
        raise TypeError(
            f"linen: variables must have a collection params, but it has {', '.join(variables) or 'nothing'}. "
            "Give what module.init returns."
        )
    return core.unfreeze(variables)["params"]
