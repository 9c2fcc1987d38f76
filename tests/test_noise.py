"""Random regularisers: held to NumPy with their masks spelled out, silent until seeded, the same in every loop."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from equations import gru, lstm, sigmoid

import rnnjax as r
from conftest import (
    EXACT,
    LENGTHS,
    LOOPS,
    B,
    T,
    by_hand,
    holds_to,
    inputs,
    m,
    n,
    outcome,
    params_of,
    same,
    squared,
    state_of,
)

KEY = jax.random.PRNGKey  # raw keys, so that states of random cells are plain arrays
RATE = 0.3
ZONED = r.LSTMState(h=0.2, c=0.6)

CELLS = {
    "variational": r.variational(RATE),
    "recurrent dropout": r.recurrent_dropout(r.lstm(n, m), RATE),
    "weight drop": r.weight_drop(r.gru(n, m), RATE),
    "zoneout": r.zoneout(r.lstm(n, m), ZONED),
    "all at once": r.stack(
        r.variational(RATE), r.zoneout(r.recurrent_dropout(r.weight_drop(r.gru(n, m), RATE), RATE), RATE)
    ),
}


def problem(cell, seed=5, batch=None):
    """Params, and a seeded state whose numbers are not zero."""
    params = params_of(cell)
    state = state_of(r.batch(cell, batch) if batch else cell, params)
    return params, r.seed(state, KEY(seed), batch)


def slow(*rows):
    return [pytest.param(row, marks=pytest.mark.slow) for row in rows]


def mask_of(key, rate, *shape):
    """What is left of ones: 1 / (1 - rate) or 0."""
    return np.asarray(jax.random.bernoulli(key, 1 - rate, shape)) / (1 - rate)


# the equations


def lstm_masked(mask):
    def run(params, state, xs):
        (W, U, b), ((h, c), _), hs = params, state, []
        for x in xs:
            i, f, g, o = np.split(x @ W + (mask * h) @ U + b, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            hs.append(h)
        return (h, c), np.array(hs)

    return run


def gru_masked(mask):
    def run(params, state, xs):
        (W, U, b, d), (h, _), hs = params, state, []
        for x in xs:
            (i, j, k), (s, u, q) = np.split(x @ W + b, 3), np.split((mask * h) @ U, 3)
            z = sigmoid(j + u)
            h = (1 - z) * np.tanh(k + sigmoid(i + s) * (q + d)) + z * h  # h as it is, where z keeps it
            hs.append(h)
        return h, np.array(hs)

    return run


@pytest.mark.parametrize("cell, equations", [(r.lstm(n, m), lstm_masked), (r.gru(n, m), gru_masked)])
def test_recurrent_dropout(cell, equations):
    """h is masked in h U and nowhere else."""
    cell = r.recurrent_dropout(cell, RATE)
    params, state = problem(cell, seed=6)
    mask = mask_of(state.noise.key, RATE, m)
    assert 0 < np.count_nonzero(mask) < m
    holds_to(equations(mask), cell, params, state, inputs(T, n))


@pytest.mark.parametrize("cell, equations", [(r.lstm(n, m), lstm), (r.gru(n, m), gru)])
def test_weight_drop(cell, equations):
    """The cell's own equations with what is left of U."""
    cell = r.weight_drop(cell, RATE)
    params, state = problem(cell)
    mask = mask_of(jax.random.fold_in(state.noise.key, 1), RATE, *params.U.shape)

    def reference(params, state, xs):
        return equations(params._replace(U=mask * params.U), state[0], xs)

    holds_to(reference, cell, params, state, inputs(T, n))


def zoned(rates, key):
    """The LSTM of which a share rests at each step; without a key, the mean."""

    def rests(t, i):
        if key is None:
            return rates[i]
        now = jax.random.fold_in(jax.random.fold_in(key, t), i)
        return np.asarray(jax.random.bernoulli(now, rates[i], (m,)), float)

    table = [(rests(t, 0), rests(t, 1)) for t in range(T)]

    def run(params, state, xs):
        (h, c), hs = state[0], []
        for (r_h, r_c), x in zip(table, xs):
            (h_new, c_new), _ = lstm(params, (h, c), [x])
            h, c = r_h * h + (1 - r_h) * h_new, r_c * c + (1 - r_c) * c_new
            hs.append(h)
        return (h, c), np.array(hs)

    return run


