"""Credit and Jacobians by hand, the course's facts about them, Lyapunov exponents, gates, advice, and pictures."""

import math

import equations
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from matplotlib.image import imread

import rnnjax as r
from conftest import CELLS, EXACT, B, T, differences, inputs, m, n, params_of, same, squared, state_of
from rnnjax import diagnostics, weights
from rnnjax.diagnostics import (
    Flow,
    Gate,
    activations,
    advise,
    gradient_flow,
    lyapunov,
    memory_length,
    pictures,
    saturation,
)


def problem(cell, steps=T):
    params = params_of(cell)
    return params, state_of(cell, params), jnp.asarray(inputs(steps, n))


# gradient flow


def total(y):
    return sum(leaf.sum() for leaf in jax.tree.leaves(y))


def tapped(cell, params, state, xs):
    """The gradient of the last step's output by something added to each state: the chain rule left to `jax.grad`."""

    def last(taps):
        now = state
        for tap, x in zip(taps, xs):
            now, y = cell.step(params, jax.tree.map(jnp.add, now, tap), x)
        return total(y)

    return jax.jit(jax.grad(last))([jax.tree.map(jnp.zeros_like, state) for _ in xs])


@pytest.mark.parametrize("name", CELLS)
def test_credit(name):
    """Credit is the norm of the gradient by each state, whole and part by part, of a step or over sequences."""
    cell = CELLS[name]
    params, state, xs = problem(cell)
    found = tapped(cell, params, state, xs)
    for model in cell, r.scan(cell):
        flow = gradient_flow(model, params, state, xs, lags=[0])
        np.testing.assert_allclose(flow.credit, [np.linalg.norm(ravel_pytree(tap)[0]) for tap in found], **EXACT)
        same(flow.credit_parts, jax.tree.map(lambda *taps: jnp.stack([*map(jnp.linalg.norm, taps)]), *found), **EXACT)


def test_credit_by_differences():
    """With a loss, credit is the slope of the last step's loss alone."""
    model = r.with_loss(r.deep(r.lstm, n, m, layers=2), squared)
    params, state, xs = problem(model)
    pair = xs, jnp.asarray(inputs(T, m, seed=7))
    flow = gradient_flow(model, params, state, pair)
    at, unravel = ravel_pytree(state)
    run = jax.jit(lambda vector: model.step(params, unravel(vector), pair)[1][-1])
    slope = unravel(differences(run, np.asarray(at)))
    for layer in 0, 1:
        for part in "hc":
            expected = np.linalg.norm(getattr(slope[layer], part))
            np.testing.assert_allclose(getattr(flow.credit_parts[layer], part)[0], expected, rtol=1e-6)


def products(cell, params, state, xs):
    """∂s_T/∂s_{T-k} for every k, multiplied out in NumPy."""
    at, unravel = ravel_pytree(state)
    step = jax.jit(lambda v, x: ravel_pytree(cell.step(params, unravel(v), x)[0])[0])
    slope, found = jax.jit(jax.jacfwd(step)), [np.eye(len(at))]
    visited = [at]
    for x in xs:
        visited.append(step(visited[-1], x))
    for v, x in zip(visited[-2::-1], xs[::-1]):
        found.append(found[-1] @ np.asarray(slope(v, x)))
    return found


@pytest.mark.parametrize("name", CELLS)
def test_jacobians(name):
    """Norms of products of Jacobians equal NumPy's, multiplied out and by iteration, and so do those of parts."""
    cell = CELLS[name]
    params, state, xs = problem(cell)
    expected = products(cell, params, state, xs)
    ends = np.cumsum([0, *(s.size for s in jax.tree.leaves(state))])
    for exact, tolerance in (100, EXACT), (0, dict(rtol=1e-6, atol=1e-12)):
        flow = gradient_flow(cell, params, state, xs, exact=exact)
        np.testing.assert_array_equal(flow.lags, range(T + 1))
        np.testing.assert_allclose(flow.jacobian, [np.linalg.norm(P, 2) for P in expected], **tolerance)
        assert jax.tree.structure(flow.jacobian_parts) == jax.tree.structure(state)
        for part, a, b in zip(jax.tree.leaves(flow.jacobian_parts), ends[:-1], ends[1:], strict=True):
            np.testing.assert_allclose(part, [np.linalg.norm(P[a:b, a:b], 2) for P in expected], **tolerance)


