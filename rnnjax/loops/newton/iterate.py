"""Newton's iterations over all steps, until they converge or give up."""

import functools

import jax
import jax.numpy as jnp

from rnnjax.loops.carry import before
from rnnjax.loops.newton.kalman import damped
from rnnjax.loops.segments import segmented


def iterate(f, params, first, xs, *, jacobian, linear, size, damping, tolerance, most):
    """The states (T, B, D) that follow `first` (B, D) by `f: params, s, x -> s'` of one stream; how many iterations
    that took; and the residual, and whether it is within the tolerance, of each stream.

    An iteration moves the states by d, where d' = J d + f(s) - s' and d = 0 at `first`. A number that is no longer
    finite is begun anew. Numbers that stay wrong to the end come from the steps one after another.
    """
    batched = jax.vmap(f, (None, 0, 0))
    guess = jax.vmap(batched, (None, None, 0))(params, first, xs)

    def judged(states, k):
        after = jax.vmap(batched, (None, 0, 0))(params, before(states, first, reverse=False), xs)
        residual = (jnp.abs(_gap(after, states)) / (1 + jnp.abs(after))).max((0, 2))
        return states, after, jnp.where(jnp.isnan(residual), jnp.inf, residual), k

    def improved(now):
        states, _, residual, k = now
        λ = damping * jnp.minimum(residual, 1)

        def piece(λ, carry, now):
            d, P = carry
            old, last, x = now
            after, J = jax.vmap(lambda s, x: jacobian.taken(lambda s: f(params, s, x), s))(old, x)
            b = _gap(after, last)
            if damping:
                J, b, P = damped(jacobian, J, b, λ, P)
            d = linear(jacobian, J, b, d)
            return (d[-1], P), d

        def run(carry, now):
            return jax.vmap(piece, (0, 0, 1), (0, 1))(λ, carry, now)

        still = jnp.zeros_like(first) * (first == first).astype(first.dtype)  # on the devices where `first` is
        P = jax.vmap(lambda zero: jacobian.of(jnp.diag(zero)))(still) if damping else ()
        now = before(states, first, reverse=False), states, xs
        d = segmented(functools.partial(jax.lax.scan, run), run, (still, P), now, size)[1]
        return judged(jnp.where(jnp.isfinite(states + d), states + d, guess), k + 1)

    def unfinished(now):
        _, _, residual, k = now
        return ~jnp.all(residual <= tolerance) & (k < most)

    begin = judged(guess, 0)
    begin = (*begin[:3], jnp.any(begin[2] < 0).astype(jnp.int32))  # 0, on the devices where the residual is
    _, after, residual, k = jax.lax.while_loop(unfinished, improved, begin)
    converged = residual <= tolerance

    def in_sequence():
        def body(s, x):
            s = batched(params, s, x)
            return s, s

        return jax.lax.scan(body, first, xs)[1]

    return jax.lax.cond(jnp.all(converged), lambda: after, in_sequence), k, residual, converged


def _gap(one, other):
    """one - other, with 0 between equal infinities."""
    return jnp.where(one == other, jnp.zeros_like(one), one - other)
