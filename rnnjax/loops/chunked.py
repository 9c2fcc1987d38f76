"""Time a chunk at a time: in sequence from chunk to chunk, in parallel within."""

import jax

from rnnjax.cell import sizes
from rnnjax.loops.associative import associative
from rnnjax.loops.carry import checked, placed, steps
from rnnjax.loops.rolled import rolled
from rnnjax.loops.segments import segmented


def chunked(cell, params, state, xs, *, size=None, reverse=False):
    T = steps("chunked", xs)
    if cell.chunk is None and cell.affine is None:
        raise TypeError(
            f"chunked: the cell must promise chunk or affine, but {cell} does neither. Use deferred, or give the Cell "
            "a promise, as affine: params, x -> (a, b) where state' = a * state + b."
        )
    if T == 0 or not jax.tree.leaves(state):
        return rolled(cell, params, state, xs, reverse=reverse)
    body = checked("chunked", cell, params)
    state = placed(body, state, xs, params)
    jax.eval_shape(body, state, jax.tree.map(lambda x: x[0], xs))
    if size is None:
        size = 64
    sizes("chunked", size=size)

    def flipped(tree):
        return jax.tree.map(lambda x: x[::-1], tree) if reverse else tree

    def chunk(state, xs):
        if cell.chunk is None:
            return associative(cell, params, state, xs, reverse=reverse)
        state, ys = cell.chunk(params, state, flipped(xs))
        return state, flipped(ys)

    import os
    if os.environ.get("CK", "1") == "1":
        chunk = jax.checkpoint(chunk, prevent_cse=False)

    def over(state, xs):
        return jax.lax.scan(chunk, state, xs, reverse=reverse)

    return segmented(over, chunk, state, xs, min(size, T), reverse=reverse)
