"""A model here as a module of Flax NNX."""

import jax
from flax import nnx
from jaxtyping import Int, PyTree, Shaped

from rnnjax.cell import Cell
from rnnjax.interop.drop_in import chosen, noisy, over_time, run
from rnnjax.loops import Loop
from rnnjax.loops.deferred import deferred
from rnnjax.types import AnyArray, Params, State


class Recurrent(nnx.Module):
    """A model as an NNX module, in the place of `nnx.RNN`: `inputs (*batch, T, n) -> ys (*batch, T, m)`.

    Args:
        cell: a cell of one step, which `loop` runs, or a model over whole sequences. For another loop with options
            give `scan(cell, loop, **options)`.
        num_feature_axes: how many axes one step of one sequence has: 0 for the tokens of `embed`, 3 for colour images.
            Of a pytree of inputs it is that of the array with the most.
        time_major, return_carry, reverse, keep_order: as of `nnx.RNN`, here or in the call.
        deterministic: dropout is silent, as after `module.eval()`; `module.train()` turns it on, as of `nnx.Dropout`.
        params: the params of `cell`, as from `load`.
        rngs: `rngs.params` draws the params if none are given, and `rngs.dropout` a key a call, if some cell is random.

    The call takes what `nnx.RNN`'s takes, `initial_carry`, `seq_lengths`, the four above, and `rngs` (for dropout), and
    `deterministic`. It returns what `nnx.RNN`'s returns: `ys`, or with `return_carry` the pair `(carry, ys)`, and with
    `reverse` the steps from the last on, unless `keep_order`. The only differences:

    - the carry is the cell's own state: of `lstm` an `LSTMState(h, c)`, where Flax has `(c, h)`. It holds no keys, so
      that noise is drawn anew in every call;
    - on padding ys is 0, where Flax's goes on; a sequence of length 0 leaves its carry as it was.

    Params are `nnx.Param`s, one for each array of the cell's own params, in `params`; `weights()` gives these as the
    cell has them. Raises `TypeError` and `ValueError` for arguments that do not fit.

    Example:
        >>> from flax import nnx
        >>> from rnnjax.interop.nnx import Recurrent
        >>> module = Recurrent(rnnjax.lstm(3, 4), rngs=nnx.Rngs(0))
        >>> ys = module(jnp.ones((2, 5, 3)), seq_lengths=jnp.array([5, 2]))
        >>> slopes = nnx.grad(lambda module: module(jnp.ones((2, 5, 3))).sum())(module)
        >>> ys.shape, slopes["params"]["U"].shape
        ((2, 5, 4), (4, 16))
    """

    def __init__(
        self,
        cell: Cell,
        *,
        loop: Loop = deferred,
        num_feature_axes: int = 1,
        time_major: bool = False,
        return_carry: bool = False,
        reverse: bool = False,
        keep_order: bool = False,
        deterministic: bool = False,
        params: Params | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        self.cell = over_time("nnx.Recurrent", cell, loop)
        params = self.cell.init(rngs.params()) if params is None else params
        self.params = nnx.data(jax.tree.map(nnx.Param, params))
        self.rngs = nnx.data(rngs.dropout.fork() if noisy(self.cell) else None)
        self.num_feature_axes = num_feature_axes
        self.time_major = time_major
        self.return_carry = return_carry
        self.reverse = reverse
        self.keep_order = keep_order
        self.deterministic = deterministic

    def __call__(
        self,
        inputs: PyTree[Shaped[AnyArray, "..."]],
        *,
        initial_carry: State | None = None,
        seq_lengths: Int[AnyArray, "..."] | None = None,
        return_carry: bool | None = None,
        time_major: bool | None = None,
        reverse: bool | None = None,
        keep_order: bool | None = None,
        deterministic: bool | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> PyTree:
        carry, ys = run(
            "nnx.Recurrent",
            self.cell,
            self.weights(),
            inputs,
            carry=initial_carry,
            seq_lengths=seq_lengths,
            key=self._key(chosen(deterministic, self.deterministic), rngs),
            time_major=chosen(time_major, self.time_major),
            reverse=chosen(reverse, self.reverse),
            keep_order=chosen(keep_order, self.keep_order),
            num_feature_axes=self.num_feature_axes,
        )
        return (carry, ys) if chosen(return_carry, self.return_carry) else ys

    def weights(self) -> Params:
        """The params as `cell` has them."""
        return jax.tree.map(lambda p: p[...], self.params, is_leaf=lambda p: isinstance(p, nnx.Variable))

    def set_view(self, deterministic: bool | None = None) -> None:
        """What `nnx.view` may set."""
        self.deterministic = chosen(deterministic, self.deterministic)

    def _key(self, deterministic, rngs):
        if deterministic or self.rngs is None:
            return None
        return rngs.dropout() if isinstance(rngs, nnx.Rngs) else self.rngs()  # a lone stream is for Flax's carries
