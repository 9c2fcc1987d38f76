"""Where credit flows: `bptt` is the derivative, `tbptt` the truncated one built by hand, and each compiles once."""

import functools

import equations
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import rnnjax as r
from conftest import (
    CELLS,
    EXACT,
    GRADIENTS,
    LENGTHS,
    B,
    T,
    by_hand,
    crossed,
    differences,
    inputs,
    m,
    n,
    params_of,
    same,
    squared,
    state_of,
)

LONG = 19  # divided by no window here but 1 and itself
TRUNCATIONS = [(1, 1), *((7, stride) for stride in range(1, 8)), (LONG, 1), (LONG, 8), (LONG, LONG), (30, 30), (30, 4)]


def width(cell):
    return jax.eval_shape(lambda: cell.step(params_of(cell), cell.start(params_of(cell)), jnp.zeros(n)))[1].shape[0]


def problem(cell, steps=T, batch=()):
    """Params, a random state, and (xs, targets)."""
    params = params_of(cell)
    state = state_of(r.batch(cell, *batch) if batch else cell, params)
    return (
        params,
        state,
        (jnp.asarray(inputs(steps, *batch, n)), jnp.asarray(inputs(steps, *batch, width(cell), seed=7))),
    )


# bptt


@functools.cache
def through_python(name):
    """The loss, gradient and last state of a Python loop, by `jax.grad` alone."""
    cell = CELLS[name]
    params, state, (xs, targets) = problem(cell)

    def objective(params):
        after, ys = by_hand(cell, params, state, xs)
        return sum(squared(y, t) for y, t in zip(ys, targets)) / T, after

    (loss, after), grads = jax.jit(jax.value_and_grad(objective, has_aux=True))(params)
    return loss, grads, after


@pytest.mark.parametrize("name, gradient", crossed(GRADIENTS))
def test_exact_gradients(name, gradient):
    """Gradients that are exact on T steps are that of the Python loop."""
    model = r.with_loss(r.scan(CELLS[name]), squared)
    same(jax.jit(GRADIENTS[gradient](model))(*problem(CELLS[name])), through_python(name), **EXACT)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_numpy_goes_in_without_jit(gradient):
    model = r.with_loss(r.scan(CELLS["rnn"]), squared)
    params, state, xs = problem(CELLS["rnn"])
    same(GRADIENTS[gradient](model)(params, state, jax.tree.map(np.asarray, xs)), through_python("rnn"), **EXACT)


@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_bptt_by_differences(name):
    """The gradient is the slope of the loss."""
    model = r.with_loss(CELLS[name], squared)  # of one step: bptt scans it
    params, state, xs = problem(CELLS[name])
    run = jax.jit(r.bptt(model))
    _, grads, _ = run(params, state, xs)
    at, unravel = ravel_pytree(params)
    numeric = differences(lambda vector: run(unravel(vector), state, xs)[0], at)
    np.testing.assert_allclose(ravel_pytree(grads)[0], numeric, rtol=1e-6, atol=1e-8)


MASKS = {
    "all": np.ones((T, B), bool),
    "padding": np.arange(T)[:, None] < LENGTHS,
    "holes": np.random.default_rng(1).random((T, B)) < 0.6,
    "nothing": np.zeros((T, B), bool),
}


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_batched_and_masked(gradient):
    """In a batch the mean is over the real steps of all streams, 0 if there is none; exact gradients agree on it."""
    model = r.batch(r.with_loss(r.scan(CELLS["rnn"]), squared), B)
    params, state, xs = problem(CELLS["rnn"], T, (B,))
    run = jax.jit(GRADIENTS[gradient](model))
    for name, keep in MASKS.items():
        same(run(params, state, xs, jnp.asarray(keep)), stream_by_stream(name), **EXACT)


@functools.cache
def stream_by_stream(name):
    """The mean over the real steps of all streams, from Python loops over those steps and no others."""
    cell, keep = CELLS["rnn"], MASKS[name]
    params, state, xs = problem(cell, T, (B,))

    def objective(params):
        total, afters = jnp.zeros(()), []
        for b in range(B):
            after = jax.tree.map(lambda s: s[b], state)
            for t in np.flatnonzero(keep[:, b]):
                after, y = cell.step(params, after, xs[0][t, b])
                total += squared(y, xs[1][t, b])
            afters.append(after)
        return total / max(int(keep.sum()), 1), jax.tree.map(lambda *s: jnp.stack(s), *afters)

    (loss, after), grads = jax.value_and_grad(objective, has_aux=True)(params)
    return loss, grads, after


