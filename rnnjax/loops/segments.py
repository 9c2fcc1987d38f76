"""Time cut into segments of one length, and what is left over."""

import jax
import jax.numpy as jnp


def segmented(over, one, state, xs, size, *, reverse=False):
    """Run time-leading `xs` in segments of `size` steps, and the rest of them, which run last, in one that is shorter.

    `over: state, xs -> state, ys` runs all segments, stacked along a new leading axis, and `one` a single one.
    """

    def stacked(state, xs):
        state, ys = over(state, jax.tree.map(lambda x: x.reshape(len(x) // size, size, *x.shape[1:]), xs))
        return state, jax.tree.map(lambda y: y.reshape(y.shape[0] * y.shape[1], *y.shape[2:]), ys)

    T = len(jax.tree.leaves(xs)[0])
    rest = T % size
    if rest == 0:
        return stacked(state, xs)
    cut = rest if reverse else T - rest
    first, last = (jax.tree.map(lambda x: x[part], xs) for part in (slice(cut), slice(cut, None)))
    if reverse:
        state, last = stacked(state, last)
        state, first = one(state, first)
    else:
        state, first = stacked(state, first)
        state, last = one(state, last)
    return state, jax.tree.map(lambda *ys: jnp.concatenate(ys), first, last)


def even(T, near):
    """The divisor of T nearest to `near`, or that itself if none is within a factor of 2."""
    near = max(1, near)
    divisors = [k for k in range(max(1, near // 2), 2 * near + 1) if T % k == 0]
    return min(divisors, key=lambda k: abs(k - near), default=near)
