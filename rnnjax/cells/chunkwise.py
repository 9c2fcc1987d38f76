"""Matrix memories, t steps at once: what they write is read by products over pairs of them, what was there by one more.

Each function takes the state and queries, keys and values (t, ...) of one head, and gives the state after and the ys.
"""

import jax.numpy as jnp

from rnnjax.cell import wide


def peaked(C, d, p, q, k, v, i, log_f):
    """The stabilised memory of `mlstm`, where F is the sum of log f up to each step:

        D_tj = F_t - F_j + i_j for j <= t,   p_t = max(p + F_t, max_j D_tj),   S_tj = exp(D_tj - p_t) k_j q_t
        y_t = (exp(p + F_t - p_t) C q_t + Σ_j S_tj v_j) / max(|exp(p + F_t - p_t) d q_t + Σ_j S_tj|, exp(-p_t))

    so that no exponent is above 0. A step of log f = 0 and i = -∞, which a mask leaves out, changes nothing; p may
    stay at -∞ over such steps.

    Beck et al. 2025, https://arxiv.org/abs/2503.14376
    """
    F, i, p = _summed(log_f), i.astype(wide(i.dtype)), p.astype(wide(p.dtype))
    D = jnp.where(jnp.tri(len(F), dtype=bool), F[:, None] - F[None] + i[None], -jnp.inf)
    most = D.max(1)
    still = most == -jnp.inf
    peak = jnp.where(still, p + F, jnp.maximum(p + F, most))
    finite = jnp.where(peak == -jnp.inf, 0, peak)
    old = jnp.exp(jnp.where(still, 0, p + F - finite)).astype(q.dtype)
    new = jnp.exp(D - finite[:, None]).astype(q.dtype)
    peak = peak.astype(q.dtype)
    scores = new * (q @ k.T)
    read = old[:, None] * (q @ C.T) + scores @ v
    norm = jnp.maximum(jnp.abs(old * (q @ d) + scores.sum(1)), jnp.exp(-jnp.maximum(peak, -80)))
    C = old[-1] * C + (new[-1][:, None] * v).T @ k
    d = old[-1] * d + new[-1] @ k
    return (C, d, peak[-1]), read / norm[:, None]


def fading(S, q, k, v, log_a):
    """The memory S' = diag(a) S + kᵀ v, read as q S', where Λ is the sum of log a up to each step:

        y_t = (q_t exp(Λ_t)) S + Σ_j (q_t exp(Λ_t - Λ_j) · k_j) v_j,   j <= t

    A step of log a = 0 and k = 0 changes nothing. Yang et al. 2024, https://arxiv.org/abs/2312.06635
    """
    Λ = _summed(log_a)
    ys = (q * _exp(Λ, q)) @ S + _recent(q, k, v, Λ)
    return _exp(Λ[-1], S)[:, None] * S + (k * _exp(Λ[-1:] - Λ, k)).T @ v, ys


def _summed(logs):
    """The sums up to each step, of which differences are taken, which 16 bits would not tell apart."""
    return jnp.cumsum(logs, 0, dtype=wide(logs.dtype))


def _exp(x, like):
    return jnp.exp(x).astype(like.dtype)


def _recent(q, k, v, Λ, block=8):
    """The sum over j, in blocks of steps: pairs in a block one by one, and of others j fades up to the block's begin
    and t from there, which is a product. No exponent is above 0."""
    t = len(q)
    whole = ((0, -t % block), (0, 0))
    q, k, v, Λ = jnp.pad(q, whole), jnp.pad(k, whole), jnp.pad(v, whole), jnp.pad(Λ, whole, mode="edge")
    begin = jnp.concatenate([jnp.zeros_like(Λ[:1]), Λ[block - 1 : -1 : block]])[:, None]
    past = jnp.arange(len(q))[None] < block * jnp.arange(len(begin))[:, None]
    faded = k[None] * _exp(jnp.where(past[:, :, None], begin - Λ[None], -jnp.inf), k)
    q, k, values, Λ = (x.reshape(-1, block, x.shape[-1]) for x in (q, k, v, Λ))
    gap = jnp.where(jnp.tri(block, dtype=bool)[None, :, :, None], Λ[:, :, None] - Λ[:, None], -jnp.inf)
    near = jnp.einsum("btk,btjk,bjk->btj", q, _exp(gap, q), k) @ values
    far = jnp.einsum("btk,bjk->btj", q * _exp(Λ - begin, q), faded) @ v
    return (near + far).reshape(-1, v.shape[-1])[:t]