# the truncated gradient, built by hand


def truncated(params, h, xs, targets, window, stride, kept):
    """Truncated BPTT of a tanh RNN in NumPy: the chain rule, one loss and one step back at a time.

    The loss at t belongs to the block that begins at s = t - t % stride, whose window is the `window` steps that end
    with the block. Its credit goes back from t, by the Jacobian of each step, to the window's first and no farther.
    """
    W, U, _ = map(np.asarray, params)
    states, losses = [np.asarray(h)], []
    slopes = [np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))]
    for x, target, real in zip(xs, targets, kept):
        states.append(equations.rnn(params, states[-1], [x])[0] if real else states[-1])
        losses.append(0.5 * np.sum((states[-1] - target) ** 2) * real)
    for t in np.flatnonzero(kept):
        credit = states[t + 1] - targets[t]
        first = t - t % stride + stride - window
        for k in range(t, max(first, 0) - 1, -1):
            if not kept[k]:
                continue
            inner = credit * (1 - states[k + 1] ** 2)
            slopes[0] += np.outer(xs[k], inner)
            slopes[1] += np.outer(states[k], inner)
            slopes[2] += inner
            jacobian = np.diag(1 - states[k + 1] ** 2) @ U.T  # d states[k+1] / d states[k]
            credit = credit @ jacobian
    count = max(sum(kept), 1)
    return np.sum(losses) / count, r.RNNParams(*(slope / count for slope in slopes)), states[-1]


@pytest.mark.parametrize("window, stride", TRUNCATIONS)
def test_tbptt(window, stride):
    """Loss, gradient and state are those of the chain rule cut by hand, with and without a mask."""
    cell = CELLS["rnn"]
    params, state, xs = problem(cell, LONG)
    holes = np.random.default_rng(5).random(LONG) < 0.7
    gradient = r.tbptt(r.with_loss(cell, squared), window=window, stride=stride)
    run = jax.jit(gradient)
    arrays = params, state, *map(np.asarray, xs), window, stride
    for kept in np.ones(LONG, bool), holes:
        same(run(params, state, xs, jnp.asarray(kept)), truncated(*arrays, kept), **EXACT)
    if (window, stride) in ((7, 7), (7, 3)):
        same(jax.jit(gradient)(params, state, xs), truncated(*arrays, np.ones(LONG, bool)), **EXACT)


def test_truncation_matters():
    """The truncated gradient is another than the whole one, and the more so the shorter the window."""
    model = r.with_loss(CELLS["rnn"], squared)
    args = problem(CELLS["rnn"], LONG)
    loss, exact, after = jax.jit(r.bptt(model))(*args)
    far = []
    for window in 1, 4, LONG:
        its_loss, grads, its_after = jax.jit(r.tbptt(model, window=window, stride=1))(*args)
        same((its_loss, its_after), (loss, after), **EXACT)
        far.append(np.linalg.norm(ravel_pytree(grads)[0] - ravel_pytree(exact)[0]))
    assert far[0] > 2 * far[1] > 0.01 and far[2] < 1e-12