@pytest.mark.parametrize("exact", [100, 0])
def test_some_lags(exact):
    cell = CELLS["gru"]
    args = problem(cell)
    some, every = (gradient_flow(cell, *args, lags=lags, exact=exact) for lags in ((5, 0, 2), None))
    np.testing.assert_array_equal(some.lags, [0, 2, 5])
    np.testing.assert_allclose(some.jacobian, every.jacobian[some.lags], rtol=1e-8)
    until = gradient_flow(cell, *args[:2], args[2][:4], exact=exact)  # any t, as the last of its own sequence
    expected = [np.linalg.norm(P, 2) for P in products(cell, args[0], args[1], args[2][:4])]
    np.testing.assert_allclose(until.jacobian, expected, rtol=1e-6)


def test_layers_below_feel_less_of_a_short_memory():
    """Of a stack, each layer has its own norms: here one remembers and one forgets."""
    leaky = r.Cell(lambda key: jnp.ones(()), lambda a: jnp.zeros(n), lambda a, h, x: (a * h + x, a * h + x))
    flow = gradient_flow(r.stack(leaky, leaky), (0.9, 0.5), (jnp.zeros(n),) * 2, jnp.zeros((T, n)))
    slow, quick = flow.jacobian_parts
    np.testing.assert_allclose(slow, 0.9 ** np.arange(T + 1), **EXACT)
    np.testing.assert_allclose(quick, 0.5 ** np.arange(T + 1), **EXACT)
    assert (np.asarray(flow.jacobian)[1:] > slow[1:]).all(), "what passes from layer to layer counts too"


@pytest.mark.parametrize("exact", [100, 0])
def test_what_is_no_float_is_passed_by(exact):
    """Keys and counters in the state have no credit, and do their work all the same."""
    model = r.stack(r.dropout(0.5), r.scan(r.lstm(n, m)), r.dropout(0.5))
    params = params_of(model)
    silent = model.start(params)
    flows = [
        gradient_flow(model, params, state, jnp.asarray(inputs(T, n)), exact=exact)
        for state in (silent, r.seed(silent, jax.random.key(0)))
    ]
    assert [len(jax.tree.leaves(flow.credit_parts)) for flow in flows] == [2, 2]
    assert flows[1].credit_parts[0] == r.Noise(None, None)
    assert np.abs(flows[0].jacobian - flows[1].jacobian)[1:].min() > 1e-3, "dropout must be on"


def test_batch_of_streams():
    """A batch has the credit and the norms of all its streams together."""
    cell = CELLS["gru"]
    params = params_of(cell)
    model, xs = r.batch(cell, B), jnp.asarray(inputs(T, B, n))
    state = state_of(model, params)
    flow = gradient_flow(model, params, state, xs)
    alone = [gradient_flow(cell, params, state[b], xs[:, b]) for b in range(B)]
    np.testing.assert_allclose(flow.credit, np.linalg.norm([one.credit for one in alone], axis=0), **EXACT)
    np.testing.assert_allclose(flow.jacobian, np.max([one.jacobian for one in alone], axis=0), **EXACT)


