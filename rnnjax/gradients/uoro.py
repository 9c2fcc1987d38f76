"""Unbiased online recurrent optimisation."""

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, interned
from rnnjax.compose.dropout import Noise
from rnnjax.gradients.noise import sign
from rnnjax.gradients.online import Algorithm, Online, learner
from rnnjax.loops.numbers import vector

TINY = 1e-7


@interned
def uoro(cell: Cell) -> Online:
    """An unbiased estimate of the gradient by a random influence of rank one, at the cost of a step and its derivative.

        J = ∂s/∂θ ≈ u v,   u (m, 1),   v (1, P)
        u' = a (∂s'/∂s) u + b ν,   v' = v / a + νᵀ (∂s'/∂θ) / b,   ν random signs
        a² = |v| / |(∂s'/∂s) u|,   b² = |νᵀ ∂s'/∂θ| / |ν|

    a and b balance the two factors, and make the variance least. It is large, and grows with the lag that credit
    crosses: average over streams, or use a small learning rate.

    Args and result are those of `rtrl`; the signs come from a key: `gradient(params, state, xs, key=key)`, or seed the
    state that goes on: `rnnjax.seed(gradient.start(params, x), key)` (with B streams, `seed(..., key, B)`). Memory is
    O(P + m), and so is the time beside the step's. Raises `ValueError` if there is no key.

    Example:
        >>> import optax
        >>> model = rnnjax.with_loss(rnnjax.gru(3, 4), lambda y, target: optax.l2_loss(y, target).sum())
        >>> params = model.init(jax.random.key(0))
        >>> xs = jnp.ones((7, 3)), jnp.zeros((7, 4))
        >>> loss, grads, state = rnnjax.uoro(model)(params, model.start(params), xs, key=jax.random.key(1))
        >>> bool(jnp.allclose(loss, rnnjax.bptt(model)(params, model.start(params), xs)[0]))
        True

    Tallec & Ollivier 2018, https://arxiv.org/abs/1702.05043
    """

    def begin(step, θ, s):
        return Noise(), jnp.zeros_like(s), jax.tree.map(jnp.zeros_like, θ)

    def follow(step, θ, s, credit):
        noise, u, v = credit
        (after, loss), pull, rest = jax.vjp(step, θ, s, has_aux=True)
        direct, slope = pull((jnp.zeros_like(after), jnp.ones_like(loss)))
        ν, noise = sign("uoro", noise, after)
        pulled, _ = pull((ν, jnp.zeros_like(loss)))
        pushed = jax.jvp(lambda s: step(θ, s)[0][0], (s,), (u,))[1]
        a, b = balance(v, pushed), balance(pulled, ν)
        grads = jax.tree.map(lambda d, v: d + (slope @ u).astype(v.dtype) * v, direct, v)
        v = jax.tree.map(lambda v, p: v / a.astype(v.dtype) + p / b.astype(v.dtype), v, pulled)
        return after, rest, loss, grads, (noise, a.astype(u.dtype) * pushed + b.astype(u.dtype) * ν, v)

    return learner("uoro", cell, Algorithm(begin, follow))


def balance(large, small):
    """√(|large| / |small|), by which two factors of a product come to be of one size; 1 where both are 0."""
    return jnp.sqrt((norm(large) + TINY) / (norm(small) + TINY))


def norm(tree):
    """The Euclidean norm of all numbers of a tree."""
    return jnp.linalg.norm(vector(tree)[0].astype(float))