@pytest.mark.parametrize("window, stride", [(1, 1), (7, 7), (7, 3)])
def test_tbptt_by_differences(window, stride):
    """With the state at each window's start frozen, the truncated gradient of a gated cell is a plain slope."""
    cell = CELLS["gru"]
    params, state, (xs, targets) = problem(cell, LONG)
    at, unravel = ravel_pytree(params)
    _, grads, _ = jax.jit(r.tbptt(r.with_loss(cell, squared), window=window, stride=stride))(
        params, state, (xs, targets)
    )
    xs, targets, hs = np.asarray(xs), np.asarray(targets), [np.asarray(state)]
    for x in xs:
        hs.append(equations.gru(params, hs[-1], [x])[0])

    def frozen(vector):
        params, total = jax.tree.map(np.asarray, unravel(jnp.asarray(vector))), 0.0
        for block in range(0, LONG, stride):
            first = max(block + stride - window, 0)
            _, ys = equations.gru(params, hs[first], xs[first : block + stride])
            new = ys[block - first :]
            total += 0.5 * np.sum((new - targets[block : block + stride]) ** 2)
        return total / LONG

    np.testing.assert_allclose(ravel_pytree(grads)[0], differences(frozen, np.asarray(at)), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("stride", [7, 3])
def test_tbptt_of_a_batch(stride):
    """A batch's truncated gradient is the mean of its streams', weighted by their real steps; any loop serves."""
    cell = r.deep(r.gru, n, m, loop=r.checkpointed)
    one = r.with_loss(cell, squared)
    model = r.batch(one, B)
    params = params_of(model)
    state, xs = state_of(model, params), (jnp.asarray(inputs(LONG, B, n)), jnp.asarray(inputs(LONG, B, m, seed=7)))
    keep = jnp.asarray(np.arange(LONG)[:, None] < np.array([LONG, 0, 1, 8, 13]))
    loss, grads, after = jax.jit(r.tbptt(model, window=7, stride=stride))(params, state, xs, keep)
    alone = jax.jit(r.tbptt(one, window=7, stride=stride))
    total, slopes, number = 0.0, jax.tree.map(jnp.zeros_like, params), int(keep.sum())
    for b in range(B):
        its = [jax.tree.map(lambda s: s[b], state), jax.tree.map(lambda x: x[:, b], xs), keep[:, b]]
        its_loss, its_grads, its_after = alone(params, *its)
        weight = int(keep[:, b].sum()) / number
        total += its_loss * weight
        slopes = jax.tree.map(lambda s, g: s + g * weight, slopes, its_grads)
        same(its_after, jax.tree.map(lambda s: s[b], after), **EXACT)
    same((loss, grads), (total, slopes), **EXACT)


def test_tbptt_with_dropout():
    """A step that windows share draws the same in each: loss and state are bptt's, and so is a whole gradient."""
    model = r.with_loss(r.stack(r.scan(r.rnn(n, m)), r.dropout(0.5)), squared)
    params = params_of(model)
    xs = jnp.asarray(inputs(T, n)), jnp.asarray(inputs(T, m, seed=7))
    state = r.seed(model.start(params), jax.random.PRNGKey(3))
    loss, grads, after = jax.jit(r.bptt(model))(params, state, xs)
    for window, stride in (4, 3), (T + 3, 3):
        its = jax.jit(r.tbptt(model, window=window, stride=stride))(params, state, xs)
        same((its[0], its[2]), (loss, after), **EXACT)
    same(its[1], grads, **EXACT)


def test_tbptt_keeps_one_window():
    """A long run's truncated gradient takes no more memory with more windows."""
    model = r.with_loss(r.scan(r.lstm(n, 8)), squared)
    params = params_of(model)

    def memory(gradient, steps):
        xs = jax.ShapeDtypeStruct((steps, n), float), jax.ShapeDtypeStruct((steps, 8), float)
        program = jax.jit(gradient).lower(params, model.start(params), xs).compile()
        return program.memory_analysis().temp_size_in_bytes

    short, long = (memory(r.tbptt(model, window=20), steps) for steps in (100, 10_000))
    assert long < 2 * short < memory(r.bptt(model), 10_000) / 20


@pytest.mark.parametrize(
    "gradient", [r.bptt, functools.partial(r.tbptt, window=4, stride=3), r.rtrl], ids=["bptt", "tbptt", "rtrl"]
)
def test_one_compile(gradient):
    """Many calls, with the state carried on and cells built anew, compile once."""
    traces = []

    def loss(y, target):
        traces.append(y)
        return squared(y, target)

    def build():
        return gradient(r.batch(r.with_loss(r.stack(r.scan(r.gru(n, m)), r.dense(m, 2)), loss), B))

    run = jax.jit(lambda gradient, *args: gradient(*args), static_argnums=0)
    model = r.batch(r.stack(r.scan(r.gru(n, m)), r.dense(m, 2)), B)
    params = params_of(model)
    state, xs = model.start(params), (jnp.asarray(inputs(T, B, n)), jnp.asarray(inputs(T, B, 2)))
    _, grads, state = run(build(), params, state, xs)
    once = len(traces)
    for _ in range(5):
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
        _, grads, state = run(build(), params, state, xs)
    assert len(traces) == once <= 8
