"""Resets: each episode as if it were alone, in value and gradient, whatever the loop."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as r
from conftest import EXACT, B, T, by_hand, inputs, m, mingru, n, outcome, params_of, same, squared, state_of

KEY = jax.random.PRNGKey
RESETS = np.array([False, True, False, False, True, True, False])
KEEP = np.array([True, True, False, True, True, False, True])  # the last of the resets is left out


def learned(cell):
    """A cell whose state begins with its biases."""

    def start(params):
        return jax.tree.map(lambda s: s + params.b[: s.size] if s.ndim else s, cell.start(params))

    return cell._replace(start=start)


def counting():
    """A whole number in the state."""

    def step(W, state, x):
        count, h = state
        h = jnp.tanh(x @ W + h) * count.astype(W.dtype)
        return (count + 1, h), h

    return r.Cell(lambda key: jnp.zeros((n, m)), lambda W: (jnp.int32(3), 0.5 * W[0]), step)


def leaking():
    """Affine, from a start that is learned, with rates that do not wait for x."""

    def affine(params, x):
        rate, W, _ = params
        return jax.nn.sigmoid(rate), x @ W

    def step(params, h, x):
        a, b = affine(params, x)
        return a * h + b, a * h + b

    def init(key):
        return jnp.zeros(m), jnp.zeros((n, m)), jnp.zeros(m)

    return r.Cell(init, lambda params: params[2], step, affine=affine)


CELLS = {
    "lstm": learned(r.lstm(n, m)),
    "counting": counting(),
    "stack": r.stack(learned(r.rnn(n, m)), r.skip(r.rnn(m, 2))),
    "mingru": mingru(n, m),
    "leaking": leaking(),
}
LOOPS = {
    "lstm": ({}, dict(loop=r.rolled), dict(loop=r.checkpointed, segments=3), dict(loop=r.checkpointed, snapshots=2)),
    "counting": ({}, dict(loop=r.rolled)),
    "stack": ({}, dict(loop=r.rolled)),
    "mingru": ({}, dict(loop=r.associative)),
    "leaking": ({}, dict(loop=r.associative)),
}


def problem(cell, *shape):
    params = params_of(cell)
    like = r.batch(cell, shape[0]) if shape else cell
    state = state_of(like, params)
    if "counting" in repr(cell):
        state = jnp.full(shape, 5, jnp.int32), state[1]
    return params, state, jnp.asarray(inputs(T, *shape, n))


def episodes(cell, params, state, xs, resets=RESETS, keep=(True,) * T, reverse=False):
    """Each episode by itself, from its first step to before the next one's, from the cell's start."""
    order = [t for t in (reversed(range(T)) if reverse else range(T)) if keep[t]]
    parts = [[]]
    for t in order:
        if resets[t]:
            parts.append([])
        parts[-1].append(t)
    outs = {}
    for k, part in enumerate(parts):
        if k > 0:
            state = cell.start(params)
        if part:
            state, ys = by_hand(cell, params, state, xs[np.array(part)])
            outs |= zip(part, ys)
    return state, jnp.stack([outs.get(t, jnp.zeros_like(outs[order[0]])) for t in range(T)])


@pytest.mark.parametrize("masked", [pytest.param(False, marks=pytest.mark.slow), True], ids=["", "masked"])
@pytest.mark.parametrize("name", CELLS)
def test_episodes(name, masked):
    """In every loop, both ways: the gradients too, those of what the cell begins with among them."""
    cell, keep = CELLS[name], KEEP if masked else np.ones(T, bool)
    args, mask = problem(cell), (jnp.asarray(keep),) if masked else ()
    for reverse in False, True:
        reference = functools.partial(episodes, cell, keep=keep, reverse=reverse)
        expected = jax.jit(functools.partial(outcome, reference))(*args)
        for options in LOOPS[name]:
            step = r.scan(r.resettable(cell), reverse=reverse, **options).step
            run = functools.partial(outcome, lambda params, state, xs: step(params, state, (xs, RESETS), *mask))
            same(jax.jit(run)(*args), expected, **EXACT)


@pytest.mark.parametrize("name", ["counting", "leaking"])
def test_batches(name):
    """Each stream has its own resets (T, B) and length: batch(scan) == scan(batch) == `apply`, with any padding."""
    cell = CELLS[name]
    resets, lengths = np.random.default_rng(0).random((T, B)) < 0.3, np.array([T, 0, 3, 1, T])
    keep = np.arange(T)[:, None] < lengths
    model = r.resettable(cell)
    args = problem(cell, B)

    def run(model, params, state, xs):
        return model.step(params, state, (xs, jnp.asarray(resets)), jnp.asarray(keep))

    def major(params, state, xs):
        padded = jnp.where(keep[..., None], xs, jnp.nan), jnp.where(keep, resets, True)
        padded = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), padded)
        state, ys = r.apply(model, params, padded, state=state, lengths=lengths)
        return state, jnp.swapaxes(ys, 0, 1)

    forms = [functools.partial(run, its) for its in (r.scan(r.batch(model, B)), r.batch(r.scan(model), B))]
    first, *others = (jax.jit(functools.partial(outcome, form))(*args) for form in (*forms, major))
    for other in others:
        same(other, first, **EXACT)
    for b in np.flatnonzero(lengths):
        alone = args[0], jax.tree.map(lambda s: s[b], args[1]), args[2][:, b]
        expected = episodes(cell, *alone, resets=resets[:, b], keep=keep[:, b])
        same((jax.tree.map(lambda s: s[b], first[0][0]), first[0][1][:, b]), expected, **EXACT)


@pytest.mark.parametrize("name", ["mingru", "leaking"])
def test_promise(name):
    """`affine` is `step`, at a reset and between."""
    for reset in True, False:
        r.check(r.resettable(CELLS[name]), (jnp.asarray(inputs(n)), jnp.array(reset)))
    assert r.resettable(r.gru(n, m)).affine is None


def test_noise_goes_on():
    """A seeded cell draws at a reset what it would have drawn without, and its count is that of its steps."""
    cell = r.stack(r.dropout(0.5), r.rnn(n, m), r.dropout(0.3))
    params, xs = params_of(cell), jnp.asarray(inputs(T, n))
    noisy = r.seed(cell.start(params), KEY(0))
    state, reference = noisy, []
    for t in range(T):
        state = (state[0], jnp.zeros(m), state[2]) if RESETS[t] and KEEP[t] else state
        after, y = cell.step(params, state, xs[t])
        state = after if KEEP[t] else state
        reference.append(y if KEEP[t] else jnp.zeros_like(y))
    for loop in r.deferred, r.rolled:
        model = r.scan(r.resettable(cell), loop)
        got = model.step(params, noisy, (xs, jnp.asarray(RESETS)), jnp.asarray(KEEP))
        same(got, (state, jnp.stack(reference)), **EXACT)
    assert int(got[0][0].step) == KEEP.sum() and np.any(got[1][0] == 0)
    silent, _ = model.step(params, cell.start(params), (xs, jnp.asarray(RESETS)))
    assert silent[0] == r.Noise()


def test_no_resets():
    """Nothing else than the cell."""
    cell = CELLS["lstm"]
    args = problem(cell)
    _, ys = r.scan(r.resettable(cell)).step(*args[:2], (args[2], jnp.zeros(T, bool)))
    same(ys, by_hand(cell, *args)[1], **EXACT)


@pytest.mark.parametrize("name", ["lstm", "leaking"])
def test_forward_in_time(name):
    """Influence is cut where the state is: `rtrl` is `bptt`, also of what the cell begins with."""
    model = r.with_loss(r.stack(r.resettable(CELLS[name]), r.dense(m, 2)), squared)
    params = params_of(model)
    data = (jnp.asarray(inputs(T, n)), jnp.asarray(RESETS)), jnp.asarray(inputs(T, 2, seed=7))

    @jax.jit
    def both(params):
        return [g(model)(params, model.start(params), data, jnp.asarray(KEEP)) for g in (r.rtrl, r.bptt)]

    same(*both(params), **EXACT)
