"""A model here as a module of Flax Linen."""

import jax
from flax import linen as nn
from flax import serialization
from jaxtyping import Int, PyTree, Shaped

from rnnjax.cell import Cell
from rnnjax.interop.drop_in import chosen, noisy, over_time, run
from rnnjax.loops import Loop
from rnnjax.loops.deferred import deferred
from rnnjax.types import AnyArray, Key, State


class Recurrent(nn.Module):
    """A model as a Linen module, in the place of `nn.RNN`: `inputs (*batch, T, n) -> ys (*batch, T, m)`.

    Args:
        cell: a cell of one step, which `loop` runs, or a model over whole sequences. For another loop with options
            give `scan(cell, loop, **options)`.
        num_feature_axes: how many axes one step of one sequence has: 0 for the tokens of `embed`, 3 for colour images.
            Of a pytree of inputs it is that of the array with the most.
        time_major, return_carry, reverse, keep_order: as of `nn.RNN`, here or in the call.
        deterministic: dropout is silent. Otherwise a random cell needs a key, `rngs={"dropout": key}`, in `apply`.

    The call takes what `nn.RNN`'s takes, `initial_carry`, `seq_lengths` and the four above, and `deterministic`, and
    returns what it returns: `ys`, or with `return_carry` the pair `(carry, ys)`. (`init_key` is ignored, for a cell
    starts the same with every key.) The carry and the padding differ from Flax's as `interop.nnx.Recurrent` says.

    Params are the cell's own as `flax.serialization.to_state_dict(params)` gives them, nested dicts by field and place:
    `variables["params"]["cell"]["W"]`.
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
    loop: Loop = deferred
    num_feature_axes: int = 1
    time_major: bool = False
    return_carry: bool = False
    reverse: bool = False
    keep_order: bool = False
    deterministic: bool = False

    @nn.compact
    def __call__(
        self,
        inputs: PyTree[Shaped[AnyArray, "..."]],
        *,
        initial_carry: State | None = None,
        init_key: Key | None = None,
        seq_lengths: Int[AnyArray, "..."] | None = None,
        return_carry: bool | None = None,
        time_major: bool | None = None,
        reverse: bool | None = None,
        keep_order: bool | None = None,
        deterministic: bool | None = None,
    ) -> PyTree:
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