@pytest.mark.parametrize("rate", [ZONED, 0.4])
@pytest.mark.parametrize("silent", [True, False])
def test_zoneout(rate, silent):
    """y is the zoned-out h; silent, each number is its mean."""
    cell = r.zoneout(r.lstm(n, m), rate)
    params, state = problem(cell)
    state = state._replace(noise=r.Noise()) if silent else state
    rates = rate if isinstance(rate, tuple) else (rate, rate)
    holds_to(zoned(rates, state.noise.key), cell, params, state, inputs(T, n))


def test_variational():
    """One mask for all steps, by all steps at once and one by one."""
    cell, xs = r.variational(RATE), jnp.asarray(inputs(T, 20))
    noise = r.seed(cell.start(()), KEY(0))
    mask = mask_of(noise.key, RATE, 20)
    run = lambda xs: r.scan(cell).step((), noise, xs)[1]  # noqa: E731
    np.testing.assert_allclose(run(xs), mask * np.asarray(xs), **EXACT)
    np.testing.assert_allclose(jax.grad(lambda xs: run(xs).sum())(xs), np.tile(mask, (T, 1)), **EXACT)
    np.testing.assert_allclose(cell.step((), noise, xs[3])[1], mask * xs[3], **EXACT)
    assert run(xs[:0]).shape == (0, 20)


def test_y_that_is_no_state():
    """Only a y that is a part of the new state is zoned out, in a batch inside too."""
    for cell in r.lstm(n, m), r.batch(r.lstm(n, m), B):
        zoned = r.zoneout(cell, 0.5)
        params, state = problem(zoned)
        x = jnp.asarray(inputs(*jnp.shape(state.state.h)[:-1], n))
        after, y = zoned.step(params, state, x)
        same(y, after.state.h, rtol=0, atol=0)
        assert np.any(np.asarray(y) == np.asarray(state.state.h))
    plain = r.stack(r.lstm(n, m), r.lift(jnp.sin))
    cell = r.zoneout(plain, 0.5)
    params, state = problem(cell)
    same(cell.step(params, state, x[0])[1], plain.step(params, state.state, x[0])[1], rtol=0, atol=0)


MULTIPLYING = (
    r.rnn(n, m), r.irnn(n, m), r.peephole_lstm(n, m), r.projected_lstm(n, m, 2), r.coupled_lstm(n, m), r.janet(n, m),
    r.ugrnn(n, m), r.norm_lstm(n, m), r.norm_gru(n, m), r.jordan(n, m, 2), r.lem(n, m), r.cornn(n, m),
)  # fmt: skip


@pytest.mark.parametrize("cell", [*MULTIPLYING[1::3], *slow(*MULTIPLYING[::3], *MULTIPLYING[2::3])], ids=repr)
def test_recurrent_dropout_of_all(cell):
    """Masking h before the product is masking the rows of U."""
    noisy = r.recurrent_dropout(cell, 0.5)
    params, state = problem(noisy)
    masks = ((key, mask_of(key, 0.5, len(params.U))) for key in map(KEY, range(20)))
    key, rows = next((key, rows) for key, rows in masks if len(set(rows)) == 2)
    xs, state = jnp.asarray(inputs(T, n)), state._replace(noise=r.Lasting(key))

    def by_rows(params, inner, xs):
        return r.scan(cell, r.rolled).step(params._replace(U=rows[:, None] * params.U), inner, xs)

    def by_state(params, inner, xs):
        after, ys = r.scan(noisy).step(params, state._replace(state=inner), xs)
        return after.state, ys

    args = params, state.state, xs
    same(*(jax.jit(functools.partial(outcome, run))(*args) for run in (by_state, by_rows)), **EXACT)


