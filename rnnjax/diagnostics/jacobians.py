"""Spectral norms of ∂s_T/∂s_{T-k}, of all of the state and of blocks on its diagonal, by two ways.

Each takes `step: vector, state, x -> vector`, the states `before` the steps (T, ...), their inputs `xs`, the lags (K,)
and the blocks, W pairs (first, last + 1), and gives the norms (W, K).
"""

import jax
import jax.numpy as jnp

from rnnjax.diagnostics.path import pack

ITERATIONS = 40


def dense(step, before, xs, lags, blocks):
    """By multiplying the Jacobians out."""
    vectors = jax.vmap(pack)(before)
    T, d = vectors.shape

    def spectral(P):
        return jnp.stack([largest(P[a:b, a:b]) for a, b in blocks])

    def back(P, now):
        vector, before, x, wanted = now
        _, pull = jax.vjp(lambda v: step(v, before, x), vector)
        (P,) = jax.vmap(pull)(P)
        return P, jax.lax.cond(wanted, spectral, lambda P: jnp.zeros(len(blocks), P.dtype), P)

    wanted = jnp.isin(T - jnp.arange(T), lags)
    _, norms = jax.lax.scan(back, jnp.eye(d, dtype=vectors.dtype), (vectors, before, xs, wanted), reverse=True)
    return jnp.concatenate([norms, jnp.ones_like(norms[:1])])[T - lags].T


def largest(P):
    """The largest singular value, from the eigenvalues of P Pᵀ: as exact as a decomposition of P, and faster."""
    scale = jnp.abs(P).max()
    P = P / jnp.where(scale > 0, scale, 1)
    return scale * jnp.sqrt(jnp.linalg.eigvalsh(jnp.matmul(P, P.T, precision="highest"))[-1])


def iterated(step, before, xs, lags, blocks):
    """By Golub and Kahan's iteration, forward by `jvp` and back by `vjp` of the steps, for all lags and blocks at once.

    It is power iteration of JᵀJ that forgets nothing: on all directions seen so far J is bidiagonal, and the norm of
    that small matrix is the answer (Golub & Kahan 1965, https://doi.org/10.1137/0702016).
    """
    vectors = jax.vmap(pack)(before)
    T, d = vectors.shape
    inside = jnp.stack([(jnp.arange(d) >= a) & (jnp.arange(d) < b) for a, b in blocks])[:, None]
    entry = (T - lags)[None, :, None]
    times = (vectors, before, xs, jnp.arange(T))

    def there(V):
        def push(V, now):
            vector, before, x, t = now
            _, push = jax.linearize(lambda v: step(v, before, x), vector)
            return jax.vmap(jax.vmap(push))(jnp.where(t == entry, start, V)), None

        start = V
        return jnp.where(inside, jax.lax.scan(push, jnp.zeros_like(V), times)[0], 0)

    def back(V):
        def pull(carry, now):
            V, found = carry
            vector, before, x, t = now
            _, pull = jax.vjp(lambda v: step(v, before, x), vector)
            (V,) = jax.vmap(jax.vmap(pull))(V)
            return (V, jnp.where(t == entry, V, found)), None

        (_, found), _ = jax.lax.scan(pull, (V, jnp.zeros_like(V)), times, reverse=True)
        return jnp.where(inside, found, 0)

    def further(carry, _):
        V, U, off = carry
        U = there(V) - off[..., None] * U
        on = norm(U)
        U = U / jnp.maximum(on, tiny)[..., None]
        V = back(U) - on[..., None] * V
        off = norm(V)
        return (V / jnp.maximum(off, tiny)[..., None], U, off), (on, off)

    tiny = jnp.finfo(vectors.dtype).tiny
    V = jnp.where(inside, jax.random.normal(jax.random.key(0), (len(blocks), len(lags), d), vectors.dtype), 0)
    carry = V / norm(V)[..., None], jnp.zeros_like(V), jnp.zeros(V.shape[:2], V.dtype)
    _, (on, off) = jax.lax.scan(further, carry, length=ITERATIONS)
    bidiagonal = jnp.vectorize(lambda on, off: largest(jnp.diag(on) + jnp.diag(off[:-1], 1)), signature="(i),(i)->()")
    norms = bidiagonal(jnp.moveaxis(on, 0, -1), jnp.moveaxis(off, 0, -1))
    return jnp.where(lags == 0, jnp.ones_like(norms), norms)


def norm(V):
    """The Euclidean norm over the last axis, also of what is so small that its squares are 0."""
    scale = jnp.abs(V).max(-1, keepdims=True)
    return jnp.squeeze(scale, -1) * jnp.linalg.norm(V / jnp.where(scale > 0, scale, 1), axis=-1)
