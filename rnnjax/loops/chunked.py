"""Time a chunk at a time: one after another from chunk to chunk, in parallel within."""

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, sizes
from rnnjax.loops.associative import associative
from rnnjax.loops.carry import begun, steps
from rnnjax.loops.rolled import rolled
from rnnjax.loops.segments import even, segmented
from rnnjax.types import Params, State, Steps


def chunked(
    cell: Cell, params: Params, state: State, xs: Steps, *, size: int | None = None, reverse: bool = False
) -> tuple[State, Steps]:
    """Run a cell that promises `chunk` or `affine` over time-leading `xs`, `size` steps at once.

    Within a chunk steps run in parallel: by `chunk`, products over pairs of steps, if the cell promises it, as those
    with a matrix for a state do, else by `associative`. Steps that are left over are a shorter chunk. The gradient
    keeps one state a chunk and runs each chunk once more, which on a CPU takes less time than to keep its
    activations. In either direction, with masks and any first state; derivatives of any order, `vmap`,
    `jax.checkpoint`. Without a `size` it is about `chunk_size`, a divisor of
    T if one is near.

    Raises `TypeError` if the cell promises neither, and `ValueError` unless size is positive.

        >>> model = rnnjax.scan(rnnjax.mlstm(3, 8), rnnjax.chunked, size=4)
        >>> params = model.init(jax.random.key(0))
        >>> state, ys = model.step(params, model.start(params), jnp.ones((10, 3)))
        >>> state.C.shape, ys.shape
        ((1, 8, 8), (10, 8))

    Hua et al. 2022, https://arxiv.org/abs/2202.10447; Beck et al. 2025, https://arxiv.org/abs/2503.14376
    """
    T = steps("chunked", xs)
    if cell.chunk is None and cell.affine is None:
        raise TypeError(
            f"chunked: the cell must promise chunk or affine, but {cell} does neither. Use deferred, or where "
            "state' = a * state + b give the Cell the promise affine: params, x -> (a, b)."
        )
    size = even(T, chunk_size(cell, state)) if size is None else size
    sizes("chunked", size=size)
    if T == 0 or not jax.tree.leaves(state):
        return rolled(cell, params, state, xs, reverse=reverse)
    state = begun("chunked", cell, params, state, xs)

    def flipped(tree):
        return jax.tree.map(lambda x: x[::-1], tree) if reverse else tree

    def chunk(state, xs):
        if cell.chunk is None:
            return associative(cell, params, state, xs, reverse=reverse)
        state, ys = cell.chunk(params, state, flipped(xs))
        return state, flipped(ys)

    def over(state, xs):
        return jax.lax.scan(jax.checkpoint(chunk, prevent_cse=False), state, xs, reverse=reverse)

    return segmented(over, jax.checkpoint(chunk), state, xs, min(size, T), reverse=reverse)


def chunk_size(cell, state):
    """How many steps `chunked` takes at once by default.

    On a CPU 32: of 16 to 128, over 1000 steps, within 1.2 times the best for `mlstm` with a head of 64, and within 1.8
    for `gla`, which is quickest at 16. On an accelerator, where nothing was measured, as many as fill 2¹⁷ lanes with
    states, at least 64, and at most 256 where the cost of a step grows with them.
    """
    if jax.default_backend() == "cpu":
        return 32
    filling = max(64, 2**17 // max(1, sum(jnp.size(s) for s in jax.tree.leaves(state))))
    return filling if cell.chunk is None else min(filling, 256)
