"""The influence of each param on the state, as much of it as can be other than zero."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.gradients.online import Algorithm
from rnnjax.gradients.plan import plan


def influence(reach=None, change=lambda step: step):
    """The algorithm that carries J = ∂s/∂θ forward, J' = (∂s'/∂s) J + ∂s'/∂θ, and reads the slope of each loss from it.

    Of J those numbers are kept that `reach` steps can make other than zero (None: any number of steps), for a param
    (...) as an array (r, ...). The step's Jacobians are computed many rows in one reverse pass, as their sparsity
    allows. `change` is done to the step first.
    """

    def planned(step, θ, s):
        return plan(lambda s, *θ: step(list(θ), s, change)[0][0], s, θ, reach)

    def begin(step, θ, s):
        return [
            jnp.zeros((len(rows), *p.shape), max(p.dtype, s.dtype, key=lambda d: d.itemsize))
            for p, rows in zip(θ, planned(step, θ, s).rows)
        ]

    def follow(step, θ, s, J):
        its = planned(step, θ, s)
        (after, loss), pull, rest = jax.vjp(lambda θ, s: step(θ, s, change), θ, s, has_aux=True)
        grads, slope = pull((jnp.zeros_like(after), jnp.ones_like(loss)))
        pulled = jax.vmap(lambda row: pull((row, jnp.zeros_like(loss))))
        _, by_state = pulled(jnp.where(its.own, jnp.ones_like(after)[None], 0))
        by_params, _ = pulled(jnp.where(its.direct, jnp.ones_like(after)[None], 0))
        color = its.own.argmax(0)
        later = []
        for i, (j, rows, source, values) in enumerate(zip(J, its.rows, its.source, by_params)):
            if not len(rows):
                later.append(j)
                continue
            a, b = rows[:, None], rows[None]
            real = (a >= 0) & (b >= 0) & its.pattern[a, b]
            own = jnp.where(real, by_state[color[a], b], 0).astype(j.dtype)
            back = jnp.where(rows >= 0, slope[rows], 0).astype(j.dtype)
            grads[i] += _product(back[None], j)[0].astype(grads[i].dtype)
            new = _product(own, j)
            for value, row in zip(values, source):
                new += jnp.where(row[None] == rows, value[None].astype(j.dtype), 0)
            later.append(new)
        return after, rest, loss, grads, later

    return Algorithm(begin, follow)


def _product(a, j):
    """The sum over r of a (q, r, ...) and j (r, ...); a matrix product where a is the same for all of j."""
    if np.prod(a.shape[2:]) == 1:
        return (a.reshape(a.shape[:2]) @ j.reshape(len(j), -1)).reshape(len(a), *j.shape[1:])
    return functools.reduce(jnp.add, (a[:, k] * j[k][None] for k in range(len(j))))
