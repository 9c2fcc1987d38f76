"""Gradients that go forward in time: the exact one is in GRADIENTS; here the others, and what is kept."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward import AWKWARD
from equations import gate, sigmoid
from jax.flatten_util import ravel_pytree
from test_gradients import problem

import rnnjax as r
from conftest import CELLS, EXACT, LENGTHS, SINGLE, B, T, inputs, m, mingru, n, params_of, same, some, squared, state_of
from rnnjax.gradients.pattern import dependencies

RANDOM = {"uoro": r.uoro, "kf_rtrl": r.kf_rtrl, "forward_gradient": r.forward_gradient, "rflo": r.rflo}
UNBIASED = "uoro", "kf_rtrl", "forward_gradient"
BIASED = {"snap": r.snap, "eprop": r.eprop}
ALL = {"rtrl": r.rtrl} | BIASED | RANDOM
KEY = jax.random.key(5)


def keyed(name):
    return {"key": KEY} if name in RANDOM else {}


# the pattern of a Jacobian


def numbers_of(step, params, state, x):
    """The new state's numbers as a function of those of the old state and the params."""
    (s, state_of), (p, params_of) = ravel_pytree(state), ravel_pytree(params)
    return lambda s, p: ravel_pytree(step(params_of(p), state_of(s), x)[0])[0], s, p


@pytest.mark.parametrize("name", CELLS)
def test_pattern(name):
    """The pattern read from the equations is that of the Jacobian at random values, number by number."""
    cell = CELLS[name]
    params = params_of(cell)
    function, s, p = numbers_of(cell.step, params, state_of(cell, params), jnp.asarray(inputs(n)))
    if name == "relu":  # some of its units are dead at most points
        s, p = jnp.abs(s), jnp.abs(p)
        function, *_ = numbers_of(cell.step, params, cell.start(params), jnp.ones(n))
    seen = np.concatenate(jax.jacrev(function, (0, 1))(s, p), axis=1) != 0
    np.testing.assert_array_equal(dependencies(function, s, p).toarray(), seen)


@pytest.mark.parametrize("name", AWKWARD)
def test_pattern_holds_all(name):
    """Of any cell, however it is written, it never leaves out a number that the Jacobian has."""
    made = AWKWARD[name]
    if any(
        not jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating) for leaf in jax.tree.leaves((made.params, made.state))
    ):
        pytest.skip("not all numbers are real")
    x = jax.tree.map(lambda x: jnp.asarray(x)[0], made.xs)
    params, state = jax.tree.map(jnp.asarray, (made.params, made.state))
    function, s, p = numbers_of(made.step, params, state, x)
    seen = np.concatenate(jax.jacrev(function, (0, 1))(s, p), axis=1) != 0
    assert not (seen & ~dependencies(function, s, p).toarray()).any()


def kept(gradient, cell, x=None):
    """How many numbers the influence has for each param, relative to the param."""
    model = r.with_loss(cell, squared)
    params = params_of(model)
    width = jax.eval_shape(lambda: cell.step(params, cell.start(params), jnp.zeros(n)))[1].shape
    credit = gradient(model).start(params, (jnp.zeros(n), jnp.zeros(width))).credit
    return jax.tree.unflatten(jax.tree.structure(params), [len(j) for j in credit])


def test_what_is_kept():
    """A diagonal recurrence keeps O(P); a dense one m P; a layer's params have no influence on the layer below."""
    assert kept(r.rtrl, mingru(n, 6)) == (1, 1, 1)
    assert kept(r.rtrl, r.rnn(n, 6)) == r.RNNParams(6, 6, 6)
    assert kept(r.snap, r.rnn(n, 6)) == r.RNNParams(1, 1, 1)
    assert kept(r.snap, r.lstm(n, 6)) == r.LSTMParams(2, 2, 2)
    two = r.stack(mingru(n, 4), r.dense(4, 5), r.rnn(5, 6), r.dense(6, 2))
    assert kept(r.rtrl, two) == ((7, 7, 7), (6, 6), r.RNNParams(6, 6, 6), (0, 0))
    assert kept(r.eprop, r.rnn(n, 6)) == r.RNNParams(1, 1, 1)


