"""Learning at every step, with credit carried on."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rnnjax as r
from conftest import SINGLE, B, T, inputs, m, n, same, squared
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


@pytest.mark.parametrize("window, stride", [(5, 2), (6, 3), (4, 4), (3, 1)])
def test_updates_every_stride(window, stride):
    """Truncated BPTT with an update every stride, against a Python loop that goes back through the whole window."""
    cell, optimizer, steps = r.gru(n, m), optax.sgd(0.1), 12
    model = r.batch(r.with_loss(r.scan(cell), squared), B)
    grad = r.tbptt(model, window=window, stride=stride)
    xs = [jnp.asarray(inputs(steps, B, k, seed=k, dtype=np.float32)) for k in (n, m)]
    keep = jnp.asarray(np.random.default_rng(0).random((steps, B)) < 0.8)
    training = begin(grad, optimizer, jax.random.key(0), tuple(x[0] for x in xs))
    params, before = training.params, [cell.start(training.params)] * B
    losses = []
    for now in range(stride, steps + 1, stride):
        first = max(0, now - window)

        def objective(params, now=now, first=first, before=before):
            total, after = 0.0, []
            for b in range(B):
                h = before[b]
                for t in range(first, now):
                    h, y = cell.step(params, h, xs[0][t, b]) if keep[t, b] else (h, None)
                    total += squared(y, xs[1][t, b]) if keep[t, b] and t >= now - stride else 0.0
                    if t == max(0, now + stride - window) - 1:
                        after.append(h)
            return total / keep[now - stride : now].sum(), after or before

        (loss, before), slope = jax.value_and_grad(objective, has_aux=True)(params)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, slope)
        losses.append(loss)
    training, metrics = online(grad, optimizer)(training, tuple(xs), keep)
    same((training.params, metrics.loss), (params, jnp.stack(losses)), rtol=1e-4, atol=1e-5)


def test_refused():
    model, optimizer = r.with_loss(r.rnn(n, m), squared), optax.sgd(0.1)
    grad, xs = r.tbptt(model, window=4, stride=2), (jnp.ones((T, n)), jnp.zeros((T, m)))
    training = begin(grad, optimizer, jax.random.key(0), (xs[0][0], xs[1][0]))
    with pytest.raises(
        ValueError, match=r"^online: stride must divide the number of steps, but stride is 2 and xs has 7"
    ):
        online(grad, optimizer)(training, xs)
    with pytest.raises(ValueError, match=r"^tbptt: with a past, xs must have the 2 steps of a stride, but xs has 7"):
        grad(training.params, training.state, xs)
