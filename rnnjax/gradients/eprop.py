"""Eligibility propagation."""

from rnnjax.cell import Cell, interned
from rnnjax.gradients.influence import influence
from rnnjax.gradients.local import local
from rnnjax.gradients.online import Online, learner


@interned
def eprop(cell: Cell) -> Online:
    """`rtrl` with eligibility traces in place of the influence: what goes from unit to unit over time is left out.

        e' = (∂s'/∂s)|local e + ∂s'/∂θ,   dL/dθ = (∂L/∂s') e' + ∂L/∂θ

    The local derivative is what a unit keeps of itself without passing through a recurrent product: the forget gate of
    an LSTM's c, z of a GRU's h, a leak. The learning signal ∂L/∂s' goes back through layers and the readout by their
    own weights (symmetric e-prop; see `rflo` for random ones). Cost: O(P) a step of one layer; its params reach all
    units of the layers above, of whose influence as many numbers are kept. Exact for a diagonal recurrence; of a
    vanilla RNN, which keeps nothing of itself, only the credit of the last step is left. Products within a `lax.scan`,
    a branch, or a `custom_jvp` of the step are not seen, and pass credit on.

    Args and result are those of `rtrl`.

    Example:
        >>> import optax
        >>> model = rnnjax.with_loss(rnnjax.lstm(3, 4), lambda y, target: optax.l2_loss(y, target).sum())
        >>> params = model.init(jax.random.key(0))
        >>> xs = jnp.ones((7, 3)), jnp.zeros((7, 4))
        >>> loss, grads, state = rnnjax.eprop(model)(params, model.start(params), xs)
        >>> bool(jnp.allclose(loss, rnnjax.bptt(model)(params, model.start(params), xs)[0]))
        True

    Bellec et al. 2020, https://doi.org/10.1038/s41467-020-17236-y (its supplement has the LSTM)
    """
    return learner("eprop", cell, influence(change=local))
