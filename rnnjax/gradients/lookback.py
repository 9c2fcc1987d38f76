"""Truncated BPTT from call to call: updates every few steps, whose gradients flow back further than that."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from rnnjax.cell import Cell
from rnnjax.gradients.bptt import count, over_time, summed
from rnnjax.gradients.online import Credited
from rnnjax.loops.carry import steps
from rnnjax.types import Gradient, Key, Mask, Params, State, Steps


class Past(NamedTuple):
    """The last steps before now: the state before them, their inputs, and a mask of those that there were."""

    state: State
    xs: Steps
    keep: Mask


@dataclasses.dataclass(frozen=True, repr=False)
class Truncated:
    """What `tbptt` returns. From a plain state of the cell it is `whole`.

    From a `Credited` state, which `start` makes, a call takes `stride` steps, gives the gradient of their mean loss
    through the last `window` steps, and gives such a state back. What it goes back through is computed anew with the
    params as they are now, from the state that was there before the window.
    """

    cell: Cell
    window: int
    stride: int
    whole: Gradient

    def __repr__(self) -> str:
        return f"tbptt({self.cell}, window={self.window}, stride={self.stride})"

    def init(self, key: Key) -> Params:
        """Params of the cell."""
        return self.cell.init(key)

    def start(self, params: Params, x: PyTree) -> Credited:
        """The `Credited` state before the first step, for one step's input x (of a batch, of all its streams)."""
        return self.begun(params, self.cell.start(params), x)

    def begun(self, params: Params, state: State, x: PyTree) -> Credited:
        """A state of the cell without a past."""
        back = self.window - self.stride
        xs = jax.tree.map(lambda x: jnp.broadcast_to(x, (back, *jnp.shape(x))), x)  # real ones, if masked
        one = jax.tree.map(lambda x: jnp.asarray(x)[None], x)
        losses = jax.eval_shape(over_time(self.cell).step, params, state, one)[1]
        return Credited(state, Past(state, xs, jnp.zeros((back, *losses.shape[1:]), bool)))

    def __call__(
        self, params: Params, state: State, xs: Steps, keep: Mask | None = None
    ) -> tuple[Float[Array, ""], Params, State]:
        if not isinstance(state, Credited):
            return self.whole(params, state, xs, keep)
        T = steps("tbptt", xs)
        if T != self.stride:
            raise ValueError(
                f"tbptt: with a past, xs must have the {self.stride} steps of a stride, but xs has {T}. Give as many, "
                "or a plain state."
            )
        run, past = over_time(self.cell), state.credit
        new = jnp.ones((T, *past.keep.shape[1:]), bool) if keep is None else keep
        xs, kept = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), (past.xs, past.keep), (xs, new))

        def objective(params):
            after, losses = run.step(params, past.state, xs, kept)
            return summed("tbptt", losses[-T:]) / count(losses[-T:], new), after

        (loss, after), grads = jax.value_and_grad(objective, has_aux=True)(params)
        first, later = jax.tree.map(lambda x: x[:T], (xs, kept)), jax.tree.map(lambda x: x[T:], (xs, kept))
        begin = run.step(params, past.state, *first)[0] if self.window > self.stride else after
        return loss, grads, Credited(after, Past(begin, *later))
