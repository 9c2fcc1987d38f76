"""Flax Linen: a model here as a module there, a module's cell as a cell here, and weights both ways."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import core, serialization
from flax import linen as nn

from rnnjax.cell import Cell, interned
from rnnjax.interop import flax_weights
from rnnjax.interop.drop_in import chosen, noisy, over_time, run
from rnnjax.loops.deferred import deferred


class Recurrent(nn.Module):
    """A model as a Linen module, in the place of `nn.RNN`: `inputs (*batch, T, n) -> ys (*batch, T, m)`.

    Args:
        cell: a cell of one step, which `loop` runs, or a model over whole sequences. For another loop with options
            give `scan(cell, loop, **options)`.
        num_feature_axes: how many axes one step of one sequence has: 0 for the tokens of `embed`, 3 for colour images.
        time_major, return_carry, reverse, keep_order: as of `nn.RNN`, here or in the call.
        deterministic: dropout is silent. Otherwise a random cell needs a key, `rngs={"dropout": key}`, in `apply`.

    The call takes what `nn.RNN`'s takes, `initial_carry`, `seq_lengths` and the four above, and `deterministic`, and
    returns what it returns: `ys`, or with `return_carry` the pair `(carry, ys)`. (`init_key` is ignored, for a cell
    starts the same with every key.) The carry and the padding differ from Flax's as `interop.nnx.Recurrent` says.

    Params are the cell's own as nested dicts by field and place, `variables["params"]["cell"]["W"]`.
    Raises `TypeError` and `ValueError` for arguments that do not fit.

    Example:
        >>> from rnnjax.interop.linen import Recurrent
        >>> module = Recurrent(rnnjax.lstm(3, 4), return_carry=True)
        >>> variables = module.init(jax.random.key(0), jnp.ones((2, 5, 3)))
        >>> carry, ys = module.apply(variables, jnp.ones((2, 5, 3)), seq_lengths=jnp.array([5, 2]))
        >>> carry.c.shape, ys.shape, bool((carry.h[1] == ys[1, 1]).all())
        ((2, 4), (2, 5, 4), True)
    """

    cell: Cell
    loop: Callable = deferred
    num_feature_axes: int = 1
    time_major: bool = False
    return_carry: bool = False
    reverse: bool = False
    keep_order: bool = False
    deterministic: bool = False

    @nn.compact
    def __call__(
        self,
        inputs,
        *,
        initial_carry=None,
        init_key=None,
        seq_lengths=None,
        return_carry: bool | None = None,
        time_major: bool | None = None,
        reverse: bool | None = None,
        keep_order: bool | None = None,
        deterministic: bool | None = None,
    ):
        model = over_time("linen.Recurrent", self.cell, self.loop)
        like = jax.eval_shape(model.init, jax.random.key(0))
        params = self.param("cell", lambda key: serialization.to_state_dict(model.init(key)))
        silent = chosen(deterministic, self.deterministic) or not noisy(model)
        carry, ys = run(
            "linen.Recurrent",
            model,
            serialization.from_state_dict(like, params),
            inputs,
            carry=initial_carry,
            seq_lengths=seq_lengths,
            key=None if silent else self.make_rng("dropout"),
            time_major=chosen(time_major, self.time_major),
            reverse=chosen(reverse, self.reverse),
            keep_order=chosen(keep_order, self.keep_order),
            num_feature_axes=self.num_feature_axes,
        )
        return (carry, ys) if chosen(return_carry, self.return_carry) else ys


@interned
def cell(linen_cell: nn.RNNCellBase, n: int | tuple[int, ...]) -> Cell:
    """A cell of Flax Linen, such as `nn.LSTMCell(4)`, as a `Cell`, for every loop and gradient here.

    Args:
        linen_cell: the cell.
        n: the number of features of one input, or its shape, as `nn.ConvLSTMCell` wants it.

    Params are the cell's nested dict, `variables["params"]`, drawn by its own initialisers; the state is its carry.
    Raises `TypeError` for a cell with other variables than params, for these change from step to step.

        >>> from flax import linen as nn
        >>> from rnnjax.interop.linen import cell
        >>> gru = cell(nn.GRUCell(4), 3)
        >>> params = gru.init(jax.random.key(0))
        >>> h, ys = rnnjax.scan(gru, rnnjax.checkpointed).step(params, gru.start(params), jnp.ones((7, 3)))
        >>> gru is cell(nn.GRUCell(4), 3), ys.shape
        (True, (7, 4))
    """
    shape = (n,) if isinstance(n, int) else n

    def start(params):
        return linen_cell.initialize_carry(jax.random.key(0), shape)

    def step(params, carry, x):
        return linen_cell.apply({"params": params}, carry, x)

    def init(key):
        x = jax.numpy.zeros(shape, linen_cell.param_dtype)
        variables = linen_cell.init(key, start(None), x)
        for name in variables.keys() - {"params"}:
            raise TypeError(
                f"linen.cell: {type(linen_cell).__name__} must have params only, but it has {name} too. "
                "Leave keys and statistics out of the cell."
            )
        return variables["params"]

    return Cell(init, start, step)


def load(variables: Mapping[str, Any], model: Cell):
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


def dump(params, variables: Mapping[str, Any]) -> dict[str, Any]:
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