# silence and chance


@pytest.mark.parametrize(
    "wrap", [r.recurrent_dropout, r.weight_drop, lambda cell, rate: r.weight_drop(r.scan(cell), rate)]
)
def test_silent_until_seeded(wrap):
    bare = r.gru(n, m)
    cell = wrap(bare, RATE)
    xs, params = inputs(B, T, n), params_of(bare)
    state, ys = r.apply(cell, params, xs)
    same((state.state, ys), r.apply(bare, params, xs), rtol=0, atol=0)
    assert state.noise.key is None
    assert np.abs(r.apply(cell, params, xs, key=KEY(0))[1] - ys).max() > 0.01
    xs = jnp.ones((B, T, n))
    same(r.apply(r.variational(RATE), (), xs), (r.Lasting(), xs), rtol=0, atol=0)


def linear(width):
    """h' = h U + x, with U the identity at first: it tells its mask."""
    return r.rnn(width, width, lambda h: h)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_statistics(rate):
    """The share that is dropped or rests is the rate, within 5 sigma, and the mean over keys is what silence gives."""
    draws, width = 2000, 20
    params, x = r.RNNParams(jnp.zeros((width, width)), jnp.eye(width), jnp.zeros(width)), jnp.zeros(width)
    h, sigma = jnp.asarray(inputs(width)), np.sqrt(rate * (1 - rate))
    bound = 5 * sigma / np.sqrt(draws * width)
    for cell, silent in (
        (r.recurrent_dropout(linear(width), rate), h),
        (r.weight_drop(linear(width), rate), h),
        (r.zoneout(r.rnn(width, width, lambda h: 3 * h), rate), (rate + 3 * (1 - rate)) * h),
    ):
        state = cell.start(params)._replace(state=h)
        np.testing.assert_allclose(cell.step(params, state, x)[1], silent, **EXACT)
        keys = jax.random.split(KEY(1), draws)
        ys = np.asarray(jax.vmap(lambda key: cell.step(params, r.seed(state, key), x)[1])(keys))
        least = np.abs(ys) == np.abs(ys).min(0)
        np.testing.assert_allclose(np.abs(ys)[~least], np.broadcast_to(np.abs(ys).max(0), ys.shape)[~least], **EXACT)
        assert abs(least.mean() - rate) < bound
        z = (ys.mean(0) - silent) / (ys.std(0) / np.sqrt(draws))
        assert np.abs(z).max() < 4.5 and 0.5 < np.std(z) < 1.6
    ys = r.apply(r.variational(rate), (), jnp.ones((draws, 1, width)), key=KEY(2))[1]
    assert abs((np.asarray(ys) == 0).mean() - rate) < bound


# every loop, batch and mask


@pytest.mark.parametrize("keep", [None, [False, True, True, False, False, True, False]])
@pytest.mark.parametrize("options", ["deferred", "rolled", "reversed", *slow("checkpointed, three segments", "python")])
@pytest.mark.parametrize("name", CELLS)
def test_every_loop_draws_alike(name, options, keep):
    """As a Python loop does, step by step; a masked step uses up no randomness."""
    cell, options = CELLS[name], LOOPS.get(options, dict(reverse=True))
    params, state = problem(cell)
    xs, mask = jnp.asarray(inputs(T, n)), () if keep is None else (jnp.asarray(keep),)
    reference = by_hand(cell, params, state, xs, keep, reverse="reverse" in options)
    same(jax.jit(r.scan(cell, **options).step)(params, state, xs, *mask), reference, **EXACT)


def alone(tree, b):
    return jax.tree.map(lambda s: s[b], tree)


def noisy(n, m):
    return r.zoneout(r.recurrent_dropout(r.gru(n, m), RATE), RATE)


