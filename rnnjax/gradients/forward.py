"""The forward gradient."""

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell, interned
from rnnjax.compose.dropout import Noise
from rnnjax.gradients.noise import sign
from rnnjax.gradients.online import Algorithm, Online, learner


@interned
def forward_gradient(cell: Cell) -> Online:
    """An unbiased estimate of the gradient from its slope in one random direction, by forward differentiation only.

        d = (∂s/∂θ) v,   dL/dθ ≈ (dL/dv) v,   v random signs, one for each param, drawn before the first step

    No reverse pass, no Jacobian, no memory but v and d: an online learner in 2 to 3 times the cost of the cell itself,
    with any cell that has a forward derivative (a `custom_vjp` has none). Its variance is (P - 1) |dL/dθ|², where
    `uoro`'s grows with the lag that credit crosses and not with P. It is the measure that every other unbiased estimate
    has to beat, and in that role research needs it here.

    Args and result are those of `rtrl`; the key is given as to `uoro`. The direction stays the same for as long as the
    state goes on: `rnnjax.seed` it again, from a new start, for another.

    Example:
        >>> import optax
        >>> model = rnnjax.with_loss(rnnjax.gru(3, 4), lambda y, target: optax.l2_loss(y, target).sum())
        >>> params = model.init(jax.random.key(0))
        >>> xs = jnp.ones((7, 3)), jnp.zeros((7, 4))
        >>> loss, grads, state = rnnjax.forward_gradient(model)(params, model.start(params), xs, key=jax.random.key(1))
        >>> bool(jnp.allclose(loss, rnnjax.bptt(model)(params, model.start(params), xs)[0]))
        True

    Baydin et al. 2022, https://arxiv.org/abs/2202.08587; for recurrent networks Silver et al. 2022,
    https://openreview.net/forum?id=5i7lJLuhTm
    """

    def begin(step, θ, s):
        return Noise(), jax.tree.map(jnp.zeros_like, θ), jnp.zeros_like(s)

    def follow(step, θ, s, credit):
        noise, v, d = credit

        def drawn():
            return sign("forward_gradient", noise, θ)[0], jnp.zeros_like(d)

        v, d = jax.lax.cond(noise.step == 0, drawn, lambda: (v, d))
        (s, loss), (d, slope), rest = jax.jvp(step, (θ, s), (v, d), has_aux=True)
        grads = jax.tree.map(lambda v: slope.astype(v.dtype) * v, v)
        return s, rest, loss, grads, (Noise(noise.key, noise.step + 1), v, d)

    return learner("forward_gradient", cell, Algorithm(begin, follow))
