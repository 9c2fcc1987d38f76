"""`jax.lax.scan`: the plain loop, and the meaning of every other."""

import jax

from rnnjax.cell import Cell
from rnnjax.loops.carry import checked, placed, steps
from rnnjax.types import Params, State, Steps


def rolled(
    cell: Cell, params: Params, state: State, xs: Steps, *, reverse: bool = False, unroll: int = 1
) -> tuple[State, Steps]:
    """Run `cell` over time-leading `xs` with `jax.lax.scan`.

    `reverse=True` runs from the last step to the first, with ys in the order of xs. `unroll` steps share one
    iteration of the compiled loop. A cell without a state has no order in time, and all its steps run at once.

        >>> cell = rnnjax.rnn(3, 4)
        >>> params = cell.init(jax.random.key(0))
        >>> h, ys = rnnjax.rolled(cell, params, cell.start(params), jnp.ones((7, 3)))
        >>> bool((h == ys[-1]).all())
        True
    """
    steps("rolled", xs)
    if not jax.tree.leaves(state):
        return jax.vmap(lambda x: cell.step(params, state, x), out_axes=(None, 0))(xs)
    body = checked("rolled", cell, params)
    return jax.lax.scan(body, placed(body, state, xs, params), xs, reverse=reverse, unroll=unroll)
