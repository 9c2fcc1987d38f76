"""The algebra's laws: what may be exchanged, split, masked, mapped and differentiated without a change."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import rnnjax as r
from conftest import (
    CELLS,
    EXACT,
    LENGTHS,
    LOOPS,
    SINGLE,
    B,
    T,
    by_hand,
    inputs,
    m,
    n,
    normal,
    outcome,
    params_of,
    same,
    squared,
    state_of,
)


def models(**loop):
    return {
        "deep": r.deep(r.gru, n, m, layers=2, **loop),
        "reversed": r.scan(r.rnn(n, m), reverse=True, **loop),
        "both ways": r.deep(r.gru, n, m, layers=2, bidirectional=True, **loop),
        "two kinds": r.bidirectional(r.gru(n, m), r.rnn(n, m), **loop),
        "one step": r.stack(r.dense(n, m), r.residual(r.gru(m, m))),
        "mixed": r.stack(r.dense(n, n), r.residual(r.scan(r.gru(n, n), **loop)), r.dropout(0.5), r.dense(n, 2)),
        "ways around": r.stack(
            r.layer_norm(n),
            r.skip(r.bidirectional(r.highway(r.rnn(n, n), n), r.skip(r.rnn(n, 1)), join=one_and_other, **loop)),
            r.dropout(0.5),
            r.frozen(r.highway(r.scan(r.rnn(10, 10), **loop), 10)),
            r.rms_norm(10),
        ),
    }


def one_and_other(y, z):
    """Of widths n and n + 1, and not zero for zeros."""
    return jnp.concatenate([z, jnp.exp(y)])


MODELS = models() | {"two kinds": models(loop=r.checkpointed)["two kinds"]}
REFERENCES = models(loop=r.python)  # the same in Python loops


def whole(model):
    return model if model.each is not None else r.scan(model)


# batch


@pytest.mark.parametrize("name", ["lstm", "gru", "stack"])
def test_batch_and_scan_commute(name):
    """batch(scan(cell)) == scan(batch(cell)), in value and in the gradient of params, state and inputs."""
    cell = CELLS[name]
    inner, outer = r.scan(r.batch(cell, B)), r.batch(r.scan(cell), B)
    params = params_of(cell)
    args = params, state_of(outer, params), inputs(T, B, n)
    one, other = jax.jit(lambda *args: (outcome(inner.step, *args), outcome(outer.step, *args)))(*args)
    same(one, other, **EXACT)
    same(inner.start(params), outer.start(params), **EXACT)
    same(outer.each.step(params, args[1], args[2][0]), r.batch(cell, B).step(params, args[1], args[2][0]), **EXACT)


def test_masks_commute_too():
    """A mask (T, B) is the same to scan(batch) and batch(scan), with a batch that is stopped here and there."""
    cell = CELLS["lstm"]
    params = params_of(cell)
    keep = jnp.asarray(np.random.default_rng(0).random((T, B)) < 0.6)
    args = params, state_of(r.batch(cell, B), params), inputs(T, B, n)
    inner = outcome(lambda *args: r.scan(r.batch(cell, B)).step(*args, keep), *args)
    same(outcome(lambda *args: r.batch(r.scan(cell), B).step(*args, keep), *args), inner, **EXACT)


@pytest.mark.parametrize("name", MODELS)
def test_apply(name):
    """`apply` is each sequence's own run; its default state is the start."""
    model = MODELS[name]
    params, xs = params_of(model), inputs(B, T, n)
    state, ys = r.apply(model, params, xs)
    for b in range(B):
        alone, expected = whole(REFERENCES[name]).step(params, model.start(params), xs[b])
        same((jax.tree.map(lambda s: s[b], state), ys[b]), (alone, expected), **EXACT)


# masks