@jax.custom_jvp
def straight_through(hard, soft):
    return hard


straight_through.defjvp(lambda at, d: (at[0], d[1]))


@jax.custom_jvp
def mean_field(x):
    return jnp.sin(x)


mean_field.defjvp(lambda at, d: (jnp.sin(at[0]), jnp.broadcast_to(d[0].mean(), d[0].shape)))


@jax.custom_vjp
def halved(x):
    return jnp.sin(x)


halved.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (0.5 * g * jnp.cos(x),))

STRANGE = {
    "spikes": lambda z: straight_through((z > 0).astype(z.dtype), jax.nn.sigmoid(z)),
    "a mixing rule": mean_field,
    "custom_vjp": halved,
    "checkpoint": jax.checkpoint(jnp.tanh),
    "cumsum": lambda z: jnp.tanh(jnp.cumsum(z)),
    "gather": lambda z: jnp.sin(z[jnp.array([2, 0, 0, 1])]),
}


@pytest.mark.parametrize("name", some([*AWKWARD, *STRANGE], 1))
def test_rtrl_of_any_cell(name):
    """However a step is written, the influence is whole: the gradient is that of `bptt`, from a carried state too."""
    if name in AWKWARD:
        params, state, xs, step = AWKWARD[name]
    else:
        cell = r.rnn(n, m, STRANGE[name])
        step, params, xs = cell.step, params_of(cell), inputs(T, n)
        state = state_of(cell, params)

    def judged(params, state, x):
        state, y = step(params, state, x)
        real = [leaf for leaf in jax.tree.leaves(y) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
        return state, sum(jnp.sin(leaf.real + leaf.imag).sum() for leaf in real)

    cell = r.Cell(None, None, judged)
    params, state, xs = jax.tree.map(jnp.asarray, (params, state, xs))
    exact, ours = (jax.jit(g(r.scan(cell, r.rolled)))(params, state, xs) for g in (r.bptt, r.rtrl))
    same(ours[:2], exact[:2], **(SINGLE if name == "half precision inside" else EXACT))
    same(*(jax.tree.map(_numbers, tree) for tree in (ours[2], exact[2])), **EXACT)


def _numbers(x):
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x


# the approximations, against their papers' equations


def snap1_by_hand(params, h, xs, targets):
    """SnAp-1 of a tanh RNN in NumPy: J[k, j] is ∂h_j by the k-th weight into unit j, and no other."""
    W, U, b = map(np.asarray, params)
    J = [np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)]
    slopes = [np.zeros_like(j) for j in J]
    h = np.asarray(h)
    for x, target in zip(xs, targets):
        new = np.tanh(x @ W + h @ U + b)
        f = 1 - new**2
        error = new - target
        back = U @ (f * error)  # ∂L/∂h of the step before
        direct = np.outer(x, f), np.outer(h, f), f
        for slope, j, d in zip(slopes, J, direct):
            slope += j * back + d * error
        J = [j * f * np.diag(U) + d for j, d in zip(J, direct)]
        h = new
    return [slope / len(xs) for slope in slopes]


def test_snap1():
    cell = CELLS["rnn"]
    params, state, (xs, targets) = problem(cell)
    _, grads, _ = jax.jit(r.snap(r.with_loss(cell, squared), 1))(params, state, (xs, targets))
    same(list(grads), snap1_by_hand(params, state, *map(np.asarray, (xs, targets))), **EXACT)


