"""How outputs are joined, and ways around a cell: two directions, highways, skips, norms, and what does not learn."""

import functools

import equations
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as r
from conftest import (
    EXACT,
    T,
    by_hand,
    holds_to,
    inputs,
    m,
    mingru,
    n,
    normal,
    outcome,
    params_of,
    same,
    squared,
    state_of,
)

B, LENGTHS = 3, (T, 0, 3)
KEEP = jnp.arange(T)[:, None] < jnp.asarray(LENGTHS)[None]


def problem(model):
    """Random params, and for B streams of T steps random states and inputs."""
    params = params_of(model)
    return params, state_of(r.batch(model, B), params), jnp.asarray(inputs(T, B, n))


def apart(run, params, state, xs):
    """What `run(params, state, xs)` gives for each stream up to its length, and zero from there."""
    runs = []
    for b, length in enumerate(LENGTHS):
        after, ys = run(params, jax.tree.map(lambda s: s[b], state), xs[: max(length, 1), b])
        if length == 0:
            after, ys = jax.tree.map(lambda s: s[b], state), ys[:0]
        runs.append((after, jnp.concatenate([ys, jnp.zeros((T - length, ys.shape[1]))])))
    states, ys = zip(*runs)
    return jax.tree.map(lambda *s: jnp.stack(s), *states), jnp.stack(ys, 1)


def slopes(run):
    return jax.jit(functools.partial(outcome, run))


# two directions


def own(y, z):
    """It looks at all features of one step, and is not zero for zeros."""
    return jnp.exp(y - z) / jnp.exp(y + z).sum()


JOINS = {
    "concatenate": ({}, lambda y, z: jnp.stack([*y, *z])),
    "sum": (dict(join=jnp.add), lambda y, z: y + z),
    "average": (dict(join=r.average), lambda y, z: 0.5 * y + 0.5 * z),
    "own": (dict(join=own), own),
    "own, rolled": (dict(join=own, loop=r.rolled), own),
}


@pytest.mark.parametrize("name", JOINS)
def test_joins(name):
    """In value and gradient, each direction run alone by a Python loop and joined step by step; where a mask ends
    them, whatever the join, zero."""
    options, join = JOINS[name]
    forward, backward = r.rnn(n, m), r.gru(n, m)

    def reference(params, state, xs):
        ahead, ys = by_hand(forward, params[0], state[0], xs)
        behind, zs = by_hand(backward, params[1], state[1], xs, reverse=True)
        return (ahead, behind), jnp.stack([join(y, z) for y, z in zip(ys, zs)])

    model = r.bidirectional(forward, backward, **options)
    args = problem(model)
    together = slopes(lambda *args: r.batch(model, B).step(*args, KEEP))(*args)
    same(together, slopes(functools.partial(apart, reference))(*args), **EXACT)
    stream = args[0], jax.tree.map(lambda s: s[0], args[1]), args[2][:, 0]
    same(model.step(*stream)[1], together[0][1][:, 0], **EXACT)


# layers as wide as what they read


def widths(model):
    return [w.shape[0] for w in jax.tree.leaves(jax.eval_shape(model.init, jax.random.key(0))) if w.ndim == 2][::2]


def test_widths():
    """A layer is made for what the one before gives out, through its join; for m if no vector goes in."""
    two = dict(layers=3, bidirectional=True)
    assert widths(r.deep(r.rnn, n, m, **two)) == [n, n, 2 * m, 2 * m, 2 * m, 2 * m]
    assert widths(r.deep(r.rnn, n, m, join=jnp.add, **two)) == [n, n, m, m, m, m]
    assert widths(r.deep(r.rnn, n, m, join=lambda y, z: jnp.outer(y, z).ravel(), **two))[2:] == 4 * [m * m]
    assert widths(r.deep(lambda n, m: r.skip(r.rnn(n, m)), n, m, layers=3)) == [n, n + m, n + 2 * m]
    assert widths(r.deep(lambda n, m: r.stack(r.rnn(n, m), r.lift(lambda h: h[:2])), n, m, layers=2)) == [n, 2]
    fields = r.deep(lambda n, m: r.conv_lstm((4,), n, m), n, 2, **two)
    xs = inputs(T, 4, n)
    assert fields.step(params := params_of(fields), fields.start(params), xs)[1].shape == (T, 4, 4)


