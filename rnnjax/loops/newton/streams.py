"""A batch of streams as vectors, solved, and as states again."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rnnjax.loops.newton.implicit import implicit
from rnnjax.loops.newton.iterate import iterate
from rnnjax.loops.numbers import vector
from rnnjax.types import State, Steps

HELD = {"cpu": 2**24}  # bytes of Jacobians at a time


class Solution(NamedTuple):
    """What `solve` found: `state` and `ys` as from any loop, and how it got there.

    - `iterations`: how many it took;
    - `residual`: the largest |f(s) - s'| / (1 + |f(s)|) of the last iteration's states, of each stream of a batch;
    - `converged`: whether that is within the tolerance. If it is not for any stream, all have been run in sequence.
    """

    state: State
    ys: Steps
    iterations: Int[Array, ""]
    residual: Float[Array, "*B"]
    converged: Bool[Array, "*B"]


def streams(cell, params, state, xs, *, linear, size, **options):
    """The `Solution` of a batch of streams, from the first step to the last."""
    found = []

    def flat(state, x):
        s, whole = vector(state)
        step = jax.closure_convert(lambda params, s, x: vector(cell.one.step(params, whole(s), x)[0])[0], params, s, x)
        found.append((whole, *step))
        return s

    first = jax.vmap(flat)(state, jax.tree.map(lambda x: x[0], xs))
    ((whole, step, closed),) = found

    def f(given, s, x):
        return step(given[0], s, x, *given[1])

    held = HELD.get(jax.default_backend(), 2**28) // max(1, first.itemsize * first.size * first.shape[1])
    size = min(size or max(1, held), len(jax.tree.leaves(xs)[0]))
    still = jax.lax.stop_gradient(((params, closed), first, xs))
    states, *report = iterate(f, *still, linear=linear, size=size, **options)
    states = implicit(f, linear, size)((params, closed), first, xs, states)
    states = jax.vmap(jax.vmap(whole))(jnp.concatenate([first[None], states]))
    _, ys = jax.vmap(cell.step, (None, 0, 0))(params, jax.tree.map(lambda s: s[:-1], states), xs)
    return Solution(jax.tree.map(lambda s: s[-1], states), ys, *report)
