"""Learning at every step."""

import jax
import optax

from rnnjax.gradients.bptt import some
from rnnjax.gradients.lookback import Truncated
from rnnjax.gradients.online import Credited, Online
from rnnjax.loops.carry import steps
from rnnjax.train.update import Update, stepped


def online(grad: Online | Truncated, optimizer: optax.GradientTransformation) -> Update:
    """The function `(training, xs, keep=None) -> (training, metrics)`: at each step of xs a gradient and an update.

    Args:
        grad: an online gradient, as `rtrl(cell)`, `snap(cell)`, `uoro(cell)`; or `tbptt(cell, window=..., stride=...)`,
            with which there is an update every `stride` steps, whose gradient flows back `window` steps.
        optimizer: any optax optimizer.

    It takes the place of `update`, is jitted as it is, and gives the metrics of every update, (T / stride,) each. From
    `begin(grad, optimizer, key, x)`, whose x is one step's input, credit goes on from call to call; from the plain
    state of the cell it begins with each call. What an update changes is not undone in an influence, which is of the
    params as they were (the usual approximation of online learning: small steps). Raises `ValueError` if stride does
    not divide T.

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
        T = steps("online", xs)
        some("online", T)
        if T % grad.stride:
            raise ValueError(
                f"online: stride must divide the number of steps, but stride is {grad.stride} and xs has {T} steps. "
                "Leave the rest for the next call."
            )
        plain = not isinstance(training.state, Credited)
        if plain:
            first = jax.tree.map(lambda x: x[0], xs)
            training = training._replace(state=grad.begun(training.params, training.state, first))
        strides = jax.tree.map(lambda x: x.reshape(-1, grad.stride, *x.shape[1:]), (xs, keep))
        training, metrics = jax.lax.scan(lambda training, x: one(training, *x), training, strides)
        return training._replace(state=training.state.state) if plain else training, metrics

    return jax.jit(run, donate_argnums=0)
