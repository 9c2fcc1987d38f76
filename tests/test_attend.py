"""Attention: the equations of both papers, sources of any length, gradients into the encoder, and what it learns."""

import functools
from typing import NamedTuple

import equations_memory as eq
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from test_deferred import everything, jaxprs

import rnnjax as r
from conftest import (
    EXACT,
    T,
    by_hand,
    differences,
    inputs,
    joined,
    n,
    normal,
    outcome,
    params_of,
    same,
    squared,
    state_of,
)

m, k, S = 4, 6, 5

TWO = r.stack(r.lstm(n + k, 3), r.gru(3, m))

# name -> the decoder, and its equations: (params, the cell's state, places, xs) -> (the cell's state, ys, weights)
FAMILY = {
    "bahdanau": (
        r.bahdanau(r.gru(n + k, m), m, k, r.additive(7)),
        functools.partial(eq.bahdanau, eq.additive, eq.by_gru, lambda h: h),
    ),
    "bahdanau, lstm, general": (
        r.bahdanau(r.lstm(n + k, m), m, k, r.general),
        functools.partial(eq.bahdanau, eq.general, eq.by_lstm, lambda state: state[0]),
    ),
    "bahdanau, two layers": (
        r.bahdanau(TWO, m, k, r.additive(2)),
        functools.partial(eq.bahdanau, eq.additive, eq.by_two, lambda state: state[1]),
    ),
    "bahdanau, the lower of two": (
        r.bahdanau(TWO, 3, k, r.additive(2), query=lambda state: state[0].h),
        functools.partial(eq.bahdanau, eq.additive, eq.by_two, lambda state: state[0][0]),
    ),
    "luong": (r.luong(r.gru(n, m), m, k, r.general), functools.partial(eq.luong, eq.general, eq.by_gru)),
    "luong, dot": (r.luong(r.lstm(n, k), k, k, r.dot), functools.partial(eq.luong, eq.dot, eq.by_lstm)),
    "luong, two layers": (
        r.luong(r.stack(r.lstm(n, 3), r.gru(3, m)), m, k, r.additive(3)),
        functools.partial(eq.luong, eq.additive, eq.by_two),
    ),
    "luong, fed back": (
        r.fed_back(r.luong(r.lstm(n + m, m), m, k, r.general), m),
        lambda *args: eq.luong(eq.general, eq.by_lstm, *args, feed=np.zeros(m)),
    ),
}
CELLS = {name: cell for name, (cell, _) in FAMILY.items()}
QUICK = "bahdanau, two layers", "luong, fed back"


def named(*quick):
    """All decoders by name, those that are not quick left to `pytest -m slow`."""
    rows = [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in FAMILY]
    return pytest.mark.parametrize("name", rows)


def attending(state):
    return state if isinstance(state, r.AttendState) else state[0]


def with_cell(state, inner):
    """The state of a decoder, its cell's replaced."""
    if isinstance(state, r.AttendState):
        return state._replace(cell=inner)
    return with_cell(state[0], inner), *state[1:]


def decode(cell, params, inner, places, xs, **lengths):
    """From an encoder's outputs and a first state: the cell's last state, ys, and where each step has looked."""
    state = with_cell(r.attend_to(cell.start(params), places, **lengths), inner)
    after, ys = r.scan(cell).step(params, state, xs)
    _, weights = r.rolled(seeing(cell), params, state, xs)
    return attending(after).cell, ys, weights


def seeing(cell):
    def step(params, state, x):
        state, _ = cell.step(params, state, x)
        return state, attending(state).memory.weights

    return cell._replace(step=step)


def problem(cell, seed=0):
    params = params_of(cell)
    return params, attending(state_of(cell, params)).cell, jnp.asarray(inputs(S, k)), jnp.asarray(inputs(T, n, seed=5))


@named(*QUICK, "bahdanau", "luong, dot")
def test_equations(name):
    """Each is its paper's equations in value, and in the gradient by params, first state, memory and input."""
    cell, reference = FAMILY[name]
    args = problem(cell)
    run = functools.partial(decode, cell)
    outs, slopes = jax.jit(lambda *args: outcome(run, *args))(*args)

    def by_numpy(args):
        return joined(reference(*jax.tree.map(np.asarray, args)))

    np.testing.assert_allclose(joined(outs), by_numpy(args), **EXACT)
    weights, (at, back) = joined(normal(outs, seed=99)), ravel_pytree(args)
    numeric = differences(lambda at: weights @ by_numpy(back(jnp.asarray(at))), np.asarray(at))
    np.testing.assert_allclose(joined(slopes), numeric, rtol=1e-6, atol=1e-7)


