"""s' = a s + b at all steps at once, on one device or on those of a mesh axis."""

import functools

import jax
import jax.numpy as jnp

from rnnjax.loops.carry import before
from rnnjax.loops.sharded import everyone


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def recurrence(reverse, axis, a, b, first):
    """The state that comes in, and those after each step, of s' = a s + b from `first` (reversed: from the last step).

    If time lies across a mesh axis, a and b are of the steps of this device, `first` is before those of all devices,
    and the state that comes in is the one that the neighbour ends with. Each device makes one step of its own, s' = A s
    + B, which all of them exchange.
    """
    a, (edge, end) = jnp.broadcast_to(a, b.shape), (-1, 0) if reverse else (0, -1)
    if axis is None:
        return first, _composed(reverse, a, b.at[edge].add(a[edge] * first))[1]
    a, b = _composed(reverse, a, b)
    _, ends = recurrence(reverse, None, everyone(a[end], axis), everyone(b[end], axis), first)
    begin = before(ends, first, reverse=reverse)[jax.lax.axis_index(axis)]
    return begin, a * begin[None] + b


@recurrence.defjvp
def _recurrence_jvp(reverse, axis, primals, tangents):
    a, b, first = primals
    da, db, d_first = tangents
    begin, after = recurrence(reverse, axis, a, b, first)
    slope = recurrence(reverse, axis, a, da * before(after, begin, reverse=reverse) + db, d_first)
    return (begin, after), slope


def _composed(reverse, a, b):
    """The steps up to each one, as one step."""

    def compose(one, other):
        return other[0] * one[0], other[0] * one[1] + other[1]

    return jax.lax.associative_scan(compose, (a, b), reverse=reverse)
