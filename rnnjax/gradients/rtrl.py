"""Real-time recurrent learning."""

from rnnjax.cell import Cell, interned
from rnnjax.gradients.influence import influence
from rnnjax.gradients.online import Online, learner


@interned
def rtrl(cell: Cell) -> Online:
    """The exact gradient, forward in time: known at every step, in memory that does not grow with their number.

        J' = (∂s'/∂s) J + ∂s'/∂θ,   J = ∂s/∂θ (m, P)
        dL/dθ = (∂L/∂s) J + ∂L/∂θ at each step

    Of J only those numbers are kept that can be other than zero, which is read from the equations of the step: where
    each unit has only itself in its recurrence (a diagonal ∂s'/∂s, as of a gated linear unit), J is as large as θ, and
    a step costs O(P); of two layers, the params of the upper have no influence on the lower. A densely connected layer
    of m units with P params takes m P numbers and m² P operations a step. In a batch, every stream has its own J.

    Args:
        cell: a cell with a loss, as for `bptt`, whose steps follow one another (not bidirectional).

    Returns an `Online` gradient: `gradient(params, state, xs, keep=None) -> (loss, grads, state)`, equal to that of
    `bptt`. To learn at every step, see `rnnjax.train.online`.

    Example:
        >>> import optax
        >>> model = rnnjax.with_loss(rnnjax.gru(3, 4), lambda y, target: optax.l2_loss(y, target).sum())
        >>> params = model.init(jax.random.key(0))
        >>> xs = jnp.ones((7, 3)), jnp.zeros((7, 4))
        >>> loss, grads, state = rnnjax.rtrl(model)(params, model.start(params), xs)
        >>> _, exact, _ = rnnjax.bptt(model)(params, model.start(params), xs)
        >>> all(jax.tree.leaves(jax.tree.map(lambda a, b: jnp.allclose(a, b, atol=1e-6), grads, exact)))
        True

    Williams & Zipser 1989, https://doi.org/10.1162/neco.1989.1.2.270; diagonal recurrences: Zucchet et al. 2023,
    https://arxiv.org/abs/2305.15947
    """
    return learner("rtrl", cell, influence())
