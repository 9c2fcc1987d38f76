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

    A number that is no longer finite is begun anew. Numbers that stay wrong to the end come from the steps themselves.
    """
    T = jax.tree.leaves(xs)[0].shape[0]
    guess = jnp.broadcast_to(first[None], (T, *first.shape))
    batched = jax.vmap(f, (None, 0, 0))

    def judged(states, k):
        after = jax.vmap(batched, (None, 0, 0))(params, before(states, first, reverse=False), xs)
        residual = (jnp.abs(after - states) / (1 + jnp.abs(after))).max((0, 2))
        return states, after, jnp.where(jnp.isnan(residual), jnp.inf, residual), k

    def improved(now):
        states, _, residual, k = now
        λ = damping * jnp.minimum(residual, 1)

        def piece(λ, carry, now):
            s, P = carry
            old, last, x = now
            after, J = jax.vmap(lambda s, x: jacobian.taken(lambda s: f(params, s, x), s))(old, x)
            b = after - jax.vmap(jacobian.on)(J, old)
            if damping:
                J, b, P = damped(jacobian, J, b, last, λ, P)
            after = linear(jacobian, J, b, s)
            return (after[-1], P), after

        def run(carry, now):
            return jax.vmap(piece, (0, 0, 1), (0, 1))(λ, carry, now)

        P = jnp.zeros_like(jacobian.one(first.shape[1], first.dtype)) if damping else ()
        P = jax.tree.map(lambda P: jnp.broadcast_to(P[None], (len(first), *P.shape)), P)
        now = before(states, first, reverse=False), states, xs
        after = segmented(functools.partial(jax.lax.scan, run), run, (first, P), now, size)[1]
        return judged(jnp.where(jnp.isfinite(after), after, guess), k + 1)

    def unfinished(now):
        _, _, residual, k = now
        return ~jnp.all(residual <= tolerance) & (k < most)

    _, after, residual, k = jax.lax.while_loop(unfinished, improved, judged(guess, jnp.int32(0)))
    converged = residual <= tolerance

    def in_sequence():
        def body(s, x):
            s = batched(params, s, x)
            return s, s

        return jax.lax.scan(body, first, xs)[1]

    return jax.lax.cond(jnp.all(converged), lambda: after, in_sequence), k, residual, converged
