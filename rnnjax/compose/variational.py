"""Variational dropout: what is dropped stays dropped for the whole sequence."""

from dataclasses import dataclass, field

import jax

from rnnjax.cell import Cell, interned, one_step
from rnnjax.compose.dropout import Lasting, Noisy, dropped, share


@interned
def variational(rate: float) -> Cell:
    """Dropout with one mask for all steps: y = mask x / (1 - rate), each number of the mask 0 with probability rate.

    It goes between the layers of a stack, as `dropout` does. Every stream of a batch has its own mask. Silent until
    `seed`; the mask lasts as long as the key in the state. Raises `ValueError` unless 0 <= rate < 1.

        >>> model = rnnjax.scan(rnnjax.variational(0.5))
        >>> state = rnnjax.seed(model.start(()), jax.random.key(0))
        >>> ys = model.step((), state, jnp.ones((7, 4)))[1]
        >>> bool((ys == ys[0]).all())
        True

    Gal & Ghahramani 2016, https://arxiv.org/abs/1512.05287
    """
    share("variational", rate)

    def start(params):
        return Lasting()

    def step(params, noise, x):
        return noise, x if noise.key is None else dropped(noise.key, rate, x)

    def whole(params, noise, xs, *keep):
        return noise, xs if noise.key is None else jax.vmap(dropped, (None, None, 0))(noise.key, rate, xs)

    return Cell(lambda key: (), start, step, whole=whole)


@interned
def recurrent_dropout(cell: Cell, rate: float) -> Cell:
    """Dropout of the state where it meets the recurrent weights, with one mask for all steps.

        h U   becomes   (mask h / (1 - rate)) U

    h is itself everywhere else, as where the update gate of a GRU keeps it. All gates share a mask, the paper's tied
    weights (Keras' `recurrent_dropout` draws one for each). Every stream of a batch has its own, and all share the one
    U. For a cell of any kind whose params have a U that it multiplies by `h @ U`.

    Args:
        cell: a cell of one step.
        rate: the probability to drop each number of h.

    Params, input and output: the cell's. State: `Noisy(state, Lasting(key))`, silent until `seed`; the mask lasts as
    long as the key. Raises `ValueError` unless 0 <= rate < 1, and `TypeError` if params have no U, or the cell does
    anything else with it: `weight_drop` is for such cells.

    Example:
        >>> model = rnnjax.deep(lambda n, m: rnnjax.recurrent_dropout(rnnjax.lstm(n, m), 0.25), 3, 4, layers=2)
        >>> params = model.init(jax.random.key(0))
        >>> state, ys = rnnjax.apply(model, params, jnp.ones((5, 7, 3)), key=jax.random.key(1))
        >>> state[0].state.h.shape, state[0].noise.key.shape
        ((5, 4), (5,))

    Gal & Ghahramani 2016, https://arxiv.org/abs/1512.05287
    """
    one_step("recurrent_dropout", cell)
    share("recurrent_dropout", rate)

    def refused(what):
        return TypeError(
            f"recurrent_dropout: a step must use its recurrent weights as h @ params.U and in no other way, but {cell} "
            f"{what}. Use weight_drop or zoneout, or give each cell of a stack its own."
        )

    def start(params):
        if not hasattr(params, "U"):
            raise refused("has no params.U")
        return Noisy(cell.start(params), Lasting())

    def step(params, state, x):
        inner, noise = state
        if noise.key is not None:
            params = params._replace(U=Dropped(params.U, noise.key, rate))
        try:
            inner, y = cell.step(params, inner, x)
        except (TypeError, ValueError, AttributeError) as error:
            if Dropped.__name__ in str(error):
                raise refused("does otherwise") from error
            raise
        return Noisy(inner, noise), y

    return Cell(cell.init, start, step)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Dropped:
    """Weights U such that `h @ Dropped(U, key, rate)` is the product of what is left of h."""

    U: jax.Array
    key: jax.Array
    rate: float = field(metadata={"static": True})
    __array_ufunc__ = None  # NumPy's arrays, too, leave the product to it

    def __rmatmul__(self, h):
        return dropped(self.key, self.rate, h) @ self.U
