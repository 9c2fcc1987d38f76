"""Random feedback local online learning."""

import functools

from rnnjax.cell import Cell, interned
from rnnjax.compose.dropout import Shared
from rnnjax.gradients.influence import influence
from rnnjax.gradients.local import local
from rnnjax.gradients.noise import needed
from rnnjax.gradients.online import Algorithm, Online, learner


@interned
def rflo(cell: Cell) -> Online:
    """Local eligibility traces, and learning signals through fixed random matrices in place of the weights' transposes.

        h' = (1 - a) h + a φ(x W + h U + b):   e' = (1 - a) e + a φ'(·) (x, h, 1),   dL/dU = ((∂L/∂y) Bᵀ) e'

    The traces are those of `eprop`, of any cell; every product that comes after the new state (a readout, the layer
    above) passes its learning signal down by a random matrix B of its weight's shape, one for all streams and steps,
    drawn from the key. No unit needs to know the weights of another. The readout's weights have their true gradient.

    Args and result are those of `rtrl`; the key is given as to `uoro`, and stays the same from step to step.

    Example:
        >>> import optax
        >>> model = rnnjax.stack(rnnjax.lstm(3, 4), rnnjax.dense(4, 2))
        >>> model = rnnjax.with_loss(model, lambda y, target: optax.l2_loss(y, target).sum())
        >>> params = model.init(jax.random.key(0))
        >>> xs = jnp.ones((7, 3)), jnp.zeros((7, 2))
        >>> loss, grads, state = rnnjax.rflo(model)(params, model.start(params), xs, key=jax.random.key(1))
        >>> bool(jnp.allclose(loss, rnnjax.bptt(model)(params, model.start(params), xs)[0]))
        True

    Murray 2019, https://doi.org/10.7554/eLife.43299
    """
    traces = influence(change=local)

    def begin(step, θ, s):
        return Shared(), traces.begin(step, θ, s)

    def follow(step, θ, s, credit):
        shared, J = credit
        key = needed("rflo", shared)
        *rest, J = influence(change=functools.partial(local, key=key)).follow(step, θ, s, J)
        return *rest, (shared, J)

    return learner("rflo", cell, Algorithm(begin, follow))
