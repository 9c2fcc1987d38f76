"""BPTT in less memory: keep a state every segment and compute the steps between anew in the reverse pass."""

import functools
import math

import jax
import jax.numpy as jnp

from rnnjax.cell import sizes
from rnnjax.loops.carry import checked, placed, steps
from rnnjax.loops.deferred import deferred


def checkpointed(cell, params, state, xs, *, reverse=False, segments=None):
    """Run `cell` over time-leading `xs` as `deferred` does, keeping only one state a segment for the gradient.

    With T steps in S segments the reverse pass keeps S states and, for one segment at a time, T/S steps' worth of
    activations, and runs every step forward once more. `segments` is about √T by default, where that memory is least,
    O(√T): a divisor of T if one is near, for steps left over are run apart, and joining the outputs copies them.

        >>> rnnjax.scan(rnnjax.lstm(3, 4), rnnjax.checkpointed, segments=10)
        scan(lstm(3, 4), loop=checkpointed, segments=10)

    Griewank 1992, https://doi.org/10.1080/10556789208805505; Chen et al. 2016, https://arxiv.org/abs/1604.06174
    """
    T = steps("checkpointed", xs)
    S = _even(T) if segments is None else segments
    sizes("checkpointed", segments=S)
    if S > max(T, 1):
        raise ValueError(f"checkpointed: segments must be at most the {T} steps, but segments is {S}. Give fewer.")
    size = max(1, math.ceil(T / S))

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def segment(state, xs):
        return deferred(cell, params, state, xs, reverse=reverse)

    def segments_of(state, xs):
        chunks = jax.tree.map(lambda x: x.reshape(-1, size, *x.shape[1:]), xs)
        state, ys = jax.lax.scan(segment, state, chunks, reverse=reverse)
        return state, jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:]), ys)

    def part(xs, *cut):
        return jax.tree.map(lambda x: x[slice(*cut)], xs)

    state = placed(checked("checkpointed", cell, params), state, xs, params)
    rest = T % size
    if rest == 0:
        return segments_of(state, xs)
    if reverse:
        state, last = segments_of(state, part(xs, rest, None))
        state, first = segment(state, part(xs, rest))
    else:
        state, first = segments_of(state, part(xs, T - rest))
        state, last = segment(state, part(xs, T - rest, None))
    return state, jax.tree.map(lambda *ys: jnp.concatenate(ys), first, last)


def _even(T):
    """The divisor of T nearest to √T, or √T if none is within a factor of 2."""
    root = max(1, math.isqrt(T))
    near = [S for S in range(max(1, root // 2), 2 * root + 1) if T % S == 0]
    return min(near, key=lambda S: abs(S - root), default=root)