def half(n, m):
    """A cell in single precision, whatever JAX's own is."""
    cell = r.rnn(n, m)
    return cell._replace(init=lambda key: jax.tree.map(lambda p: p.astype(jnp.float32), cell.init(key)))


def test_widths_whatever_the_dtype():
    assert widths(r.deep(lambda n, m: r.stack(half(n, m), r.lift(lambda h: h[:2])), n, m, layers=2)) == [n, 2]


NAMES = "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"


@pytest.mark.parametrize("bidirectional", [False, True])
def test_deep_projections_are_torch(bidirectional):
    """`nn.LSTM(proj_size=2, num_layers=2)`: outputs, states, and gradients of weights, states and inputs, packed."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    options = dict(num_layers=2, bidirectional=bidirectional, dtype=torch.float64)
    module, lengths = torch.nn.LSTM(n, m, proj_size=2, **options), np.array([3, T, 1])
    model = r.deep(functools.partial(r.projected_lstm, p=2), n, m, layers=2, bidirectional=bidirectional)

    def paired(flat):
        return (tuple(flat[:2]), tuple(flat[2:])) if bidirectional else tuple(flat)

    def params(of):
        """Ours, and PyTorch's second biases, which are a part of our one."""
        suffixes = [f"l{layer}{way}" for layer in (0, 1) for way in ("", "_reverse")[: 1 + bidirectional]]
        tensors = [[of(module.get_parameter(f"{k}_{s}")).detach().numpy() for k in NAMES] for s in suffixes]
        return [r.ProjectedParams(W.T, U.T, b, P.T) for W, U, b, _, P in tensors], [d for *_, d, _ in tensors]

    def states(h, c):
        return paired([r.LSTMState(*hc) for hc in zip(h, c)])

    mine = jax.tree.map(jnp.asarray, paired([p._replace(b=p.b + d) for p, d in zip(*params(lambda weight: weight))]))
    h, c = (inputs(2 + 2 * bidirectional, B, width, seed=width) for width in (2, m))
    args = mine, jax.tree.map(jnp.asarray, states(h, c)), jnp.asarray(inputs(B, T, n))

    def run(params, state, xs):
        return r.apply(model, params, xs, state=state, lengths=lengths)

    (last, ys), grads = slopes(run)(*args)
    h, c, x = (torch.tensor(np.asarray(a), requires_grad=True) for a in (h, c, args[2]))
    pack = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), True, enforce_sorted=False)
    out, after = module(pack, (h, c))
    out, _ = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=T)
    same((last, ys), (states(*(a.detach().numpy() for a in after)), out.detach().numpy()), **EXACT)
    pairs = zip(jax.tree.leaves(normal((last, ys), seed=99)), [*jax.tree.leaves(states(*after)), out], strict=True)
    sum((a * torch.tensor(np.asarray(seed))).sum() for seed, a in pairs).backward()
    theirs = paired(params(lambda weight: weight.grad)[0]), states(h.grad.numpy(), c.grad.numpy()), x.grad.numpy()
    same(grads, theirs, **EXACT)


# ways around a cell


def highway_by_numpy(params, h, xs):
    (*inner,), W, b = params
    after, ys = equations.rnn(inner, h, xs)
    t = equations.sigmoid(xs @ W + b)
    return after, t * ys + (1 - t) * xs


def skip_by_numpy(params, h, xs):
    after, ys = equations.rnn(params, h, xs)
    return after, np.concatenate([xs, ys], 1)