@pytest.mark.parametrize("name", MODELS)
def test_lengths(name):
    """A padded run is the unpadded runs, at lengths 0, 1, k and T, in value and gradient, with NaN in the padding."""
    model = MODELS[name]
    params = params_of(model)
    state, xs = state_of(r.batch(whole(model), B), params), inputs(B, T, n)
    padded = np.where(np.arange(T)[None, :, None] < LENGTHS[:, None, None], xs, np.nan)

    width = jax.eval_shape(lambda: r.apply(model, params, xs)[1]).shape[-1]

    def together(params, state):
        return r.apply(model, params, padded, lengths=LENGTHS, state=state)

    def apart(params, state):
        runs = []
        for b, length in enumerate(LENGTHS):
            after, ys = jax.tree.map(lambda s: s[b], state), jnp.zeros((0, width))
            if length:
                after, ys = whole(REFERENCES[name]).step(params, after, xs[b, :length])
            runs.append((after, jnp.concatenate([ys, jnp.zeros((T - length, width))])))
        return jax.tree.map(lambda *parts: jnp.stack(parts), *runs)

    value, gradient = jax.jit(lambda *args: outcome(together, *args))(params, state)
    same((value, gradient), jax.jit(lambda *args: outcome(apart, *args))(params, state), **EXACT)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((value, gradient)))
    after, ys = value
    assert not np.any(ys[np.arange(T)[None] >= LENGTHS[:, None]])
    same(jax.tree.map(lambda s: s[1], after), jax.tree.map(lambda s: s[1], state), **EXACT)  # of length 0


def test_lengths_of_symbols():
    """Padding that is no symbol at all does no harm to an embedding."""
    model = r.stack(r.embed(6, n), r.scan(r.gru(n, m)), r.dense(m, 6))
    params = params_of(model)
    xs = np.random.default_rng(0).integers(0, 6, (B, T))
    padded = np.where(np.arange(T)[None] < LENGTHS[:, None], xs, -1000)
    same(r.apply(model, params, padded, lengths=LENGTHS), r.apply(model, params, xs, lengths=LENGTHS), **EXACT)


def test_gradient_of_padding():
    """Real inputs have their gradient, padding has none."""
    model = MODELS["both ways"]
    params, xs = params_of(model), inputs(B, T, n)
    slope = jax.grad(lambda xs: r.apply(model, params, xs, lengths=LENGTHS)[1].sum())(xs)
    real = np.arange(T)[None] < LENGTHS[:, None]
    assert np.all(np.abs(slope).max(-1)[real] > 1e-8) and not np.any(slope[~real])


def test_lengths_are_traced():
    """One trace for all lengths of a shape, concrete, as lists, or traced in the user's own jit."""
    traces = []
    model = r.stack(r.gru(n, m), r.lift(lambda x: traces.append(x) or x))
    params, xs = params_of(model), inputs(B, T, n)
    for shift in range(4):
        lengths = np.roll(LENGTHS, shift)
        _, ys = r.apply(model, params, xs, lengths=lengths)
        same(r.apply(model, params, xs, lengths=jnp.asarray(lengths, jnp.int32))[1], ys, **EXACT)
    assert len(traces) <= 2  # int64 and int32
    traces.clear()
    run = jax.jit(lambda lengths: r.apply(model, params, xs, lengths=lengths)[1])
    for shift in range(4):
        ys = run(jnp.asarray(np.roll(LENGTHS, shift)))
    same(ys, r.apply(model, params, xs, lengths=np.roll(LENGTHS, 3))[1], **EXACT)
    assert len(traces) <= 1


# time


@pytest.mark.parametrize("name", ["deep", "one step", "mixed"])
@pytest.mark.parametrize("cut", [1, 4])
def test_state_goes_on(name, cut):
    """A run in two parts is the run in one, also where sequences end in either part."""
    model = MODELS[name]
    params, xs = params_of(model), inputs(B, T, n)
    for lengths in None, LENGTHS:
        first, second = (None, None) if lengths is None else (lengths.clip(0, cut), (lengths - cut).clip(0))
        state, ys = r.apply(model, params, xs[:, :cut], lengths=first)
        state, zs = r.apply(model, params, xs[:, cut:], state=state, lengths=second)
        same((state, jnp.concatenate([ys, zs], 1)), r.apply(model, params, xs, lengths=lengths), **EXACT)