WHOLE = {
    "both ways": r.bidirectional(noisy(n, 2), noisy(n, 2)),
    "variational": r.stack(r.variational(RATE), r.residual(r.scan(r.zoneout(r.rnn(n, n), RATE))), r.variational(RATE)),
    "weight drop around": r.weight_drop(r.deep(r.rnn, n, m, layers=2, bidirectional=True, dropout=RATE), RATE),
    "weight drop inside": r.deep(lambda n, m: r.weight_drop(r.rnn(n, m), RATE), n, m, layers=2, loop=r.rolled),
}


@pytest.mark.parametrize("name", WHOLE)
def test_each_alone(name):
    """Of a padded batch each sequence is as if it ran alone, unpadded, with its own key: in value and gradient."""
    model, lengths = WHOLE[name], LENGTHS[:3]
    params, state = problem(model, batch=3)
    xs = jnp.asarray(inputs(T, 3, n))
    keep = jnp.asarray(np.arange(T)[:, None] < lengths)

    def together(params, xs):
        after, ys = r.batch(model, 3).step(params, state, xs, keep)
        return numbers(after), ys

    def apart(params, xs):
        runs = [model.step(params, alone(state, b), xs[:k, b]) for b, k in enumerate(lengths)]
        after = jax.tree.map(lambda *s: jnp.stack(s), *(after for after, _ in runs))
        return numbers(after), jnp.stack([jnp.pad(ys, ((0, T - len(ys)), (0, 0))) for _, ys in runs], 1)

    same(*(jax.jit(functools.partial(outcome, run))(params, xs) for run in (together, apart)), **EXACT)
    counted, _ = jax.jit(r.batch(model, 3).step)(params, state, xs, keep)
    for noise in jax.tree.leaves(counted, is_leaf=lambda s: isinstance(s, r.Noise)):
        if isinstance(noise, r.Noise):
            np.testing.assert_array_equal(noise.step, lengths)


def numbers(tree):
    return [s for s in jax.tree.leaves(tree) if jnp.issubdtype(s.dtype, jnp.inexact)]


@pytest.mark.parametrize("name", ["all at once", *slow("recurrent dropout", "weight drop", "zoneout")])
def test_gradients(name):
    """A window of T, and the gradient that goes forward in time, are BPTT, with the noise the same."""
    one = r.with_loss(r.stack(CELLS[name], r.dense(m, 2)), squared)
    cell, (params, state) = r.batch(one, 2), problem(one, batch=2)
    data = jnp.asarray(inputs(T, 2, n)), jnp.asarray(inputs(T, 2, 2, seed=8))
    one, two, three = (
        jax.jit(gradient)(params, state, data) for gradient in (r.bptt(cell), r.tbptt(cell, window=T), r.rtrl(cell))
    )
    same(one, two, **EXACT)
    same(one[:2], three[:2], **EXACT)
    windows, _, after = jax.jit(r.tbptt(cell, window=2))(params, state, data)
    same((windows, after), (one[0], one[2]), **EXACT)


@pytest.mark.parametrize("name", ["recurrent dropout", "zoneout"])
def test_streams_differ(name):
    """Each stream draws for itself, and another key draws something else."""
    cell, xs = CELLS[name], jnp.ones((B, T, n))
    params = params_of(cell)
    ys = np.asarray(r.apply(cell, params, xs, key=KEY(0))[1])
    assert len(np.unique(ys[:, -1], axis=0)) > 2
    assert np.any(ys != r.apply(cell, params, xs, key=KEY(3))[1])


# weight drop


def test_dropped_weights_learn_nothing():
    """All streams have one mask: their gradient is exactly zero where it is, and nowhere else."""
    model = r.weight_drop(r.scan(r.lstm(n, 16)), RATE)
    params, state = problem(model, batch=B)
    xs = jnp.asarray(inputs(T, B, n))

    def objective(params, state):
        return (r.batch(model, B).step(params, state, xs)[1] ** 2).sum()

    grads = jax.jit(jax.grad(objective))(params, state)
    mask = mask_of(jax.random.fold_in(state.noise.key[0], 1), RATE, 16, 64)
    np.testing.assert_array_equal(np.asarray(grads.U) == 0, mask == 0)
    assert all(np.all(np.asarray(g) != 0) for g in (grads.W, grads.b))
    assert abs((mask == 0).mean() - RATE) < 5 * np.sqrt(RATE * (1 - RATE) / mask.size)


