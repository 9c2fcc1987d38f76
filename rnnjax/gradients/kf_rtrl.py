"""Kronecker-factored real-time recurrent learning."""

import functools

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, interned
from rnnjax.compose.dropout import Noise
from rnnjax.gradients.kronecker import slope, tapped
from rnnjax.gradients.noise import sign
from rnnjax.gradients.online import Algorithm, Online, learner
from rnnjax.gradients.uoro import balance


@interned
def kf_rtrl(cell: Cell) -> Online:
    """An unbiased estimate of the gradient by an influence that is a Kronecker product, of less variance than `uoro`.

        J = ∂s/∂(W, U, b) ≈ u ⊗ A,   u (a,), A (m, k), for each sum z = x W + h U + b, of size k, with û = (x, h, 1)
        u' = p σ u + q τ û,   A' = (σ/p) (∂s'/∂s) A + (τ/q) ∂s'/∂z,   σ, τ random signs
        p² = |(∂s'/∂s) A| / |u|,   q² = |∂s'/∂z| / |û|

    The sums are found in the equations of the step: one for a vanilla RNN or an LSTM, three for a GRU (its W, its U,
    and the bias inside the reset). Every param that the state waits for must enter by one product with a vector or be
    one term of such a sum; of any other cell (an embedding, a weight used twice, an elementwise one) a `ValueError`
    tells the param. Memory is O(m k), time O(m² k) a step, for P = a k params.

    Args and result are those of `rtrl`; the key is given as to `uoro`.

    Example:
        >>> import optax
        >>> model = rnnjax.with_loss(rnnjax.gru(3, 4), lambda y, target: optax.l2_loss(y, target).sum())
        >>> params = model.init(jax.random.key(0))
        >>> xs = jnp.ones((7, 3)), jnp.zeros((7, 4))
        >>> loss, grads, state = rnnjax.kf_rtrl(model)(params, model.start(params), xs, key=jax.random.key(1))
        >>> bool(jnp.allclose(loss, rnnjax.bptt(model)(params, model.start(params), xs)[0]))
        True

    Mujika et al. 2018, https://arxiv.org/abs/1805.10842
    """

    def factors_of(step, θ, s):
        found = []
        jax.eval_shape(functools.partial(step, change=lambda inner: tapped(inner, found=found)), θ, s)
        return found

    def begin(step, θ, s):
        sizes = [(sum(f.lengths()), f.z.aval) for f in factors_of(step, θ, s)]
        return Noise(), [(jnp.zeros(a, z.dtype), jnp.zeros((s.size, z.size), z.dtype)) for a, z in sizes]

    def follow(step, θ, s, credit):
        noise, pairs = credit
        factors = factors_of(step, θ, s)
        taps = [jnp.zeros(f.z.aval.shape, f.z.aval.dtype) for f in factors]

        def run(taps, θ, s):
            return step(θ, s, change=lambda inner: tapped(inner, taps))

        (full, loss), pull, (rest, vectors) = jax.vjp(run, taps, θ, s, has_aux=True)
        _, grads, credit = pull((jnp.zeros_like(full), jnp.ones_like(loss)))
        rows = jnp.where(jnp.eye(s.size, full.size, dtype=bool), jnp.ones_like(full)[None], 0)
        direct, _, by_state = jax.vmap(lambda row: pull((row, jnp.zeros_like(loss))))(rows)
        signs, noise = sign("kf_rtrl", noise, [jnp.zeros(2, u.dtype) for u, _ in pairs])
        later = []
        for (u, A), û, D, (σ, τ) in zip(pairs, vectors, direct, signs):
            D = D.astype(A.dtype)
            pushed = by_state.astype(A.dtype) @ A
            p, q = (balance(*pair).astype(u.dtype) for pair in ((pushed, u), (D, û)))
            later.append((σ * p * u + τ * q * û, σ / p * pushed + τ / q * D))
        grads = slope(factors, pairs, credit, grads)
        return full[: s.size], rest, loss, grads, (noise, later)

    return learner("kf_rtrl", cell, Algorithm(begin, follow))
