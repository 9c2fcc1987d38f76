"""A damped Newton step as a Kalman filter: the last states are noisy observations of the next."""

import jax
import jax.numpy as jnp


def damped(jacobian, J, b, λ, P):
    """The recurrence (J', b') whose d are the filter's means, and the covariance after its last step.

        d' = J d + b + N(0, 1),   0 = d' + N(0, 1/λ)
        Q = J P Jᵀ + 1
        J' = (1 + λ Q)⁻¹ J,   b' = (1 + λ Q)⁻¹ b,   P' = (1 + λ Q)⁻¹ Q

    The larger λ, the smaller the steps d away from the last states. The covariances P do not wait for d, and are an
    associative recurrence of their own.

    Särkkä & García-Fernández 2021, https://arxiv.org/abs/1905.13002
    """
    times, flipped, under = jacobian.times, jacobian.flipped, jacobian.under
    one = jacobian.one(b.shape[-1], b.dtype)

    def begin(J):
        return J / (1 + λ), one / (1 + λ), times(flipped(J), J) * (λ / (1 + λ))

    def after(element, P):
        A, C, G = element
        return times(times(A, under(one + times(P, G), P)), flipped(A)) + C

    def compose(first, second):
        A, C, G = first
        B, _, H = second
        back = times(flipped(A), under(one + times(H, C), H))
        return times(B, under(one + times(C, H), A)), after(second, C), times(back, A) + G

    def filtered(J, b, P):
        shrink = under(one + λ * (times(times(J, P), flipped(J)) + one), one)
        return times(shrink, J), jacobian.on(shrink, b)

    elements = jax.lax.associative_scan(jax.vmap(compose), jax.vmap(begin)(J))
    covariances = jnp.concatenate([P[None], jax.vmap(after, (0, None))(elements, P)])
    return *jax.vmap(filtered)(J, b, covariances[:-1]), covariances[-1]