def test_where():
    """Any weights, by their paths; those named U of all layers are the default."""
    state, params = r.Shared(KEY(1)), None
    model = r.deep(r.rnn, 16, 16, layers=2)
    params, xs = params_of(model), jnp.asarray(inputs(T, 16))
    for options, names in ({}, "U"), (dict(where=lambda path: path == "1/W"), "W"):
        cell = r.weight_drop(model, RATE, **options)
        noise = cell.start(params)._replace(noise=state)
        grads = jax.jit(jax.grad(lambda p: (cell.step(p, noise, xs)[1] ** 2).sum()))(params)
        zero = {f"{i}/{name}" for i in (0, 1) for name in "WU" if np.any(np.asarray(getattr(grads[i], name)) == 0)}
        assert zero == ({"0/U", "1/U"} if names == "U" else {"1/W"})


def equations(jaxpr, looped=False):
    """All equations of a program, however deep, and whether each runs in a loop over time."""
    for eqn in jaxpr.eqns:
        yield eqn, looped
        inside = looped or eqn.primitive.name in ("scan", "while")
        for called in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda p: hasattr(p, "eqns")):
            called = getattr(called, "jaxpr", called)
            if hasattr(called, "eqns"):
                yield from equations(called, inside)


DRAWS = "random_bits", "threefry2x32"


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "model, drawn",
    [
        (r.weight_drop(r.scan(r.lstm(n, m)), RATE), (m, 4 * m)),
        (r.weight_drop(r.scan(r.lstm(n, m), r.rolled), RATE), (m, 4 * m)),
        (r.weight_drop(r.scan(r.lstm(n, m), r.checkpointed), RATE), (m, 4 * m)),
        (r.scan(r.weight_drop(r.lstm(n, m), RATE)), (m, 4 * m)),
        (r.scan(r.recurrent_dropout(r.lstm(n, m), RATE)), (B, m)),
    ],
    ids=repr,
)
def test_drawn_once(model, drawn, masked):
    """One mask before the loop, of the weights one for all streams, and never a copy of the weights for each."""
    params = params_of(model)
    state = r.seed(r.batch(model, B).start(params), jax.random.key(0), B)
    keep = (jnp.ones((T, B), bool),) if masked else ()

    def objective(params, xs):
        return r.batch(model, B).step(params, state, xs, *keep)[1].sum()

    program = jax.make_jaxpr(jax.grad(objective))(params, jnp.ones((T, B, n)))
    found = list(equations(program.jaxpr))
    draws = [(eqn.outvars[0].aval.shape, looped) for eqn, looped in found if eqn.primitive.name in DRAWS]
    assert draws == [(drawn, False)]
    assert not any(v.aval.shape == (B, m, 4 * m) for eqn, _ in found for v in eqn.outvars)
    assert any(looped for _, looped in found)


@pytest.mark.parametrize("key", [KEY, jax.random.key])
def test_batch_over_devices(key):
    """The one mask of a batch that lies across devices."""
    model = r.batch(r.weight_drop(r.scan(r.rnn(n, m)), RATE), 8)
    params, xs = params_of(model), jnp.asarray(inputs(T, 8, n))
    state = r.seed(model.start(params), key(3), 8)
    plain = jax.jit(model.step)(params, state, xs)[1]
    with jax.set_mesh(jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Explicit,))):
        laid = jax.device_put(xs, jax.P(None, "data", None))
        same(jax.device_get(jax.jit(model.step)(params, state, laid)[1]), jax.device_get(plain), **EXACT)


# what `deferred` finds to stay


