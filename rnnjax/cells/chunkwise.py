"""Matrix memories, some steps at once: what is written is read by products over pairs of steps, and C once, as it was.

All functions take one head's queries, keys and values (t, ...), and give the state after them and the outputs.
"""

import jax.numpy as jnp


def peaked(C, d, p, q, k, v, i, log_f):
    """The stabilised memory of `mlstm`, where F is the sum of log f up to each step:

        D_tj = F_t - F_j + i_j for j <= t,   p_t = max(p + F_t, max_j D_tj),   S_tj = exp(D_tj - p_t) k_j q_t
        y_t = (exp(p + F_t - p_t) C q_t + Σ_j S_tj v_j) / max(|exp(p + F_t - p_t) d q_t + Σ_j S_tj|, exp(-p_t))

    A step whose log f is 0 and i is -∞ changes nothing. Until there is another, p may be -∞.
    """
    F = jnp.cumsum(log_f)
    D = jnp.where(jnp.tri(len(F), dtype=bool), F[:, None] - F[None] + i[None], -jnp.inf)
    most = D.max(1)
    still = most == -jnp.inf
    peak = jnp.where(still, p + F, jnp.maximum(p + F, most))
    finite = jnp.where(peak == -jnp.inf, 0, peak)
    old = jnp.exp(jnp.where(still, 0, p + F - finite))
    new = jnp.exp(D - finite[:, None])
    scores = new * (q @ k.T)
    read = old[:, None] * (q @ C.T) + scores @ v
    norm = jnp.maximum(jnp.abs(old * (q @ d) + scores.sum(1)), jnp.exp(-jnp.maximum(peak, -80)))
    C = old[-1] * C + (new[-1][:, None] * v).T @ k
    d = old[-1] * d + new[-1] @ k
    return (C, d, peak[-1]), read / norm[:, None]


def fading(S, q, k, v, log_a):
    """The memory S' = diag(a) S + kᵀ v, read as q S', where Λ is the sum of log a up to each step:

        y_t = (q_t exp(Λ_t)) S + Σ_j (q_t exp(Λ_t - Λ_j) · k_j) v_j,   j <= t
    """
    Λ = jnp.cumsum(log_a, 0)
    ys = (q * jnp.exp(Λ)) @ S + _faded(q, k, Λ) @ v
    return jnp.exp(Λ[-1])[:, None] * S + (k * jnp.exp(Λ[-1:] - Λ)).T @ v, ys


def _faded(q, k, Λ):
    """q_t exp(Λ_t - Λ_j) · k_j for all j <= t, else 0. Of pairs across the middle both sides fade from or to it, so
    that it is a product, and no exponent is above 0."""
    t = len(q)
    if t <= LEAF:
        gap = jnp.where(jnp.tri(t, dtype=bool)[:, :, None], Λ[:, None] - Λ[None], -jnp.inf)
        return jnp.einsum("tk,tjk,jk->tj", q, jnp.exp(gap), k)
    h = t // 2
    middle = Λ[h - 1 : h]
    across = (q[h:] * jnp.exp(Λ[h:] - middle)) @ (k[:h] * jnp.exp(middle - Λ[:h])).T
    first, last = _faded(q[:h], k[:h], Λ[:h]), _faded(q[h:], k[h:], Λ[h:])
    return jnp.block([[first, jnp.zeros_like(across.T)], [across, last]])


LEAF = 8
