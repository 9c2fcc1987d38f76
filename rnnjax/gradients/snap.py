"""The sparse n-step approximation of real-time recurrent learning."""

from rnnjax.cell import Cell, interned, sizes
from rnnjax.gradients.influence import influence
from rnnjax.gradients.online import Online, learner


@interned
def snap(cell: Cell, n: int = 1) -> Online:
    """`rtrl` with the influence J = ∂s/∂θ kept only where a param reaches a number of the state within n steps.

        J' = ((∂s'/∂s) J + ∂s'/∂θ) * mask,   mask: where ∂s'/∂θ, for n = 2 also (∂s'/∂s) ∂s'/∂θ, ... can be non-zero

    The mask is read from the equations of the step. For n = 1 each param of one layer's gate reaches its own unit only
    (and all units of the layers above), and the cost is O(P) a step beside that of ∂s'/∂s; a densely connected cell is
    whole at n = 2 (with a sparse U it would not be), and SnAp-n is then `rtrl`. Biased, but without noise, and it
    carries credit over any lag that a unit's memory of itself spans.

    Args and result are those of `rtrl`; n: steps, at least 1.

    Example:
        >>> import optax
        >>> model = rnnjax.with_loss(rnnjax.gru(3, 4), lambda y, target: optax.l2_loss(y, target).sum())
        >>> params = model.init(jax.random.key(0))
        >>> xs = jnp.ones((7, 3)), jnp.zeros((7, 4))
        >>> loss, grads, state = rnnjax.snap(model, 1)(params, model.start(params), xs)
        >>> bool(jnp.allclose(loss, rnnjax.bptt(model)(params, model.start(params), xs)[0]))
        True

    Menick et al. 2021, https://arxiv.org/abs/2006.07232
    """
    sizes("snap", n=n)
    return learner("snap", cell, influence(n))