@pytest.mark.parametrize("keep", [(), (jnp.arange(T) % 3 > 0,)])
def test_what_stays(keep):
    """A part of the state that no step changes is a param to the loop, and has the gradient of one."""

    def step(params, state, x):
        context, h, scale = state
        h = jnp.tanh(h * params + context * x)
        return (context, h, scale), (h * scale, context)

    cell = r.Cell(lambda key: jnp.ones(n), lambda params: (jnp.ones(n),) * 3, step)
    args = params_of(cell), state_of(cell, params_of(cell)), jnp.asarray(inputs(T, n))
    runs = (r.scan(cell, loop, reverse=True).step for loop in (r.deferred, r.rolled))
    same(*(jax.jit(functools.partial(outcome, lambda *a: run(*a, *keep)))(*args) for run in runs), **EXACT)


# messages


def test_rates():
    cell = r.rnn(n, m)
    for build, where, what in (
        (r.variational, "variational", "drop"),
        (lambda rate: r.recurrent_dropout(cell, rate), "recurrent_dropout", "drop"),
        (lambda rate: r.weight_drop(cell, rate), "weight_drop", "drop"),
        (lambda rate: r.zoneout(cell, rate), "zoneout", "keep"),
        (lambda rate: r.zoneout(r.lstm(n, m), r.LSTMState(0.1, rate)), "zoneout", "keep"),
    ):
        for rate in 1, -0.1, float("nan"):
            message = rf"^{where}: rate must be in \[0, 1\), but rate is {rate}\. Give the share to {what}\.$"
            with pytest.raises(ValueError, match=message):
                build(rate)


OTHERWISE = (
    r.reset_first_gru(n, m), r.mgu(n, m), r.conv_lstm((2,), n, m), r.slstm(n, m, heads=2), r.clockwork(n, m, (1, 2)),
)  # fmt: skip


@pytest.mark.parametrize("cell", OTHERWISE, ids=repr)
def test_other_uses_of_U(cell):
    """Refused by name where a mask of h has no place; the weights of all of them can be dropped."""
    model = r.recurrent_dropout(cell, RATE)
    params, state = problem(model)
    x = jnp.ones((2, n)) if "conv" in repr(cell) else jnp.ones(n)
    with pytest.raises(TypeError, match=r"^recurrent_dropout: a step must .* but .* does otherwise\. Use weight_"):
        model.step(params, state, x)
    dropping = r.weight_drop(cell, RATE)
    loud, silent = (dropping.step(params, s, x)[1] for s in (problem(dropping)[1], dropping.start(params)))
    assert loud.shape == silent.shape and not np.allclose(loud, silent)


def test_refused():
    for cell in r.mingru(n, m), r.stack(r.rnn(n, m), r.rnn(m, m)):
        with pytest.raises(TypeError, match=r"^recurrent_dropout: a step must .* but .* has no params\.U\. Use"):
            r.recurrent_dropout(cell, RATE).start(params_of(cell))
    for wrap in r.recurrent_dropout, r.zoneout:
        with pytest.raises(TypeError, match=rf"^{wrap.__name__}: the cell must be of one step, but scan"):
            wrap(r.scan(r.rnn(n, m)), RATE)
    with pytest.raises(
        TypeError,
        match=r"^weight_drop: where must find weights to drop, but dense\(3, 4\) has W, b\. Give where",
    ):
        r.weight_drop(r.dense(n, m), RATE).start(params_of(r.dense(n, m)))
    with pytest.raises(TypeError, match=r"but lift.* has none at all"):
        r.weight_drop(r.lift(jnp.sin), RATE).start(())
    with pytest.raises(
        TypeError,
        match=r"^zoneout: rate must be a number, or a tree .* but rate is LSTMState.* and the state of rnn",
    ):
        r.zoneout(r.rnn(n, m), ZONED).start(params_of(r.rnn(n, m)))


def test_other_errors_are_their_own():
    """What a cell itself refuses is not laid to U."""
    cell = r.recurrent_dropout(r.lstm(n, m), RATE)
    params, state = problem(cell)
    with pytest.raises(ValueError, match=r"^lstm: x must be one step"):
        cell.step(params, state, jnp.ones(n + 1))
