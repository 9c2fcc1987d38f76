"""Two cells over one sequence, one from each end."""

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, interned, one_step
from rnnjax.loops.deferred import deferred
from rnnjax.loops.scan import scan


@interned
def bidirectional(forward: Cell, backward: Cell, *, loop=deferred, **options) -> Cell:
    """Run `forward` from the first step on and `backward` from the last, and join their outputs on the last axis.

    Both are cells of one step; the result is over whole sequences. State and params: the pair (forward, backward).
    The final state of `backward` is the one at the first step, as in PyTorch. With a mask each direction sees each
    sequence as if it were alone. `loop` and `options` are those of `scan`.

    Example:
        >>> model = rnnjax.bidirectional(rnnjax.lstm(3, 4), rnnjax.gru(3, 2))
        >>> params = model.init(jax.random.key(0))
        >>> state, ys = model.step(params, model.start(params), jnp.ones((7, 3)))
        >>> ys.shape
        (7, 6)

    Schuster & Paliwal 1997, https://doi.org/10.1109/78.650093
    """
    one_step("bidirectional", forward)
    one_step("bidirectional", backward)
    ahead, behind = scan(forward, loop, **options), scan(backward, loop, reverse=True, **options)

    def init(key):
        first, second = jax.random.split(key)
        return ahead.init(first), behind.init(second)

    def start(params):
        return ahead.start(params[0]), behind.start(params[1])

    def step(params, state, xs, *keep):
        first, ys = ahead.step(params[0], state[0], xs, *keep)
        second, zs = behind.step(params[1], state[1], xs, *keep)
        return (first, second), jax.tree.map(lambda y, z: jnp.concatenate([y, z], axis=-1), ys, zs)

    def no_step(params, state, x):
        raise TypeError(
            f"bidirectional: there must be a single step, but bidirectional({forward}, {backward}) has none, because "
            "its backward direction needs the whole sequence. Use bptt on whole sequences, or one direction."
        )

    def remade(change):
        return bidirectional(change(forward), change(backward), loop=loop, **options)

    return Cell(init, start, step, each=Cell(init, start, no_step), remade=remade)
