"""Learning at every step, with credit carried on."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import rnnjax as r
from conftest import SINGLE, T, inputs, m, n, same, squared
from rnnjax.train import begin, online, update


def test_learning_online():
    """`online` is a gradient and an update at each step, credit carried on; and learns what a delay of 3 needs."""
    cell = r.stack(r.gru(1, 8), r.dense(8, 1))
    learner, optimizer = r.rtrl(r.with_loss(cell, squared)), optax.adam(0.01)
    xs = jnp.sign(jnp.asarray(inputs(3000, 1)))
    data = xs, jnp.roll(xs, 3, axis=0)
    first = jax.tree.map(lambda x: x[0], data)
    training = begin(learner, optimizer, jax.random.key(0), first)
    by_hand = begin(learner, optimizer, jax.random.key(0), first)
    step = update(learner, optimizer)
    losses = []
    for t in range(20):
        by_hand, metrics = step(by_hand, jax.tree.map(lambda x: x[t : t + 1], data))
        losses.append(metrics.loss)
    run = online(learner, optimizer)
    training, metrics = run(training, jax.tree.map(lambda x: x[:20], data))
    same((training, metrics.loss), (by_hand, jnp.stack(losses)), rtol=1e-4, atol=1e-6)
    _, metrics = run(training, jax.tree.map(lambda x: x[20:], data))
    assert metrics.loss[-500:].mean() < 0.1 < 0.3 < metrics.loss[:100].mean()


def test_online_from_a_plain_state():
    """From a plain state credit begins with the call, is carried through it, and a plain state comes back."""
    model, optimizer = r.with_loss(r.rnn(n, m), squared), optax.sgd(0.0)
    learner = r.rtrl(model)
    xs = jnp.asarray(inputs(T, n, dtype=np.float32)), jnp.asarray(inputs(T, m, seed=7, dtype=np.float32))
    plain = begin(model, optimizer, jax.random.key(0))
    params = jax.tree.map(jnp.array, plain.params)
    training, metrics = online(learner, optimizer)(plain, xs)
    credited = learner.start(params, (xs[0][0], xs[1][0]))
    norms = []
    for t in range(T):
        _, grads, credited = learner(params, credited, jax.tree.map(lambda x: x[t : t + 1], xs))
        norms.append(optax.tree.norm(grads))
    np.testing.assert_allclose(metrics.gradient, norms, rtol=1e-5)
    same(training.state, credited.state, **SINGLE)