def eprop_by_hand(params, state, readout, xs, targets):
    """e-prop of an LSTM in NumPy (Bellec et al. 2020, supplementary note 2): ε' = f ε + ∂c'/∂W, and h' = o tanh c'."""
    W, U, b = map(np.asarray, params)
    h, c = map(np.asarray, state)
    V, d = map(np.asarray, readout)
    ε = [np.zeros((k, 4 * m)) for k in (n, m, 1)]
    slopes = [np.zeros_like(e) for e in ε] + [np.zeros_like(V), np.zeros_like(d)]
    for x, target in zip(xs, targets):
        z = x @ W + h @ U + b
        i, f, g, o = sigmoid(gate(z, 0, m)), sigmoid(gate(z, 1, m)), np.tanh(gate(z, 2, m)), sigmoid(gate(z, 3, m))
        new = f * c + i * g
        by_z = np.concatenate([g * i * (1 - i), c * f * (1 - f), i * (1 - g**2), 0 * o])
        ε = [np.tile(f, 4) * e + np.outer(v, by_z) for e, v in zip(ε, (x, h, np.ones(1)))]
        out = np.concatenate([np.zeros(3 * m), o * (1 - o) * np.tanh(new)])
        traces = [np.tile(o * (1 - np.tanh(new) ** 2), 4) * e + np.outer(v, out) for e, v in zip(ε, (x, h, np.ones(1)))]
        h, c = o * np.tanh(new), new
        error = h @ V + d - target
        for slope, e in zip(slopes, traces):
            slope += np.tile(V @ error, 4) * e
        slopes[3] += np.outer(h, error)
        slopes[4] += error
    W, U, b, V, d = (slope / len(xs) for slope in slopes)
    return r.LSTMParams(W, U, b[0]), r.DenseParams(V, d)


def test_eprop():
    model = r.stack(r.lstm(n, m), r.dense(m, 2))
    params = params_of(model)
    state, xs, targets = state_of(model, params), inputs(T, n), inputs(T, 2, seed=7)
    _, grads, _ = jax.jit(r.eprop(r.with_loss(model, squared)))(params, state, (jnp.asarray(xs), jnp.asarray(targets)))
    same(grads, eprop_by_hand(params[0], state[0], params[1], xs, targets), **EXACT)


LEAK = 0.2


def leaky():
    """The leaky RNN of Murray 2019: h' = (1 - a) h + a tanh(x W + h U)."""

    def step(params, h, x):
        W, U = params
        h = (1 - LEAK) * h + LEAK * jnp.tanh(x @ W + h @ U)
        return h, h

    return r.Cell(lambda key: tuple(jnp.zeros(s) for s in ((n, m), (m, m))), lambda params: jnp.zeros(m), step)


def rflo_by_hand(params, h, readout, feedback, xs, targets):
    """RFLO in NumPy (Murray 2019, equations 9 and 10), with the error brought back by `feedback` (m, k)."""
    W, U = map(np.asarray, params)
    V, d = map(np.asarray, readout)
    p, q = np.zeros_like(W), np.zeros_like(U)
    slopes, h = [np.zeros_like(a) for a in (W, U, V, d)], np.asarray(h)
    for x, target in zip(xs, targets):
        u = np.tanh(x @ W + h @ U)
        p = (1 - LEAK) * p + LEAK * np.outer(x, 1 - u**2)
        q = (1 - LEAK) * q + LEAK * np.outer(h, 1 - u**2)
        h = (1 - LEAK) * h + LEAK * u
        error = h @ V + d - target
        for slope, add in zip(slopes, ((feedback @ error) * p, (feedback @ error) * q, np.outer(h, error), error)):
            slope += add
    W, U, V, d = (slope / len(xs) for slope in slopes)
    return (W, U), r.DenseParams(V, d)


