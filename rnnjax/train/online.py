"""Learning at every step."""

import jax

from rnnjax.gradients.online import Credited, Online
from rnnjax.train.update import stepped


def online(grad: Online, optimizer):
    """The function `(training, xs, keep=None) -> (training, metrics)`: at each step of xs a gradient and an update.

    Args:
        grad: an online gradient, as `rtrl(cell)`, `snap(cell)`, `uoro(cell)`.
        optimizer: any optax optimizer.

    It takes the place of `update`, is jitted as it is, and gives the metrics of every step, (T,) each. From
    `begin(grad, optimizer, key, x)`, whose x is one step's input, credit goes on from call to call; from the plain
    state of the cell it begins with each call. What an update changes is not undone in the influence, which is of the
    params as they were (the usual approximation of online learning: small steps).

    Example:
        >>> import optax
        >>> from rnnjax.train import begin, online
        >>> model = rnnjax.with_loss(rnnjax.gru(2, 2), lambda y, target: optax.l2_loss(y, target).sum())
        >>> learner, optimizer = rnnjax.rtrl(model), optax.adam(0.03)
        >>> xs = jnp.tile(jnp.eye(2), (100, 1)), 0.5 * jnp.tile(jnp.eye(2)[::-1], (100, 1))
        >>> training = begin(learner, optimizer, jax.random.key(0), (xs[0][0], xs[1][0]))
        >>> training, metrics = online(learner, optimizer)(training, xs)
        >>> bool(metrics.loss[-2:].mean() < 0.1 * metrics.loss[:2].mean()), int(training.step)
        (True, 200)

    Williams & Zipser 1989, https://doi.org/10.1162/neco.1989.1.2.270
    """
    one = stepped(grad, optimizer)

    def run(training, xs, keep=None):
        plain = not isinstance(training.state, Credited)
        if plain:
            first = jax.tree.map(lambda x: x[0], xs)
            training = training._replace(state=grad.begun(training.params, training.state, first))
        singles = jax.tree.map(lambda x: x[:, None], (xs, keep))
        training, metrics = jax.lax.scan(lambda training, x: one(training, *x), training, singles)
        return training._replace(state=training.state.state) if plain else training, metrics

    return jax.jit(run, donate_argnums=0)