@named(*QUICK)
def test_lengths(name):
    """A batch of sources of all lengths, with NaN in the padding, is each pair alone, in value and gradient."""
    cell = CELLS[name]
    params = params_of(cell)
    B, sizes, lengths = 4, np.array([S, 0, 1, 3]), np.array([4, 3, 2, 1])
    places, xs = jnp.asarray(inputs(B, S, k)), jnp.asarray(inputs(B, 4, n, seed=5))
    padded = jnp.where((np.arange(S) < sizes[:, None])[..., None], places, jnp.nan)

    def together(params, places, xs):
        state = r.batch(cell, B).start(params)
        state = r.attend_to(state, places, lengths=jnp.asarray(sizes))
        state, ys = r.apply(cell, params, xs, lengths=lengths, state=state)
        return [(jax.tree.map(lambda s: s[b], attending(state).cell), ys[b, : lengths[b]]) for b in range(B)]

    def alone(params, places, xs):
        one = functools.partial(decode, cell, params, attending(cell.start(params)).cell)
        return [one(places[b, : sizes[b]], xs[b, : lengths[b]])[:2] for b in range(B)]

    got, slopes = jax.jit(lambda *a: outcome(together, *a))(params, padded, xs)
    same((got, slopes), jax.jit(lambda *a: outcome(alone, *a))(params, places, xs), **EXACT)
    assert all(jnp.isfinite(d).all() for d in jax.tree.leaves(slopes))


@named(*QUICK)
def test_loops(name):
    """The loop that takes the step apart, the plain one, and steps one by one, also with a mask over time."""
    cell = CELLS[name]
    params, inner, places, xs = problem(cell)
    state = with_cell(r.attend_to(cell.start(params), places, lengths=3), inner)
    floats = lambda tree: jax.tree.map(lambda a: a.astype(float), tree)  # noqa: E731
    for keep in (), (jnp.arange(T) % 3 > 0,):

        def run(model, params, state, xs):
            return floats(model.step(params, state, xs, *keep))

        loops = r.scan(cell), r.scan(cell, r.rolled)
        one, *others = (jax.jit(lambda *a, its=its: outcome(functools.partial(run, its), *a))(params, state, xs)
                        for its in loops)  # fmt: skip
        for other in others:
            same(other, one, **EXACT)
        same(one[0], floats(by_hand(cell, params, state, xs, *keep)), **EXACT)


@named(*QUICK)
def test_memory_rests(name):
    """A step gives memory and mask back as the very objects that it was given, of the same types."""
    cell = CELLS[name]
    params, _, places, xs = problem(cell)
    r.check(cell, xs[0])

    def step(params, state, x):
        after, _ = cell.step(params, state, x)
        old, new = attending(state).memory, attending(after).memory
        assert new.places is old.places and new.keep is old.keep
        return after

    jax.make_jaxpr(step)(params, r.attend_to(cell.start(params), places), xs[0])


def test_nothing_to_attend_to():
    """As start leaves it the context is 0, as it is for a source of length 0, and everything has a gradient."""
    cell = CELLS["bahdanau"]
    params, inner, places, xs = problem(cell)
    start = with_cell(cell.start(params), inner)
    _, ys = r.scan(cell).step(params, start, xs)
    assert not ys[:, m:].any()
    _, by_length, weights = decode(cell, params, inner, places, xs, lengths=0)
    same(by_length, ys, **EXACT)
    assert not weights.any()
    plain = r.scan(r.gru(n + k, m)).step(params.cell, inner, jnp.concatenate([xs, jnp.zeros((T, k))], 1))[1]
    same(ys[:, :m], plain, **EXACT)


def test_weights():
    """They sum to 1 over the real places and are exactly 0 elsewhere, however well a padded place would fit."""
    cell = r.luong(r.gru(n, k), k, k, r.dot)
    params, _, places, xs = problem(cell)
    places = places.at[3:].set(1e8)
    for scale in 1.0, 1e6:
        *_, weights = decode(cell, params, scale * jnp.ones(k), places * scale, xs, lengths=3)
        np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-12)
        assert not weights[:, 3:].any()