def test_rflo():
    """The random matrix is found from single steps with one error each, and then foretells whole sequences."""
    model = r.stack(leaky(), r.dense(m, 2))
    learner = r.rflo(r.with_loss(model, squared))
    params = params_of(model)
    state, xs, targets = state_of(model, params), inputs(T, n), inputs(T, 2, seed=7)
    run = jax.jit(functools.partial(learner, key=KEY))
    _, y = model.step(params, state, jnp.asarray(xs[0]))
    columns = []
    for error in np.eye(2):
        _, ((W, _), _), _ = run(params, state, (jnp.asarray(xs[:1]), (y - error)[None]))
        u = np.tanh(xs[0] @ params[0][0] + state[0] @ params[0][1])
        columns.append(W[0] / (LEAK * xs[0][0] * (1 - u**2)))
    feedback = np.stack(columns, axis=1)
    assert np.abs(feedback - params[1].W).max() > 0.1
    _, grads, _ = run(params, state, (jnp.asarray(xs), jnp.asarray(targets)))
    same(grads, rflo_by_hand(params[0], state[0], params[1], feedback, xs, targets), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", ["rflo", "eprop"])
def test_local_where_nothing_is_lost(name):
    """Of a diagonal recurrence without layers above, the local traces are the whole influence."""
    model = r.with_loss(CELLS["mingru"], squared)
    args = problem(CELLS["mingru"])
    same(jax.jit(ALL[name](model))(*args, **keyed(name)), jax.jit(r.bptt(model))(*args), **EXACT)


# the random ones


@pytest.mark.parametrize("name", UNBIASED)
@pytest.mark.parametrize("cell", ["rnn", pytest.param("gru", marks=pytest.mark.slow), "stack"])
def test_unbiased(name, cell):
    """The mean over many keys is the gradient, by a z-score of each number; and far nearer to it than e-prop is."""
    keys = 4000
    model, args = r.with_loss(CELLS[cell], squared), problem(CELLS[cell])
    exact, local = (ravel_pytree(jax.jit(g(model))(*args)[1])[0] for g in (r.bptt, r.eprop))
    draw = jax.jit(jax.vmap(lambda key: ravel_pytree(ALL[name](model)(*args, key=key)[1])[0]))
    draws, exact, local = np.asarray(draw(jax.random.split(KEY, keys))), np.asarray(exact), np.asarray(local)
    spread, far = draws.std(0) / np.sqrt(keys), draws.mean(0) - exact
    moving = spread > 1e-12
    z = far[moving] / spread[moving]
    np.testing.assert_allclose(far[~moving], 0, atol=1e-12)
    assert moving.sum() > len(exact) / 2 and np.abs(z).max() < 4.5, z
    assert np.linalg.norm(far) < 4 * np.linalg.norm(spread)
    if name != "forward_gradient":  # whose variance would take more keys
        assert np.linalg.norm(far) < 0.3 * np.linalg.norm(local - exact)


def test_variances():
    """Relative variances are as the papers order them, and that of the forward gradient is P - 1."""
    model, args = r.with_loss(CELLS["lstm"], squared), problem(CELLS["lstm"])
    exact = ravel_pytree(jax.jit(r.bptt(model))(*args)[1])[0]
    found = {}
    for name in UNBIASED:
        draw = jax.jit(jax.vmap(lambda key: ravel_pytree(ALL[name](model)(*args, key=key)[1])[0]))
        found[name] = float(draw(jax.random.split(KEY, 1000)).var(0).sum() / (exact**2).sum())
    assert 0 < 3 * found["kf_rtrl"] < found["uoro"] < found["forward_gradient"] / 3
    np.testing.assert_allclose(found["forward_gradient"], len(exact) - 1, rtol=0.15)


@pytest.mark.parametrize("name", RANDOM)
def test_keys(name):
    """The same key draws the same, another key another; each stream of a batch draws its own signs."""
    model, args = r.with_loss(CELLS["stack"], squared), problem(CELLS["stack"])
    run = jax.jit(ALL[name](model))
    one, again, other = (ravel_pytree(run(*args, key=jax.random.key(k))[1])[0] for k in (0, 0, 1))
    assert (one == again).all() and np.abs(one - other).max() > 1e-3
    if name == "rflo":
        return
    twins = jax.tree.map(lambda x: jnp.stack([x, x]), args[1]), jax.tree.map(lambda x: jnp.stack([x, x], 1), args[2])
    both = jax.jit(ALL[name](r.batch(model, 2)))(args[0], *twins, key=jax.random.key(0))[1]
    assert np.abs(ravel_pytree(both)[0] - one).max() > 1e-3


# what all share


@pytest.mark.parametrize("name", ALL)
def test_online(name):
    """T calls of one step each that carry credit on are one call of T steps, in loss, gradient, and last state."""
    cell = CELLS["gru"]
    model = r.batch(r.with_loss(cell, squared), B)
    learner = ALL[name](model)
    params, state, xs = problem(cell, T, (B,))
    keep = jnp.asarray(np.arange(T)[:, None] < LENGTHS)
    whole = jax.jit(learner)(params, state, xs, keep, **keyed(name))
    credited = learner.begun(params, state, jax.tree.map(lambda x: x[0], xs))
    if name in RANDOM:
        credited = credited._replace(credit=r.seed(credited.credit, KEY, B))
    one, total = jax.jit(learner), None
    for t in range(T):
        loss, grads, credited = one(params, credited, *jax.tree.map(lambda x: x[t : t + 1], (xs, keep)))
        weight = int(keep[t].sum()) / int(keep.sum())
        out = jax.tree.map(lambda a: a * weight, (loss, grads))
        total = out if total is None else jax.tree.map(jnp.add, total, out)
    same((*total, credited.state), whole, **EXACT)


@pytest.mark.parametrize("name", ["snap", "eprop", "rflo"])
def test_batch_is_the_mean_of_its_streams(name):
    """Streams of different lengths, weighted by their real steps; a feedback matrix is one for all of them."""
    cell = CELLS["stack"]
    model = r.with_loss(cell, squared)
    params, state, xs = problem(cell, T, (B,))
    keep = jnp.asarray(np.arange(T)[:, None] < LENGTHS)
    loss, grads, after = jax.jit(ALL[name](r.batch(model, B)))(params, state, xs, keep, **keyed(name))
    alone, total = jax.jit(ALL[name](model)), jax.tree.map(jnp.zeros_like, (loss, grads))
    for b in range(B):
        its = jax.tree.map(lambda s: s[b], state), jax.tree.map(lambda x: x[:, b], xs), keep[:, b]
        *out, its_after = alone(params, *its, **keyed(name))
        weight = int(keep[:, b].sum()) / int(keep.sum())
        total = jax.tree.map(lambda t, o: t + weight * o, total, tuple(out))
        same(its_after, jax.tree.map(lambda s: s[b], after), **EXACT)
    same((loss, grads), total, **EXACT)


@pytest.mark.parametrize("name", ["rtrl", "uoro", "kf_rtrl", "forward_gradient", "snap", "eprop"])
def test_memory_does_not_grow(name):
    """The compiled gradient of 100 times the steps takes no more temporary memory."""
    learner = ALL[name](r.with_loss(r.scan(r.lstm(n, 8)), squared))
    params = params_of(learner.cell)

    def memory(steps):
        xs = jax.ShapeDtypeStruct((steps, n), float), jax.ShapeDtypeStruct((steps, 8), float)
        program = jax.jit(learner).lower(params, learner.cell.start(params), xs, **keyed(name)).compile()
        return program.memory_analysis().temp_size_in_bytes

    assert memory(10_000) <= memory(100) + 1000


def complex_cell():
    """A diagonal linear recurrence of complex numbers, with a complex weight."""

    def step(params, h, x):
        λ, W = params
        h = jnp.exp(jax.lax.complex(-jnp.exp(λ[0]), λ[1])) * h + x.astype(complex) @ W
        return h, h.real

    def init(key):
        return jnp.zeros((2, m)), jnp.zeros((n, m), complex)

    return r.Cell(init, lambda params: jnp.zeros(m, complex), step)


def test_complex_state():
    """A complex state is two real numbers a unit, and its influence O(P)."""
    cell = complex_cell()
    λ, W = params_of(cell)
    params, h = (
        (λ, jax.lax.complex(W.real, jnp.asarray(inputs(n, m, seed=9)))),
        jnp.asarray(inputs(m, seed=1) + 1j * inputs(m, seed=2)),
    )
    model, xs = r.with_loss(cell, squared), (jnp.asarray(inputs(T, n)), jnp.asarray(inputs(T, m, seed=7)))
    same(jax.jit(r.rtrl(model))(params, h, xs), jax.jit(r.bptt(model))(params, h, xs), **EXACT)
    assert [len(j) for j in r.rtrl(model).start(params, (xs[0][0], xs[1][0])).credit] == [2, 2]


def test_dropout():
    """Random keys and integers in the state take no credit, and draw as they do in `bptt`."""
    model = r.with_loss(r.stack(r.rnn(n, m), r.dropout(0.5), r.gru(m, 2)), squared)
    params = params_of(model)
    xs = jnp.asarray(inputs(T, n)), jnp.asarray(inputs(T, 2, seed=7))
    state = r.seed(model.start(params), KEY)
    exact, ours = (jax.jit(g(model))(params, state, xs) for g in (r.bptt, r.rtrl))
    same(ours[:2], exact[:2], **EXACT)
    assert (ours[2][1].step == exact[2][1].step).all()


@pytest.mark.parametrize("name", ["rtrl", "snap", "uoro", "forward_gradient"])
def test_two_precisions(name):
    """Params of 32 bits and a state of 16 keep theirs; the exact gradient is as near to `bptt`'s as 16 bits allow."""

    def step(params, h, x):
        h = jnp.tanh(x @ params + h.astype(jnp.float32)).astype(jnp.bfloat16)
        return h, (h.astype(jnp.float32) ** 2).sum()

    cell = r.Cell(None, None, step)
    params, state = jnp.asarray(inputs(n, m, dtype=np.float32)), jnp.zeros(m, jnp.bfloat16)
    xs = jnp.asarray(inputs(T, n, dtype=np.float32))
    _, exact, _ = jax.jit(r.bptt(cell))(params, state, xs)
    _, grads, after = jax.jit(ALL[name](cell))(params, state, xs, **keyed(name))
    assert (grads.dtype, after.dtype) == (jnp.float32, jnp.bfloat16)
    if name in ("rtrl", "snap"):
        np.testing.assert_allclose(grads, exact, atol=0.03 * np.abs(exact).max())


def test_feedback_leaves_targets_alone():
    """Only a weight's transpose is replaced by random numbers, and never what the loss multiplies by."""
    model = r.stack(leaky(), r.dense(m, 2))
    learner = r.rflo(r.with_loss(model, lambda y, target: -jnp.dot(jax.nn.log_softmax(y), target)))
    params = params_of(model)
    xs = jnp.asarray(inputs(T, n)), jax.nn.one_hot(np.arange(T) % 2, 2, dtype=float)
    exact = jax.jit(r.eprop(learner.cell))(params, model.start(params), xs)[1]
    ours = jax.jit(learner)(params, model.start(params), xs, key=KEY)[1]
    same(ours[1], exact[1], **EXACT)
    assert np.abs(ours[0][0] - exact[0][0]).max() > 1e-3


def test_no_state():
    """A cell without a state has no credit to carry: the gradient is that of each step."""
    model = r.with_loss(r.dense(n, m), squared)
    params = params_of(model)
    xs = jnp.asarray(inputs(T, n)), jnp.asarray(inputs(T, m, seed=7))
    exact = jax.jit(r.bptt(model))(params, (), xs)
    for name in ALL:
        if name != "forward_gradient":
            same(jax.jit(ALL[name](model))(params, (), xs, **keyed(name)), exact, **EXACT)


def test_half_precision():
    """Params of 16 bits keep their dtype in the gradient, and the state its own."""
    cell = r.gru(n, m)
    model = r.with_loss(cell, lambda y, target: squared(y.astype(jnp.float32), target.astype(jnp.float32)))
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), params_of(cell))
    xs = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), (inputs(T, n), inputs(T, m, seed=7)))
    exact = ravel_pytree(
        jax.tree.map(lambda g: g.astype(float), jax.jit(r.bptt(model))(params, model.start(params), xs)[1])
    )[0]
    keep = jnp.arange(T) < T - 1
    for name in "rtrl", "snap", "uoro", "kf_rtrl", "forward_gradient", "eprop":
        assert {
            g.dtype
            for g in jax.tree.leaves(jax.jit(ALL[name](model))(params, model.start(params), xs, keep, **keyed(name))[1])
        } == {jnp.dtype(jnp.bfloat16)}
        _, grads, after = jax.jit(ALL[name](model))(params, model.start(params), xs, **keyed(name))
        assert {g.dtype for g in jax.tree.leaves((grads, after))} == {jnp.dtype(jnp.bfloat16)}
        if name == "rtrl":
            ours = ravel_pytree(jax.tree.map(lambda g: g.astype(float), grads))[0]
            np.testing.assert_allclose(ours, exact, atol=0.05 * np.abs(exact).max())