AROUND = {
    "highway": (lambda cell: r.highway(cell, n), highway_by_numpy),
    "skip": (r.skip, skip_by_numpy),
}


@pytest.mark.parametrize("name", AROUND)
def test_equations(name):
    """Values equal NumPy's at 1e-10; gradients of params, state and inputs equal central differences of NumPy's."""
    around, reference = AROUND[name]
    cell = around(r.rnn(n, n))
    params = params_of(cell)
    holds_to(reference, cell, params, state_of(cell, params), inputs(T, n))


WAYS = {
    "highway": (lambda cell: r.highway(cell, n), r.lstm(n, n)),
    "skip": (r.skip, r.rnn(n, m)),
    "frozen": (r.frozen, r.rnn(n, m)),
    "norms": (lambda cell: r.stack(r.layer_norm(n), cell, r.rms_norm(m)), r.rnn(n, m)),
}


@pytest.mark.parametrize("name", WAYS)
def test_any_order(name):
    """Around a step or a scan, in a batch or batched, masked: one function, in value and gradient, and `by_hand`."""
    around, cell = WAYS[name]
    step, whole = around(cell), around(r.scan(cell))
    args = problem(step)
    expected = slopes(functools.partial(apart, functools.partial(by_hand, step)))(*args)
    for model in r.scan(r.batch(step, B)), r.batch(whole, B):
        same(slopes(lambda *args: model.step(*args, KEEP))(*args), expected, **EXACT)
        same(model.start(args[0]), r.batch(step, B).start(args[0]), rtol=0, atol=0)
        same(model.init(jax.random.key(0)), step.init(jax.random.key(0)), rtol=0, atol=0)
    params, state, x = args[0], step.start(args[0]), args[2][0, 0]
    same(whole.each.step(params, state, x), step.step(params, state, x), **EXACT)


@pytest.mark.parametrize("around", [r.residual, lambda cell: r.highway(cell, n), r.skip, r.frozen])
def test_promise_is_kept(around):
    """`affine`, equal to `step`; in parallel over time as one after another, in value and gradient."""
    cell = around(mingru(n, n))
    params = params_of(cell)
    r.check(cell, jnp.asarray(inputs(n)))
    args = params, state_of(cell, params), jnp.asarray(inputs(T, n))
    keep = jnp.arange(T) % 3 != 1
    models = (r.scan(cell, loop) for loop in (r.associative, r.rolled))
    same(*(slopes(lambda *args: model.step(*args, keep))(*args) for model in models), **EXACT)


def test_highway_begins_nearly_shut():
    """t is σ(-1) before the first update, or as `bias` says; at its ends the cell alone, or nothing of it."""
    cell, key, x = r.highway(r.rnn(n, n), n), jax.random.key(0), jnp.asarray(inputs(n))
    params = cell.init(key)
    np.testing.assert_array_equal(params.b, -np.ones(n))
    deeper = r.highway(r.rnn(n, n), n, bias=r.weights.biases(-3), weight=jax.nn.initializers.ones).init(key)
    assert np.all(deeper.b == -3) and np.all(deeper.W == 1)
    _, inner = r.rnn(n, n).step(params.cell, cell.start(params), x)
    for bias, expected in (-800.0, x), (800.0, inner):
        _, y = cell.step(params._replace(b=jnp.full(n, bias)), cell.start(params), x)
        np.testing.assert_allclose(y, expected, **EXACT)


# norms