def test_into_the_encoder():
    """The gradient of a model of encoder and decoder, by finite differences, and the encoder's is not zero."""
    encoder = r.bidirectional(r.gru(n, k // 2), r.gru(n, k // 2))
    decoder = r.stack(CELLS["bahdanau"], r.dense(m + k, 2))
    params = params_of(encoder), params_of(decoder)
    sources, targets = jnp.asarray(inputs(2, S, n)), jnp.asarray(inputs(2, T, n, seed=6))

    def loss(params):
        state = r.batch(decoder, 2).start(params[1])
        (_, h), places = r.apply(encoder, params[0], sources, lengths=np.array([S, 2]))
        state = r.attend_to(state, places, lengths=np.array([S, 2]))
        state = (state[0]._replace(cell=jnp.concatenate([h, h[:, :1]], 1)), state[1])
        return (r.apply(decoder, params[1], targets, state=state)[1] ** 2).sum()

    at, back = ravel_pytree(params)
    slope = jax.jit(jax.grad(lambda at: loss(back(at))))(at)
    numeric = differences(jax.jit(lambda at: loss(back(at))), np.asarray(at))
    np.testing.assert_allclose(slope, numeric, rtol=1e-5, atol=1e-6)
    assert all(jnp.abs(g).max() > 1e-3 for g in jax.tree.leaves(back(slope)[0]))


def test_several_memories():
    """Each attending cell of a model, also one inside another, looks at the one source by its own score."""
    lower = r.luong(r.gru(n + k, m), m, k, r.additive(2))
    cell = r.stack(
        r.bahdanau(lower, m, k, r.additive(3), query=lambda s: s.cell), r.luong(r.gru(m + k, m), m, k, r.general)
    )
    params, places = params_of(cell), jnp.asarray(inputs(S, k))
    state = r.attend_to(cell.start(params), places)
    query, x = jnp.asarray(inputs(m, seed=8)), jnp.asarray(inputs(n, seed=5))
    state = (state[0]._replace(cell=state[0].cell._replace(cell=query)), state[1])
    (outer, last), _ = cell.step(params, state, x)

    first, second = params[0].score, params[0].cell.score
    expected = jax.nn.softmax(jnp.tanh((query @ first.W)[None] + places @ first.V) @ first.v)
    np.testing.assert_allclose(outer.memory.weights, expected, **EXACT)
    expected = jax.nn.softmax(jnp.tanh((outer.cell.cell @ second.W)[None] + places @ second.V) @ second.v)
    np.testing.assert_allclose(outer.cell.memory.weights, expected, **EXACT)
    expected = jax.nn.softmax(last.cell @ params[1].score.W @ places.T)
    np.testing.assert_allclose(last.memory.weights, expected, **EXACT)


def test_a_score_of_your_own():
    """Any tuple with `fit`: here one that looks at the last place only."""

    class Latest(NamedTuple):
        scale: jax.Array

        def fit(self, query, places):
            return self.scale * jnp.arange(len(places), dtype=float)

    cell = r.luong(r.gru(n, m), m, k, lambda key, m, k: Latest(jnp.array(1e3)))
    params = cell.init(jax.random.key(0))
    *_, weights = decode(cell, params, jnp.zeros(m), jnp.asarray(inputs(S, k)), inputs(T, n))
    np.testing.assert_array_equal(weights, np.tile(np.eye(S)[-1], (T, 1)))


@pytest.mark.parametrize("gradient", [r.bptt, functools.partial(r.tbptt, window=T), r.rtrl])
def test_learns_its_score(gradient):
    """What a score computes of the memory alone gets its gradient, from a state that is given; frozen it gets none."""
    cell = r.luong(r.gru(n, m), m, k, r.general)
    model, frozen = (r.with_loss(its, squared) for its in (cell, r.frozen(cell)))
    params, places, data = params_of(cell), jnp.asarray(inputs(S, k)), (inputs(T, n, seed=5), inputs(T, m, seed=6))
    state, learner = r.attend_to(cell.start(params), places), gradient(model)
    if gradient is r.rtrl:
        state = learner.begun(params, state, jax.tree.map(lambda x: x[0], data))
    _, grads, _ = jax.jit(learner)(params, state, jax.tree.map(jnp.asarray, data))

    def loss(W):
        its = params._replace(score=params.score._replace(W=W.reshape(m, k)))
        return r.scan(model).step(its, r.attend_to(cell.start(its), places), data)[1].mean()

    numeric = differences(jax.jit(loss), np.asarray(params.score.W).ravel())
    np.testing.assert_allclose(grads.score.W.ravel(), numeric, rtol=1e-5, atol=1e-8)
    _, none, _ = r.bptt(frozen)(params, r.attend_to(cell.start(params), places), data)
    assert not any(g.any() for g in jax.tree.leaves(none))


def test_keys_once():
    """The product of the memory with the score's weights is no part of the loop, forward or back."""
    cell = CELLS["bahdanau"]
    params, _, places, xs = problem(cell)

    def slope(loop):
        def loss(params):
            return r.scan(cell, loop).step(params, r.attend_to(cell.start(params), places), xs)[1].sum()

        return jax.grad(loss)

    def products(loop):
        program = jax.make_jaxpr(slope(loop))(params).jaxpr
        of_places = [(S, k), (k, 7)], [(S, 7), (S, k)]  # forward, and into V
        return [
            eqn
            for body in jaxprs(program)
            for eqn in everything(body)
            if eqn.primitive.name == "dot_general" and [v.aval.shape for v in eqn.invars] in of_places
        ]

    assert products(r.rolled) and not products(r.deferred)


@pytest.mark.parametrize(
    "noisy", [lambda c: r.zoneout(c, 0.2), lambda c: r.recurrent_dropout(c, 0.2), lambda c: r.weight_drop(c, 0.2)]
)
def test_noise_within(noisy):
    """The query is the h of the cell inside the noise."""
    cell = r.bahdanau(noisy(r.gru(n + k, m)), m, k, r.general)
    plain = r.bahdanau(noisy(r.gru(n + k, m)), m, k, r.general, query=lambda state: state.state)
    params, places, xs = params_of(cell), jnp.asarray(inputs(S, k)), jnp.asarray(inputs(T, n, seed=5))
    state = r.seed(r.attend_to(cell.start(params), places), jax.random.key(1))
    one, other = (r.scan(its).step(params, state, xs)[1] for its in (cell, plain))
    same(one, other, **EXACT)


def test_refused():
    cell, gru = CELLS["bahdanau"], r.gru(n, m)
    params = params_of(cell)
    with pytest.raises(TypeError, match=r"attend_to: the model must attend, but its state has no memory\. Build"):
        r.attend_to(gru.start(params_of(gru)), jnp.ones((S, k)))
    with pytest.raises(ValueError, match=r"attend_to: places must be \(S, 6\), but places is float64\[2,5,6\]\."):
        r.attend_to(cell.start(params), jnp.ones((2, S, k)))
    with pytest.raises(ValueError, match=r"attend_to: places must be \(2, S, 6\), but places is float64\[2,5,3\]\."):
        r.attend_to(r.batch(cell, 2).start(params), jnp.ones((2, S, 3)))
    for wrong in jnp.ones(()), jnp.ones(3, int):
        with pytest.raises(ValueError, match=r"attend_to: lengths must be one integer a memory, but lengths is .*s\.$"):
            r.attend_to(cell.start(params), jnp.ones((S, k)), lengths=wrong)
    with pytest.raises(ValueError, match=r"attend_to: lengths must be in 0 \.{3} 5, but lengths goes from 6 to 6\."):
        r.attend_to(cell.start(params), jnp.ones((S, k)), lengths=6)
    with pytest.raises(ValueError, match=r"fed_back: y must have 3 features, but y is float64\[4\]\. Give the size"):
        wrong = r.fed_back(r.rnn(n + 3, m), 3)
        wrong.step(params_of(wrong), wrong.start(params_of(wrong)), jnp.ones(n))
    with pytest.raises(ValueError, match=r"dot: a query must be as wide as a place .*, but m is 4 and k is 6"):
        r.luong(gru, m, k, r.dot).init(jax.random.key(0))
    for wrong in r.bahdanau(r.gru(n + k, m), m + 1, k, r.general), r.luong(gru, m + 1, k, r.general):
        with pytest.raises(ValueError, match=r": the query must be of 5 numbers, but query is float64\[4\]\. Give its"):
            wrong.step(params_of(wrong), wrong.start(params_of(wrong)), jnp.ones(n))
    without = r.bahdanau(r.mlstm(n + k, m), m, k, r.general)
    with pytest.raises(ValueError, match=r"bahdanau: the query must be of 4 numbers, but query is none\. .*or to bahd"):
        without.step(params_of(without), without.start(params_of(without)), jnp.ones(n))
    for build in (lambda cell: r.bahdanau(cell, m, k, r.general), lambda cell: r.luong(cell, m, k, r.general),
                  lambda cell: r.fed_back(cell, m)):  # fmt: skip
        with pytest.raises(TypeError, match=r": the cell must be of one step, but scan\(gru"):
            build(r.scan(gru))
