"""Time in parallel, for cells whose state is affine in the one before."""

import functools

import jax
import jax.numpy as jnp

from rnnjax.loops.carry import before, checked, placed, steps
from rnnjax.loops.rolled import rolled


def associative(cell, params, state, xs, *, reverse=False):
    """Run a cell that promises `affine` over time-leading `xs` in about log₂ T parallel steps.

        s' = a s + b:   (a₂, b₂) ∘ (a₁, b₁) = (a₂ a₁, a₂ b₁ + b₂) is associative, so all states come from one scan

    The work is about twice that of the steps one after another, so this is for devices with many lanes; on a CPU
    `deferred` is faster. Elementwise, real or complex, in either direction, with masks and any first state. The
    gradient is another such scan, over the same a. Derivatives of any order, `vmap`, `jax.checkpoint`.

    Raises `TypeError` if the cell does not promise `affine`.

        >>> def leaky(m):
        ...     def affine(a, x):
        ...         return a, x
        ...     def step(a, h, x):
        ...         h = a * h + x
        ...         return h, h
        ...     return rnnjax.Cell(lambda key: jnp.full(m, 0.5), lambda a: jnp.zeros(m), step, affine=affine)
        >>> model = rnnjax.scan(leaky(1), rnnjax.associative)
        >>> print(model.step(jnp.full(1, 0.5), jnp.zeros(1), jnp.ones((4, 1)))[1].T)
        [[1.    1.5   1.75  1.875]]

    Blelloch 1990, https://www.cs.cmu.edu/~guyb/papers/Ble93.pdf; Martin & Cundy 2018, https://arxiv.org/abs/1709.04057
    """
    T = steps("associative", xs)
    if cell.affine is None:
        raise TypeError(
            f"associative: the cell must promise affine, but {cell} does not. Use deferred, or where state' = a * state"
            " + b give the Cell the promise affine: params, x -> (a, b)."
        )
    if T == 0 or not jax.tree.leaves(state):
        return rolled(cell, params, state, xs, reverse=reverse)
    body = checked("associative", cell, params)
    state = placed(body, state, xs, params)
    jax.eval_shape(body, state, jax.tree.map(lambda x: x[0], xs))
    a, b = jax.vmap(cell.affine, (None, 0))(params, xs)
    after = jax.tree.map(functools.partial(recurrence, reverse), a, b, state)
    states = jax.tree.map(functools.partial(before, reverse=reverse), after, state)
    _, ys = jax.vmap(cell.step, (None, 0, 0))(params, states, xs)
    return jax.tree.map(lambda s: s[0 if reverse else -1], after), ys


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def recurrence(reverse, a, b, first):
    """All s' = a s + b, from a state that comes before the first (reversed: after the last) of them."""

    def compose(one, other):
        return other[0] * one[0], other[0] * one[1] + other[1]

    a = jnp.broadcast_to(a, b.shape)
    edge = -1 if reverse else 0
    return jax.lax.associative_scan(compose, (a, b.at[edge].add(a[edge] * first)), reverse=reverse)[1]


@recurrence.defjvp
def _recurrence_jvp(reverse, primals, tangents):
    a, b, first = primals
    da, db, d_first = tangents
    after = recurrence(reverse, a, b, first)
    return after, recurrence(reverse, a, da * before(after, first, reverse=reverse) + db, d_first)