def test_stack_and_scan_commute():
    """A scan over a stack is the stack of the scans, and of a stack within a stack; params and state too."""
    cells = r.lstm(n, m), r.dense(m, 2), r.gru(2, m)
    inner, outer = r.scan(r.stack(*cells)), r.stack(*map(r.scan, cells))
    half = r.stack(r.scan(cells[0]), *cells[1:])
    nested = r.stack(r.scan(cells[0]), r.stack(*cells[1:]))
    params = params_of(inner)
    args = params, state_of(inner, params), inputs(T, n)

    @jax.jit
    def all_forms(params, state, xs):
        deeper = [(first, tuple(rest)) for first, *rest in (params, state)]
        grads = [outcome(model.step, params, state, xs) for model in (inner, outer)]
        return grads, half.step(params, state, xs), nested.step(*deeper, xs)[1]

    forms, partly, ys = all_forms(*args)
    reference = jax.jit(lambda *args: outcome(functools.partial(by_hand, r.stack(*cells)), *args))(*args)
    for form in forms:
        same(form, reference, **EXACT)
    same((partly, ys), (reference[0], reference[0][1]), **EXACT)
    for model in outer, half:
        same(model.init(jax.random.key(0)), inner.init(jax.random.key(0)), rtol=0, atol=0)


@pytest.mark.parametrize("keep", [None, np.arange(T) % 3 != 1])
def test_residual(keep):
    """scan(residual(cell)) == residual(scan(cell)), which adds x, and is zero with everything else under a mask."""
    cell = r.gru(n, n)
    params = params_of(cell)
    args = params, state_of(cell, params), jnp.asarray(inputs(T, n))
    state, ys = by_hand(cell, *args, keep)
    mask = () if keep is None else (jnp.asarray(keep),)
    real = np.ones(T) if keep is None else keep.astype(float)
    for model in r.scan(r.residual(cell)), r.residual(r.scan(cell)):
        same(model.step(*args, *mask), (state, ys + args[2] * real[:, None]), **EXACT)


def test_bidirectional():
    """Its halves are the forward run and the reversed run; the backward state is the one at the first step."""
    forward, backward = r.lstm(n, m), r.gru(n, 2)
    model = r.bidirectional(forward, backward)
    params = params_of(model)
    state, xs = state_of(model, params), inputs(T, n)
    ahead, ys = by_hand(forward, params[0], state[0], xs)
    behind, zs = by_hand(backward, params[1], state[1], xs[::-1])
    same(model.step(params, state, xs), ((ahead, behind), jnp.concatenate([ys, zs[::-1]], -1)), **EXACT)
    same(behind, zs[-1], **EXACT)


def test_deep_widths():
    """Layers of `deep` are n or m wide, or 2m after a bidirectional one, and a user's own constructor will do."""
    shapes = [p[0].U.shape + p[0].W.shape for p in params_of(r.deep(r.gru, n, m, layers=3, bidirectional=True))]
    assert shapes == [(m, 3 * m, n, 3 * m), (m, 3 * m, 2 * m, 3 * m), (m, 3 * m, 2 * m, 3 * m)]
    own = r.deep(lambda n, m: r.rnn(n, m, jax.nn.relu), n, m, layers=2, loop=r.checkpointed, segments=2)
    params, xs = params_of(own), inputs(T, n)

    @jax.jit
    def run(params, xs):
        h, ys = by_hand(r.rnn(n, m, jax.nn.relu), params[0], jnp.zeros(m), xs)
        g, ys = by_hand(r.rnn(m, m, jax.nn.relu), params[1], jnp.zeros(m), ys)
        return ((h, g), ys), own.step(params, own.start(params), xs)

    same(*run(params, xs), **EXACT)


@pytest.mark.parametrize("over_time", [False, True])
def test_with_loss(over_time):
    """One loss a step, 0 where a mask leaves the step out; params, state and step are the cell's."""
    cell = r.gru(n, m)
    model = r.with_loss(r.scan(cell), squared) if over_time else r.scan(r.with_loss(cell, squared))
    params = params_of(cell)
    state, xs, targets = state_of(cell, params), inputs(T, n), inputs(T, m, seed=7)
    keep = np.array([True, False, True, True, False, True, False])
    for mask in None, keep:
        after, ys = by_hand(cell, params, state, xs, mask)
        real = np.ones(T, bool) if mask is None else mask
        losses = [0.5 * np.sum((np.asarray(y) - t) ** 2) if kept else 0.0 for y, t, kept in zip(ys, targets, real)]
        given = () if mask is None else (jnp.asarray(mask),)
        same(model.step(params, state, (xs, targets), *given), (after, np.array(losses)), **EXACT)