@pytest.mark.parametrize("epsilon", [1e-5, 0.1])
@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
def test_norms_are_torch(name, epsilon):
    """In value and gradient, of gain, bias and input."""
    torch = pytest.importorskip("torch")
    module = getattr(torch.nn, name)(n, eps=epsilon, dtype=torch.float64)
    make = r.layer_norm if name == "LayerNorm" else r.rms_norm
    model = r.scan(make(n, epsilon=epsilon))
    params, xs = params_of(model), jnp.asarray(inputs(T, n))
    with torch.no_grad():
        for weight, its in zip(module.parameters(), jax.tree.leaves(params), strict=True):
            weight.copy_(torch.tensor(np.asarray(its)))
    (_, ys), (grads, _, slope) = outcome(model.step, params, (), xs)
    x = torch.tensor(np.asarray(xs), requires_grad=True)
    out = module(x)
    (out * torch.tensor(np.asarray(normal(((), ys), seed=99)[1]))).sum().backward()
    np.testing.assert_allclose(ys, out.detach().numpy(), **EXACT)
    theirs = [weight.grad.numpy() for weight in module.parameters()]
    same(jax.tree.leaves(grads) + [slope], [*theirs, x.grad.numpy()], **EXACT)


def test_norms_begin_plain():
    params = r.layer_norm(n, gain=jax.random.normal, bias=r.weights.biases(2)).init(jax.random.key(0))
    assert len(set(np.asarray(params.w))) == n and np.all(params.b == 2)
    same(r.layer_norm(n).init(jax.random.key(0)), r.LayerNormParams(jnp.ones(n), jnp.zeros(n)), rtol=0, atol=0)
    same(r.rms_norm(n).init(jax.random.key(0)), jnp.ones(n), rtol=0, atol=0)


# what does not learn


def judged(layers):
    return r.with_loss(r.stack(*layers, r.dense(m, 2)), squared)


@pytest.mark.parametrize("over_time", [False, True])
@pytest.mark.parametrize(
    "gradient", [r.bptt, r.rtrl, pytest.param(functools.partial(r.tbptt, window=3), marks=pytest.mark.slow)]
)
def test_frozen(gradient, over_time):
    """Grads of its params are exactly zero, those of layers below and above what they were; loss and state too."""
    first, second = r.rnn(n, n), r.gru(n, m)
    layers = (r.scan(first), r.scan(second)) if over_time else (first, second)
    plain, still = judged(layers), judged((layers[0], r.frozen(layers[1])))
    params, data = params_of(plain), (jnp.asarray(inputs(T, B, n)), jnp.asarray(inputs(T, B, 2, seed=7)))
    keep = None if gradient is r.rtrl else KEEP

    @jax.jit
    def both(params):
        models = r.batch(plain, B), r.batch(still, B)
        return [gradient(model)(params, model.start(params), data, keep) for model in models]

    (loss, grads, state), (its_loss, its_grads, its_state) = both(params)
    same((its_loss, its_state, its_grads[0], its_grads[2]), (loss, state, grads[0], grads[2]), **EXACT)
    assert all(np.any(g) for g in jax.tree.leaves(grads)) and not any(np.any(g) for g in jax.tree.leaves(its_grads[1]))


def test_frozen_start_and_slopes():
    """No gradient through `start` either; those of a state and of inputs are the cell's, both ways and by `whole`."""
    learned = r.rnn(n, m)._replace(start=lambda params: params.b)
    for model in r.scan(learned), r.bidirectional(learned, r.gru(n, m)):
        params, xs = params_of(model), jnp.asarray(inputs(T, n))
        state = state_of(model, params)
        still = r.frozen(model)
        value, (_, *others) = slopes(model.step)(params, state, xs)
        its_value, (grads, *its_others) = slopes(still.step)(params, state, xs)
        same((its_value, its_others), (value, others), **EXACT)
        begun = jax.grad(lambda params: sum(s.sum() for s in jax.tree.leaves(still.start(params))))(params)
        assert not any(np.any(g) for g in jax.tree.leaves((grads, begun)))
        batched = r.batch(still, B).step(params, r.batch(model, B).start(params), jnp.stack([xs] * B, 1))
        same(batched[1][:, 0], model.step(params, model.start(params), xs)[1], **EXACT)
    noise = r.frozen(r.dropout(0.5))
    r.check(noise, jnp.ones(n))
    assert noise.whole is not None and r.frozen(r.batch(learned, B)).one == r.frozen(learned)
