"""A scan over segments whose gradient keeps a few states and runs the least anew: Griewank's binomial schedule."""

import bisect
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.dtypes import float0

from rnnjax.loops.equations import evaluate, read
from rnnjax.loops.tangents import moves


class Schedule(NamedTuple):
    """How N segments are reversed with S snapshots: the states in slots 0 to S - 1, and the one at work in slot S.

    - `legs`: rows (source, begin, end, target), in the order of time: from the state in slot source, which is the one
      before segment begin, run the segments up to end, and put the state before that one in slot target;
    - `turns`: a row (first, last, slot) for each segment, of which the last is reversed first: run the legs from first
      up to last, and reverse the segment from the state in slot.

    Slot 0 holds the first state from the beginning. The legs before those of any turn are the forward pass's.
    """

    legs: np.ndarray
    turns: np.ndarray


def repeats(N, S):
    """How often each of N segments is run at most on the way to others: the least r with C(S + r, S) >= N."""
    return bisect.bisect_left(range(N), N, key=lambda r: math.comb(S + r, S))


def advances(N, S):
    """How many segments are run on the way to others, which is the least possible: r N - C(S + r, S + 1)."""
    r = repeats(N, S)
    return r * N - math.comb(S + r, S + 1)


def schedule(N, S):
    """The `Schedule` of N segments and S snapshots that has the fewest `advances`.

    The next snapshot is taken where the segments before it need one repeat less than all together, and those
    after it, with one slot less, no more.

        >>> from rnnjax.loops.treeverse import schedule
        >>> legs, turns = schedule(4, 2)
        >>> legs.tolist(), turns.tolist()
        ([[0, 0, 2, 1], [1, 2, 3, 2], [0, 0, 1, 2]], [[3, 3, 0], [2, 3, 2], [2, 2, 1], [2, 2, 2]])

    Griewank 1992, https://doi.org/10.1080/10556789208805505; Griewank & Walther 2000, `revolve`,
    https://doi.org/10.1145/347837.347846
    """
    held, legs, turns = [0], [], []  # the segments whose states are in slots 0, 1, ...
    for segment in reversed(range(N)):
        first, at, slot = len(legs), held[-1], len(held) - 1
        while at < segment:
            ahead, free = segment + 1 - at, S + 1 - len(held)
            r = repeats(ahead, free)
            to = at + min(math.comb(free + r - 1, free), ahead - math.comb(free + r - 2, free - 1))
            target = len(held) if to < segment else S
            legs.append((slot, at, to, target))
            held += [to] * (to < segment)
            at, slot = to, target
        turns.append((first if turns else len(legs), len(legs), slot))
        if held[-1] == segment:
            held.pop()
    return Schedule(np.array(legs, np.int32).reshape(-1, 4), np.array(turns[::-1], np.int32))


def treeverse(segment, state, xs, *, snapshots, reverse=False):
    """`jax.lax.scan(segment, state, xs, reverse=reverse)`, of which `snapshots` states are kept for the gradient.

    `segment` may close over anything. It must give back the types of its state, whose leaves are arrays. The cotangents
    of integers and random keys are None here.
    """
    closed, shape = jax.make_jaxpr(segment, return_shape=True)(state, jax.tree.map(lambda x: x[0], xs))
    atoms, outs = [*closed.jaxpr.constvars, *closed.jaxpr.invars], closed.jaxpr.outvars
    state, xs = jax.tree.leaves(state), jax.tree.leaves(xs)
    N, s = len(xs[0]), len(state)
    legs, turns = schedule(N, snapshots)
    swept, targets = legs[: turns[-1, 0]], np.full(N, snapshots)
    targets[swept[:, 2]] = swept[:, 3]

    def run_one(consts, state, x):
        out = read(evaluate(closed.jaxpr.eqns, dict(zip(atoms, [*consts, *state, *x]))), outs)
        return out[:s], out[s:]

    def over(xs, table, body, begin, *, back=False):
        return jax.lax.scan(body, begin, (xs, table[::-1] if reverse else table), reverse=reverse != back)

    @jax.custom_vjp
    def run(consts, state, xs):
        return jax.lax.scan(functools.partial(run_one, consts), state, xs, reverse=reverse)

    def forward(consts, state, xs):
        def body(carry, scanned):
            (state, slots), (x, target) = carry, scanned
            after, y = run_one(consts, state, x)
            return (after, put(slots, target, state)), y

        slots = [jnp.broadcast_to(a, (snapshots + 1, *a.shape)) for a in state]
        (after, slots), ys = over(xs, targets, body, (state, slots))
        return (after, ys), (consts, slots, xs)

    def backward(kept, cotangents):
        consts, slots, xs = kept

        def advance(i, state):
            return run_one(consts, state, take(xs, N - 1 - i if reverse else i))[0]

        def leg(i, slots):
            source, begin, end, target = jnp.asarray(legs)[i]
            return put(slots, target, jax.lax.fori_loop(begin, end, advance, take(slots, source)))

        def turn(carry, scanned):
            (slots, d_state, d_consts), ((x, d_y), (first, last, slot)) = carry, scanned
            slots = jax.lax.fori_loop(first, last, leg, slots)
            pull = jax.vjp(run_one, consts, take(slots, slot), x)[1]
            d = [np.zeros(v.aval.shape, float0) if d is None else d for v, d in zip(outs, [*d_state, *d_y])]
            d_more, d_state, d_x = moving(pull((d[:s], d[s:])))
            return (slots, d_state, jax.tree.map(jnp.add, d_consts, d_more)), d_x

        d_state, d_ys = moving(cotangents)
        d_consts = [jnp.zeros_like(c) if moves(v) else None for v, c in zip(atoms, consts)]
        (_, d_state, d_consts), d_xs = over((xs, d_ys), turns, turn, (slots, d_state, d_consts), back=True)
        return d_consts, d_state, d_xs

    run.defvjp(forward, backward)
    return jax.tree.unflatten(jax.tree.structure(shape), jax.tree.leaves(run(closed.consts, state, xs)))


def moving(cotangents):
    return jax.tree.map(lambda d: None if d.dtype == float0 else d, cotangents)


def put(slots, k, state):
    return [jax.lax.dynamic_update_index_in_dim(slot, s, k, 0) for slot, s in zip(slots, state)]


def take(slots, k):
    return [jax.lax.dynamic_index_in_dim(slot, k, 0, keepdims=False) for slot in slots]