# transformations


def small(loop):
    model = r.scan(r.rnn(2, 2), **loop)
    at, unravel = ravel_pytree(params_of(model))
    xs = inputs(3, 2)

    def objective(vector):
        params = unravel(vector)
        return squared(model.step(params, model.start(params), xs)[1][-1], jnp.ones(2))

    return objective, at


@pytest.mark.parametrize("loop", [{}, dict(loop=r.checkpointed, segments=2)], ids=["rolled", "checkpointed"])
def test_derivatives(loop):
    """Forward, reverse and second derivatives of a small model are those of the Python loop."""
    objective, at = small(loop)
    reference, _ = small(dict(loop=r.python))
    direction = jnp.asarray(inputs(len(at), seed=8))

    @jax.jit
    def derivatives(at):
        _, along = jax.jvp(objective, (at,), (direction,))
        slopes = jax.grad(objective)(at), jax.jacfwd(objective)(at)
        return along, slopes, (jax.hessian(objective)(at), jax.jacrev(jax.grad(objective))(at))

    along, slopes, curvatures = derivatives(at)
    slope, curvature = jax.jit(lambda at: (jax.grad(reference)(at), jax.hessian(reference)(at)))(at)
    np.testing.assert_allclose(along, slope @ direction, **EXACT)
    for its in slopes:
        same(its, slope, **EXACT)
    for its in curvatures:
        same(its, curvature, **EXACT)


def test_ensemble():
    """`vmap` over params runs an ensemble, gradients too."""
    model = r.with_loss(r.bidirectional(r.rnn(n, m), r.rnn(n, m)), squared)
    members = [params_of(model, seed) for seed in range(3)]
    xs = inputs(T, n), inputs(T, 2 * m, seed=7)

    def train(params):
        return r.bptt(model)(params, model.start(params), xs)

    together = jax.jit(jax.vmap(train))(jax.tree.map(lambda *p: jnp.stack(p), *members))
    for k, params in enumerate(members):
        same(jax.tree.map(lambda a: a[k], together), jax.jit(train)(params), **EXACT)


# precision


@pytest.mark.parametrize("options", [LOOPS["rolled"], LOOPS["checkpointed"]], ids=["rolled", "checkpointed"])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_dtype_stays(dtype, options):
    """Params and inputs of a dtype give states, outputs, losses and gradients of that dtype, under strict promotion."""
    model = r.stack(r.deep(r.lstm, n, m, bidirectional=True, dropout=0.5, layers=2, **options), r.dense(2 * m, 2))
    model = r.batch(r.with_loss(model, squared), B)
    params = jax.tree.map(lambda p: p.astype(dtype), params_of(model))
    xs = jnp.asarray(inputs(T, B, n), dtype), jnp.asarray(inputs(T, B, 2), dtype)
    keep = jnp.arange(T)[:, None] < jnp.asarray(LENGTHS)[None]
    state = r.seed(model.start(params), jax.random.PRNGKey(0), B)
    loss, grads, after = jax.eval_shape(r.bptt(model), params, state, xs, keep)
    floats = [a for a in jax.tree.leaves((loss, grads, after)) if jnp.issubdtype(a.dtype, jnp.floating)]
    assert len(floats) == 1 + len(jax.tree.leaves(params)) + 8 and {a.dtype for a in floats} == {jnp.dtype(dtype)}


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_single_precision(name):
    """float32 is close to float64, in value and gradient."""
    cell = CELLS[name]
    params = params_of(cell)
    args = params, state_of(cell, params), jnp.asarray(inputs(T, n))
    seeds = normal(r.scan(cell).step(*args), seed=99)

    def both(*args):
        value, pull = jax.vjp(r.scan(cell).step, *args)
        return value, pull(jax.tree.map(lambda s, v: s.astype(v.dtype), seeds, value))

    def to(dtype, tree):
        return jax.tree.map(lambda a: jnp.asarray(a, dtype), tree)

    same(to("float64", both(*to("float32", args))), both(*args), **SINGLE)