@pytest.mark.parametrize("exact", [100, 0])
def test_small_and_large_norms(exact):
    """Norms whose squares leave the range of float32 are right; beyond the range they are 0 or not finite."""
    cell = r.Cell(lambda key: jnp.ones(()), lambda a: jnp.zeros(n), lambda a, h, x: (a * h, h))
    for a, lags in (1e-3, 12), (1e3, 12):
        state, xs = jnp.zeros(n, jnp.float32), jnp.zeros((lags, n), jnp.float32)
        flow = gradient_flow(cell, jnp.float32(a), state, xs, exact=exact)
        np.testing.assert_allclose(flow.jacobian, float(np.float32(a)) ** np.arange(lags + 1), rtol=1e-5)
        np.testing.assert_allclose(flow.credit, np.sqrt(n) * float(np.float32(a)) ** np.arange(lags)[::-1], rtol=1e-5)
        assert flow.jacobian.dtype == jnp.float32
    flow = gradient_flow(cell, jnp.float32(1e3), state, jnp.zeros((20, n), jnp.float32), exact=exact)
    assert not np.isfinite(flow.jacobian[-1])


@pytest.mark.parametrize("exact", [100, 0])
def test_half_precision(exact):
    """A bfloat16 state has its norms and exponents in float32, as exact as its steps."""
    cell = r.Cell(lambda key: jnp.ones(()), lambda a: jnp.zeros(n), lambda a, h, x: (a * h, h))
    args = jnp.bfloat16(0.5), jnp.ones(n, jnp.bfloat16), jnp.zeros((T, n))
    flow = gradient_flow(cell, *args, exact=exact)
    np.testing.assert_allclose(flow.jacobian, 0.5 ** np.arange(T + 1), rtol=0.05)
    assert flow.jacobian.dtype == flow.credit.dtype == jnp.float32
    np.testing.assert_allclose(lyapunov(cell, *args), np.log([0.5] * n), rtol=0.01)


def test_one_compile():
    """Other params, states and inputs of the same shapes, and cells built anew, compile once."""
    traces = []

    def count(x):
        traces.append(x)
        return x

    for seed in range(3):
        cell = r.stack(r.scan(r.gru(n, m)), r.lift(count))
        params = params_of(cell, seed)
        xs = jnp.asarray(inputs(T, n, seed=seed))
        for act in gradient_flow, lyapunov, activations:
            act(r.stack(r.scan(r.gru(n, m)), r.lift(count)), params, state_of(cell, params, seed), xs)
        if seed == 0:
            once = len(traces)
    assert 0 < once == len(traces)


def test_memory_length():
    def lasting(*norms, lags=None):
        return Flow(None, None, np.arange(len(norms)) if lags is None else np.array(lags), jnp.array(norms), None)

    assert memory_length(lasting(1, 0.5, 0.009, 0.001)) == 2
    assert memory_length(lasting(1, 0.5, 0.009, 0.02, 0.001)) == 4, "stays below"
    assert memory_length(lasting(1, 0.5, 0.4)) == math.inf
    assert memory_length(lasting(1, 0.5, 0.4), share=0.45) == 2
    assert memory_length(lasting(1, 0.5, 0.0, lags=[0, 10, 20])) == 20
    assert memory_length(lasting(1, 0.0, jnp.nan)) == math.inf


# the course's facts

FAR = 60


def recurrent(radius, seed=0, positive=False):
    """A random matrix of that spectral radius."""
    U = np.random.default_rng(seed).normal(size=(m, m))
    U = np.abs(U) if positive else U
    return jnp.asarray(radius * U / np.abs(np.linalg.eigvals(U)).max())


