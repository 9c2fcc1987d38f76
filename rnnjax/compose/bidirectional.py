"""Two cells over one sequence, one from each end."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, Shaped

from rnnjax.cell import Cell, interned, one_step
from rnnjax.loops import Loop
from rnnjax.loops.deferred import deferred
from rnnjax.loops.masked import select
from rnnjax.loops.scan import scan

Join: TypeAlias = Callable[[Array, Array], Array]


def concatenate(y: Shaped[Array, "... m"], z: Shaped[Array, "... k"]) -> Shaped[Array, "... _"]:
    """Both outputs in a row, on the last axis."""
    return jnp.concatenate([y, z], axis=-1)


def average(y: Inexact[Array, "..."], z: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
    """The mean of two outputs, as the `join` of `bidirectional` or `deep`.

    >>> rnnjax.bidirectional(rnnjax.lstm(3, 4), rnnjax.lstm(3, 4), join=rnnjax.average)
    bidirectional(lstm(3, 4), lstm(3, 4), join=average)
    """
    return (y + z) / 2


@interned
def bidirectional(
    forward: Cell, backward: Cell, *, join: Join = concatenate, loop: Loop = deferred, **options: Any
) -> Cell:
    """Run `forward` from the first step on and `backward` from the last, and join their outputs.

    Args:
        forward, backward: cells of one step; the result is over whole sequences.
        join: `(y, z) -> joined`, of two arrays at one step, for each leaf of the outputs: by default one after the
            other on the last axis; `jnp.add`, `average`, or your own. A padded step gives zero whatever it is.
        loop, options: those of `scan`.

    State and params: the pair (forward, backward). The final state of `backward` is the one at the first step, as in
    PyTorch. With a mask each direction sees each sequence as if it were alone.

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
    if "reverse" in options:
        raise TypeError("bidirectional: each direction must have its own, but reverse is given. Leave it out.")
    ahead, behind = scan(forward, loop, **options), scan(backward, loop, reverse=True, **options)

    def init(key):
        first, second = jax.random.split(key)
        return ahead.init(first), behind.init(second)

    def start(params):
        return ahead.start(params[0]), behind.start(params[1])

    def step(params, state, xs, *keep):
        first, ys = ahead.step(params[0], state[0], xs, *keep)
        second, zs = behind.step(params[1], state[1], xs, *keep)
        joined = jax.tree.map(jax.vmap(join), ys, zs)
        return (first, second), select(*keep, joined) if keep else joined

    def no_step(params, state, x):
        raise TypeError(
            f"bidirectional: there must be a single step, but bidirectional({forward}, {backward}) has none, because "
            "its backward direction needs the whole sequence. Use bptt on whole sequences, the program "
            "'sequence' of an export, or one direction."
        )

    def remade(change):
        first, second = change(forward), change(backward)
        streams = jax.vmap(join) if first.one == forward else join
        return bidirectional(first, second, join=streams, loop=loop, **options)

    return Cell(init, start, step, each=Cell(init, start, no_step), remade=remade)