# what is refused


REFUSED = {
    r"^kf_rtrl: every param .* but params\[0\] enters by dynamic_slice\. Use rtrl, snap or uoro": lambda: r.kf_rtrl(
        r.with_loss(r.stack(r.embed(5, n), r.rnn(n, m)), squared)
    ).start(
        r.stack(r.embed(5, n), r.rnn(n, m)).init(KEY), (jnp.array(1), jnp.zeros(m))
    ),
    r"^bidirectional: there must be a single step": lambda: r.rtrl(
        r.with_loss(r.bidirectional(r.rnn(n, m), r.rnn(n, m)), squared)
    )(*(lambda cell, params: (params, cell.start(params), (jnp.zeros((T, n)), jnp.zeros((T, 2 * m)))))(
        cell := r.bidirectional(r.rnn(n, m), r.rnn(n, m)), cell.init(KEY)
    )),
    r"^rtrl: the cell must give one loss a step, but y is float64\[4\]\. Use with_loss": lambda: r.rtrl(r.rnn(n, m))(
        r.rnn(n, m).init(KEY), jnp.zeros(m), jnp.zeros((T, n))
    ),
    r"^rtrl: xs must have at least one step, but xs has none": lambda: r.rtrl(r.with_loss(r.rnn(n, m), squared))(
        r.rnn(n, m).init(KEY), jnp.zeros(m), (jnp.zeros((0, n)), jnp.zeros((0, m)))
    ),
    r"^rtrl: params must be floating, but params\[1\] is int64\[\]\. Keep it in the state": lambda: r.rtrl(
        r.Cell(None, None, lambda params, h, x: (h, (params[0] * h).sum()))
    )((jnp.ones(m), jnp.array(1)), jnp.zeros(m), jnp.zeros((T, n))),
    r"^rtrl: step must return the state it was given, but state went in as float64\[4\] and": lambda: r.rtrl(
        r.Cell(None, None, lambda params, h, x: (h.astype(jnp.float32), (params * h).sum()))
    )(jnp.ones(m), jnp.zeros(m), jnp.zeros((T, n))),
    r"^uoro: key must come with a plain state, but the state is Credited": lambda: (
        lambda learner, params: learner(params, learner.start(params, (jnp.zeros(n), jnp.zeros(m))), (), key=KEY)
    )(r.uoro(r.with_loss(r.rnn(n, m), squared)), r.rnn(n, m).init(KEY)),
    r"^kf_rtrl: every param .* but params enters by add\. Use": lambda: r.kf_rtrl(
        r.Cell(None, None, lambda b, h, x: (h + (b + b), h.sum()))
    )(jnp.ones(m), jnp.zeros(m), jnp.zeros((T, n)), key=KEY),
    r"^snap: n must be a positive int, but n is 0": lambda: r.snap(r.rnn(n, m), 0),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message):
    with pytest.raises((TypeError, ValueError), match=message):
        REFUSED[message]()


@pytest.mark.parametrize("name", RANDOM)
def test_no_key(name):
    args = problem(CELLS["rnn"])
    with pytest.raises(
        ValueError, match=rf"^{name}: what it draws must come from a key, but there is none\. Give key="
    ):
        ALL[name](r.with_loss(CELLS["rnn"], squared))(*args)


@pytest.mark.parametrize("name", ALL)
def test_built_alike(name):
    """Built alike they are the same, and say what they are."""
    learner = ALL[name](r.with_loss(r.scan(r.gru(n, m)), squared))
    assert learner is ALL[name](r.with_loss(r.scan(r.gru(n, m)), squared))
    assert repr(learner) == f"{name}(with_loss(gru({n}, {m}), squared))"