def slope(norms):
    """How the log of a norm changes a step, over the later half."""
    norms = np.log(np.asarray(norms))
    return (norms[-1] - norms[len(norms) // 2]) / (len(norms) - 1 - len(norms) // 2)


@pytest.mark.parametrize("radius", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("activation, steepest", [(jnp.tanh, 1.0), (jax.nn.sigmoid, 0.25)])
def test_vanishing(radius, activation, steepest):
    """Under tanh or sigmoid a recurrent weight of spectral radius < 1 makes credit decay exponentially."""
    cell = r.rnn(n, m, activation)
    xs = jnp.asarray(inputs(FAR, n))
    Q = weights.orthogonal(jax.random.key(0), (m, m))
    params = params_of(cell)
    flow = gradient_flow(cell, params._replace(U=radius * Q), jnp.zeros(m), xs)
    assert (np.asarray(flow.jacobian) <= (steepest * radius) ** flow.lags * (1 + 1e-9)).all(), "a bound at every lag"
    assert slope(flow.credit[::-1]) < np.log(steepest * radius)
    flow = gradient_flow(cell, params._replace(U=recurrent(radius)), jnp.zeros(m), xs)
    assert slope(flow.jacobian) < np.log(steepest * radius)
    assert memory_length(flow) < FAR
    if activation is jnp.tanh:  # about h = 0, where its slope is 1, the decay is the radius itself
        still = r.RNNParams(jnp.zeros((n, m)), recurrent(radius), jnp.zeros(m))
        flow = gradient_flow(cell, still, jnp.zeros(m), xs[:1].repeat(400, 0), lags=[200, 400])
        rate = float(jnp.log(flow.jacobian[1] / flow.jacobian[0])) / 200
        np.testing.assert_allclose(rate, np.log(radius), atol=0.01)


@pytest.mark.parametrize("radius", [1.1, 1.5])
def test_exploding(radius):
    """Under relu a radius > 1 makes credit grow exponentially, by the log of the radius a step."""
    cell = r.rnn(n, m, jax.nn.relu, recurrent=weights.identity(radius))
    params = cell.init(jax.random.key(0))
    flow = gradient_flow(cell, params, jnp.ones(m), jnp.zeros((FAR, n)))
    np.testing.assert_allclose(flow.jacobian, radius**flow.lags, **EXACT)
    params = params._replace(U=recurrent(radius, positive=True))
    flow = gradient_flow(cell, params, jnp.ones(m), jnp.zeros((FAR, n)))
    np.testing.assert_allclose(slope(flow.jacobian), np.log(radius), rtol=1e-6)
    np.testing.assert_allclose(slope(flow.credit[::-1]), np.log(radius), rtol=1e-6)
    np.testing.assert_allclose(lyapunov(cell, params, jnp.ones(m), jnp.zeros((FAR, n)))[0], np.log(radius), rtol=1e-4)


def test_irnn_keeps_credit():
    """The identity under relu, with a state above 0, is where credit neither vanishes nor explodes."""
    cell = r.rnn(n, m, jax.nn.relu, recurrent=weights.identity())
    params = cell.init(jax.random.key(0))
    xs = jnp.abs(jnp.asarray(inputs(FAR, n)))
    flow = gradient_flow(cell, params._replace(W=jnp.abs(params.W)), jnp.ones(m), xs)
    np.testing.assert_allclose(flow.jacobian, np.ones(FAR + 1), **EXACT)


@pytest.mark.parametrize("bias, kept", [(10.0, True), (-3.0, False)])
def test_lstm_with_an_open_forget_gate(bias, kept):
    """An open forget gate carries credit past many steps; a shut one loses it."""
    cell = r.lstm(n, m, recurrent=jax.nn.initializers.normal(0.1), bias=weights.forget(bias))
    params = cell.init(jax.random.key(0))
    flow = gradient_flow(cell, params, cell.start(params), jnp.asarray(inputs(FAR, n)))
    carousel = np.asarray(flow.jacobian_parts.c)
    if kept:
        assert carousel[-1] > 0.9 and flow.credit[0] > 0.1 * flow.credit[-1] and memory_length(flow) == math.inf
    else:
        assert slope(carousel) < np.log(0.2) and flow.credit[0] < 1e-20 and memory_length(flow) < 5


def test_chrono_remembers_longer():
    """Chrono biases lengthen the memory of an LSTM and of a GRU, about as far as they are asked to."""
    for make, plain, chrono in (
        (r.lstm, weights.zeros, weights.chrono(FAR)),
        (r.gru, weights.zeros, weights.chrono(FAR, gru=16)),
    ):
        lengths = []
        for bias in plain, chrono:
            cell = make(n, 16, bias=bias, recurrent=jax.nn.initializers.normal(0.05))
            params = cell.init(jax.random.key(0))
            lengths.append(memory_length(gradient_flow(cell, params, cell.start(params), 0.1 * jnp.ones((FAR, n)))))
        assert lengths[0] < 20 < FAR / 2 < lengths[1]


def test_bptt_term_by_term():
    """∂L/∂θ = Σ_t Σ_{k≤t} ∂l_t/∂h_t (Π_{j=k+1..t} ∂h_j/∂h_{j-1}) ∂⁺h_k/∂θ, each term written out, is autodiff's."""
    cell = CELLS["rnn"]
    params, state, xs = problem(cell)
    targets = jnp.asarray(inputs(T, m, seed=7))
    W, U, b = map(np.asarray, params)
    _, hs = equations.rnn(params, state, np.asarray(xs))
    before = np.concatenate([np.asarray(state)[None], hs[:-1]])
    steepness = 1 - hs**2  # tanh' at each step
    jacobian = [np.diag(steepness[j]) @ U.T for j in range(T)]  # ∂h_j/∂h_{j-1}
    grads, terms = r.RNNParams(np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)), 0
    for t in range(T):
        by_output = hs[t] - np.asarray(targets)[t]  # ∂l_t/∂h_t
        for k in range(t + 1):
            chain = np.eye(m)
            for j in range(t, k, -1):
                chain = chain @ jacobian[j]
            credit = (by_output @ chain) * steepness[k] / T
            direct = r.RNNParams(np.outer(np.asarray(xs)[k], credit), np.outer(before[k], credit), credit)
            grads, terms = jax.tree.map(np.add, grads, direct), terms + 1
    assert terms == T * (T + 1) // 2
    _, found, _ = jax.jit(r.bptt(r.with_loss(cell, squared)))(params, state, (xs, targets))
    same(found, jax.tree.map(jnp.asarray, grads), **EXACT)


# Lyapunov exponents


def test_exponents_of_a_linear_cell():
    a = jnp.array([0.3, -0.9, 2.0, 0.5])
    cell = r.Cell(lambda key: a, lambda a: a, lambda a, h, x: (a * h + x, h))
    found = lyapunov(cell, a, jnp.ones(4), jnp.asarray(inputs(500, 4)))
    np.testing.assert_allclose(found, np.log([2.0, 0.9, 0.5, 0.3]), rtol=1e-9)
    first = lyapunov(cell, a, jnp.ones(4), jnp.asarray(inputs(500, 4)), count=2)
    np.testing.assert_allclose(first, found[:2], rtol=1e-9)
    lost = lyapunov(cell, a.at[0].set(0), jnp.ones(4), jnp.zeros((50, 4)))
    assert lost[-1] < -10, "a direction that is lost"


def test_exponents_of_the_henon_map():
    """Wolf et al. 1985's figures, in nats; their sum is log 0.3, for the map shrinks every area so."""

    def step(params, state, x):
        a, b = params
        return jnp.stack([1 - a * state[0] ** 2 + state[1], b * state[0]]), state[0]

    cell = r.Cell(lambda key: jnp.array([1.4, 0.3]), lambda params: jnp.array([0.1, 0.1]), step)
    params = cell.init(jax.random.key(0))
    found = lyapunov(cell, params, cell.start(params), jnp.zeros(20_000))
    np.testing.assert_allclose(found, [0.4192, -1.6231], atol=0.004)
    np.testing.assert_allclose(found.sum(), np.log(0.3), rtol=1e-9)


def test_exponents_of_random_matrices():
    """A product of matrices that come in as inputs, by NumPy from another start."""
    steps, d = 1000, 3
    matrices = np.random.default_rng(0).normal(size=(steps, d, d))
    cell = r.Cell(lambda key: (), lambda params: jnp.ones(d), lambda params, h, M: (M @ h / jnp.exp(5.0), h))
    found = lyapunov(cell, (), jnp.ones(d), jnp.asarray(matrices))
    Q, grown = np.eye(d), []
    for M in matrices:
        Q, R = np.linalg.qr(M @ Q)
        grown.append(np.log(np.abs(np.diag(R))) - 5)
    np.testing.assert_allclose(found, np.mean(grown[steps // 10 :], axis=0), rtol=1e-9)


def test_exponent_is_the_slope_of_the_flow():
    """The norm of a product of Jacobians grows at the rate of the largest exponent."""
    cell = CELLS["gru"]
    params, state, xs = problem(cell, 400)
    flow = gradient_flow(cell, params, state, xs, lags=[40, 360])
    rate = float(jnp.log(flow.jacobian[1] / flow.jacobian[0])) / 320
    np.testing.assert_allclose(lyapunov(cell, params, state, xs)[0], rate, atol=0.02)


# gates


def test_gates_of_the_lstm():
    cell = r.lstm(n, m)
    params, state, xs = problem(cell)
    found = activations(cell, params, state, xs)
    assert [(g.layer, g.name, g.kind) for g in found] == [
        ("lstm(3, 4)", name, "tanh" if "g" in name or "c" in name else "logistic")
        for name in ("f", "i", "g", "o", "tanh c")
    ]
    W, U, b = map(np.asarray, params)
    (h, c), T = map(np.asarray, state), len(xs)
    for t in range(T):
        a = [
            equations.gate(W, k, m).T @ xs[t] + equations.gate(U, k, m).T @ h + equations.gate(b, k, m)
            for k in range(4)
        ]
        i, f, g, o = equations.sigmoid(a[0]), equations.sigmoid(a[1]), np.tanh(a[2]), equations.sigmoid(a[3])
        c = f * c + i * g
        h = o * np.tanh(c)
        for gate, value in zip(found, (f, i, g, o, np.tanh(c)), strict=True):
            np.testing.assert_allclose(gate.values[t], value, **EXACT, err_msg=gate.name)


def test_gates_of_the_gru():
    cell = r.gru(n, m)
    params, state, xs = problem(cell)
    found = activations(cell, params, state, xs)
    assert [(g.name, g.kind) for g in found] == [("r", "logistic"), ("z", "logistic"), ("candidate", "tanh")]
    W, U, b, d = map(np.asarray, params)
    _, hs = equations.gru(params, state, np.asarray(xs))
    for t, h in enumerate([np.asarray(state), *hs[:-1]]):
        W_x, U_h = (np.split(np.asarray(v), 3) for v in (xs[t] @ W + b, h @ U))
        reset, z = equations.sigmoid(W_x[0] + U_h[0]), equations.sigmoid(W_x[1] + U_h[1])
        candidate = np.tanh(W_x[2] + reset * (U_h[2] + d))
        for gate, value in zip(found, (reset, z, candidate), strict=True):
            np.testing.assert_allclose(gate.values[t], value, **EXACT, err_msg=gate.name)
        np.testing.assert_allclose(hs[t], (1 - z) * candidate + z * h, **EXACT)


def names(cell, xs=None):
    params = params_of(cell)
    found = activations(cell, params, cell.start(params), jnp.asarray(inputs(T, n)) if xs is None else xs)
    return [f"{gate.layer} {gate.name}" for gate in found]


def test_gates_of_layers():
    """Layers are told apart, through stacks, residuals, batches and losses."""
    gru = ["gru(4, 4) r", "gru(4, 4) z", "gru(4, 4) candidate"]
    assert names(r.stack(r.dense(n, m), r.residual(r.scan(r.gru(m, m))))) == gru
    assert names(r.stack(r.dense(n, m), r.scan(r.rnn(m, m)), r.scan(r.rnn(m, m)))) == [
        "rnn(4, 4) #1 h",
        "rnn(4, 4) #2 h",
    ]
    assert names(r.with_loss(r.scan(r.gru(n, m)), squared), (inputs(T, n), inputs(T, m))) == [
        g.replace("(4", "(3") for g in gru
    ]
    assert names(r.batch(r.scan(r.rnn(n, m)), B), jnp.asarray(inputs(T, B, n))) == ["batch(rnn(3, 4), 5) tanh 1"]
    mixed = r.stack(r.scan(r.rnn(n, m, jax.nn.sigmoid)), r.scan(r.rnn(m, m, jax.nn.relu)), r.lift(jnp.tanh))
    assert names(mixed) == ["rnn(3, 4, activation=sigmoid) h", "lift(tanh) tanh 1"]


def test_gates_of_any_cell():
    """A user's step is read through its nested calls; what is in a loop of its own is not seen."""

    @jax.custom_jvp
    def squash(a):
        return jnp.tanh(a)

    squash.defjvps(lambda d, y, a: d * (1 - y * y))

    def step(params, h, x):
        z = jax.jit(jax.nn.sigmoid)(x.sum() + h)
        h = jax.checkpoint(lambda h: z * h + (1 - z) * squash(h))(h)
        return jax.lax.fori_loop(0, 2, lambda i, h: jnp.tanh(h), h), jax.nn.silu(h)

    cell = r.Cell(lambda key: (), lambda params: jnp.ones(m), step, name="mine(4)")
    xs = inputs(T, n)
    found = activations(cell, (), jnp.ones(m), jnp.asarray(xs))
    assert [(g.layer, g.name) for g in found] == [
        ("mine(4)", "logistic 1"), ("mine(4)", "tanh 1"), ("mine(4)", "logistic 2"),
    ]  # fmt: skip
    np.testing.assert_allclose(found[0].values[0], equations.sigmoid(xs[0].sum() + np.ones(m)), **EXACT)
    np.testing.assert_allclose(found[1].values[0], np.tanh(np.ones(m)), **EXACT)


def test_saturation():
    values = jnp.array([[0.05, 0.5], [0.95, 0.99], [0.1, 0.9], [0.0, 0.2]])
    (gate,) = saturation([Gate("", "f", "logistic", values)])
    assert (gate.low, gate.high) == (2 / 8, 2 / 8)
    (scaled,) = saturation([Gate("", "g", "tanh", 2 * values - 1)])
    assert (scaled.low, scaled.high) == (2 / 8, 2 / 8) and scaled.gate.name == "g"
    cell = r.lstm(n, m, bias=weights.forget(50.0))
    params = cell.init(jax.random.key(0))
    shares = saturation(activations(cell, params, cell.start(params), jnp.zeros((T, n))))
    assert (shares[0].low, shares[0].high) == (0, 1) and shares[1].low == shares[1].high == 0


def test_layers():
    model = r.stack(r.embed(6, n), r.dropout(0.5), r.deep(r.gru, n, m, layers=2, dropout=0.1), r.dense(m, 6))
    assert list(map(repr, diagnostics.layers(model))) == [
        "embed(6, 3)", "dropout(0.5)", "gru(3, 4)", "dropout(0.1)", "gru(4, 4)", "dense(4, 6)",
    ]  # fmt: skip
    assert diagnostics.layers(r.lstm(n, m)) == (r.lstm(n, m),)


# advice


def findings(cell, params, state, xs):
    flow = gradient_flow(cell, params, state, xs)
    shares, exponents = saturation(activations(cell, params, state, xs)), lyapunov(cell, params, state, xs)
    return advise(flow, shares, exponents)


def test_advice():
    xs = jnp.asarray(inputs(FAR, n))
    tanh, relu = r.rnn(n, m), r.rnn(n, m, jax.nn.relu)
    (advice,) = findings(tanh, r.RNNParams(jnp.zeros((n, m)), recurrent(0.5), jnp.zeros(m)), jnp.zeros(m), xs)
    assert advice.finding == "vanishing" and "of 60" in advice.reason
    assert all(word in advice.remedy for word in ("orthogonal", "identity", "lstm", "chrono(60)"))
    exploding = r.RNNParams(jnp.zeros((n, m)), recurrent(1.5, positive=True), jnp.zeros(m))
    (advice,) = findings(relu, exploding, jnp.ones(m), xs)
    assert advice.finding == "exploding" and "clip_by_global_norm" in advice.remedy
    assert "at lag 60" in advice.reason and "+0.405 nats a step" in advice.reason
    stuck = r.RNNParams(10 * jnp.ones((n, m)), 0.1 * jnp.eye(m), jnp.zeros(m))
    vanishing, saturated = findings(tanh, stuck, jnp.zeros(m), xs)
    assert (vanishing.finding, saturated.finding) == ("vanishing", "saturated")
    assert saturated.reason.startswith("rnn(3, 4) h: ") and "smaller weights" in saturated.remedy
    fine = r.lstm(n, m, recurrent=jax.nn.initializers.normal(0.1), bias=weights.forget(6.0))
    params = fine.init(jax.random.key(0))
    flow = gradient_flow(fine, params, fine.start(params), xs)
    assert [advice.finding for advice in advise(flow)] == ["healthy"] and "beyond lag 60" in advise(flow)[0].reason
    broken = flow._replace(jacobian=flow.jacobian.at[-1].set(jnp.nan))
    assert [advice.finding for advice in advise(broken)] == ["exploding"]


# documentation


@pytest.mark.parametrize("name", diagnostics.__all__)
def test_documented(name):
    """Every public name says what it is, and every function shows it."""
    thing = getattr(diagnostics, name)
    assert thing.__doc__.splitlines()[0].strip()
    assert isinstance(thing, type) or ">>>" in thing.__doc__


# pictures


def looked_at(path):
    """The size of a PNG in pixels, and how many different colours it has; no edge of it may be drawn on."""
    image = imread(path)[..., :3]
    border = np.concatenate([image[:2].reshape(-1, 3), image[-2:].reshape(-1, 3), image[:, :2].reshape(-1, 3)])
    assert (border == 1).all(), "something runs out of the picture"
    return image.shape[1], image.shape[0], len(np.unique(image.reshape(-1, 3), axis=0))


def test_flows_picture(tmp_path):
    named = {}
    for name in "rnn", "lstm", "gru":
        params, state, xs = problem(CELLS[name], 20)
        named[name] = gradient_flow(CELLS[name], params, state, xs)
    dead = named["rnn"]._replace(credit=jnp.zeros(20), jacobian=jnp.full(21, jnp.nan))
    for i, these in enumerate((named, {**named, "dead": dead}, {"dead": dead})):
        pictures.flows(tmp_path / f"{i}.png", these, title="credit")
        width, height, colours = looked_at(tmp_path / f"{i}.png")
        assert (width, height) == (1650, 900) and colours > 20


def test_gates_picture(tmp_path):
    cell = r.deep(r.lstm, n, 40, layers=2)
    params = params_of(cell)
    words = ["In", "the", "beginning", "\n", "\U0001f40b\U00013000", "가", "."]
    found = activations(cell, params, cell.start(params), jnp.asarray(inputs(len(words), n)))
    pictures.gates(tmp_path / "words.png", found, words)
    width, height, colours = looked_at(tmp_path / "words.png")
    assert (width, height) == ((150 * 7), round(150 * (1.2 + 15))) and colours > 100
    pictures.gates(tmp_path / "one.png", found[:1], list("In the "))
    assert looked_at(tmp_path / "one.png")[1] == round(150 * 2.7)
    with pytest.raises(ValueError, match=r"^gates: there must be a gate to draw, but there is none\. Give a cell with"):
        pictures.gates(tmp_path / "none.png", (), words)


def test_network_picture(tmp_path):
    model = r.stack(r.embed(6, n), r.deep(r.lstm, n, m, layers=2, dropout=0.1), r.scan(r.gru(m, m)), r.dense(m, 6))
    for i, (cell, parts) in enumerate({model: 6, r.rnn(n, m): 1}.items()):
        pictures.network(tmp_path / f"{i}.png", cell, title="a network")
        width, height, colours = looked_at(tmp_path / f"{i}.png")
        assert width == 1650 and abs(height - 150 * (1.3 + 0.85 * (parts + 1))) <= 1 and colours > 20
