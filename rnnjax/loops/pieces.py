"""A run over time, a piece of so many steps at a time."""

import jax
import jax.numpy as jnp


def pieces(run, state, xs, size, *, reverse=False):
    """`run: state, xs -> state, ys` over each `size` steps of xs in turn, and over the steps left over apart."""
    T = jax.tree.leaves(xs)[0].shape[0]
    even = T - T % size

    def scanned(state, xs):
        xs = jax.tree.map(lambda x: x.reshape(-1, size, *x.shape[1:]), xs)
        state, ys = jax.lax.scan(run, state, xs, reverse=reverse)
        return state, jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:]), ys)

    def part(*cut):
        return jax.tree.map(lambda x: x[slice(*cut)], xs)

    if even == T:
        return scanned(state, xs)
    if reverse:
        state, last = scanned(state, part(T - even, None))
        state, first = run(state, part(T - even))
    else:
        state, first = scanned(state, part(even))
        state, last = run(state, part(even, None))
    return state, jax.tree.map(lambda *ys: jnp.concatenate(ys), first, last)
