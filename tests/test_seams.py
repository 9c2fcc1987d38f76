"""Combinators around combinators: every pair that touches the same part of a state, params, or promise."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_deferred import everything

import rnnjax as r
from conftest import EXACT, B, T, inputs, m, n, outcome, params_of, same, some, squared

S, k = 5, 3
ATTENDING = r.bahdanau(r.gru(n + k, m), m, k, r.additive(2))
RESETS = np.arange(T) % 3 == 1

SEAMS = {
    "reset zoneout": r.resettable(r.zoneout(r.gru(n, m), 0.3)),
    "reset recurrent dropout": r.resettable(r.recurrent_dropout(r.lstm(n, m), 0.3)),
    "reset weight drop": r.resettable(r.weight_drop(r.gru(n, m), 0.3)),
    "reset dilated zoneout": r.resettable(r.dilated(r.zoneout(r.gru(n, m), 0.3), 2)),
    "reset attention": r.resettable(ATTENDING),
    "dilated zoneout": r.dilated(r.zoneout(r.lstm(n, m), 0.3), 2),
    "dilated recurrent dropout": r.dilated(r.recurrent_dropout(r.gru(n, m), 0.3), 3),
    "dilated attention": r.dilated(ATTENDING, 2),
    "zoneout of attention": r.zoneout(ATTENDING, 0.3),
    "zoneout of a peak at -inf": r.zoneout(r.slstm(n, m), r.SLSTMState(h=0.3, c=0.2, d=0.2, p=0.0)),
    "frozen zoneout": r.stack(r.frozen(r.zoneout(r.gru(n, m), 0.3)), r.dense(m, 2)),
    "highway of noise": r.highway(r.stack(r.zoneout(r.gru(n, m), 0.3), r.dropout(0.5), r.dense(m, n)), n),
    "residual weight drop": r.residual(r.stack(r.weight_drop(r.gru(n, m), 0.3), r.dense(m, n))),
    "both drops of U": r.recurrent_dropout(r.weight_drop(r.lstm(n, m), 0.3, where=lambda path: path == "U"), 0.3),
}


def problem(name, *lanes):
    """A model's params, a state with a memory if it attends, and inputs, with resets if it takes them."""
    cell = SEAMS[name]
    params, xs = params_of(cell), jnp.asarray(inputs(T, *lanes, n))
    state = r.batch(cell, *lanes).start(params) if lanes else cell.start(params)
    if "attention" in name:
        state = r.attend_to(state, jnp.asarray(inputs(*lanes, S, k)), lengths=jnp.full(lanes, 4))
    if "reset" in name:
        xs = xs, jnp.broadcast_to(jnp.asarray(RESETS).reshape(T, *(1 for _ in lanes)), (T, *lanes))
    return cell, params, state, xs


RANDOM = [name for name in SEAMS if name not in ("reset attention", "dilated attention")]


@pytest.mark.parametrize(
    ("name", "noise"),
    [
        *(pytest.param(*row.values, "seeded", marks=row.marks) for row in some(RANDOM, 0)),
        *(pytest.param(name, "silent", marks=pytest.mark.slow if name in RANDOM else ()) for name in SEAMS),
    ],
)
def test_loops_agree(name, noise):
    """The loop that takes the step apart and the plain one, under a mask, in value and gradient, and all is finite."""
    cell, params, state, xs = problem(name)
    if noise == "seeded":
        state = r.seed(state, jax.random.key(1))
    keep = jnp.arange(T) % 4 > 0

    def run(loop, params):
        after, ys = r.scan(cell, loop).step(params, state, xs, keep)
        return ys, [s for s in jax.tree.leaves(after) if jnp.issubdtype(s.dtype, jnp.floating)]

    one, other = (
        jax.jit(functools.partial(outcome, functools.partial(run, loop)))(params) for loop in (r.deferred, r.rolled)
    )
    same(one, other, **EXACT)
    assert all(np.isfinite(y).all() for y in jax.tree.leaves((one[0][0], one[1])))


@pytest.mark.parametrize("name", SEAMS)
def test_streams_are_apart(name):
    """A batch is each of its streams alone, with the noise of its own."""
    cell, params, state, xs = problem(name, B)
    state = r.seed(state, jax.random.key(1), B)
    _, together = jax.jit(r.scan(r.batch(cell, B)).step)(params, state, xs)
    alone = jax.jit(r.scan(cell).step)
    for b in range(0, B, 2):
        _, ys = alone(params, jax.tree.map(lambda s: s[b], state), jax.tree.map(lambda x: x[:, b], xs))
        same(jax.tree.map(lambda y: y[:, b], together), ys, **EXACT)


@pytest.mark.parametrize("name", [name for name in SEAMS if "reset" in name])
def test_episodes_are_apart(name):
    """What comes after a reset does not know what came before it."""
    cell, params, state, (xs, resets) = problem(name)
    state = r.seed(state, jax.random.key(1))
    run = jax.jit(r.scan(cell).step)
    (first,) = np.flatnonzero(RESETS)[:1]
    _, plain = run(params, state, (xs, resets))
    _, other = run(params, state, (xs.at[:first].multiply(9), resets))
    same(other[first:], plain[first:], **EXACT)
    assert not np.allclose(other[:first], plain[:first])


@pytest.mark.parametrize(
    ("wrapped", "build"),
    [
        (r.frozen, lambda: r.mlstm(8, 8)),
        (r.residual, lambda: r.rglru(8)),
        pytest.param(r.skip, lambda: r.mlstm(8, 8), marks=pytest.mark.slow),
        (lambda cell: r.highway(cell, 8), lambda: r.rglru(8)),
    ],
)
def test_promises_survive(wrapped, build):
    """What keeps the state's steps keeps the cell's promises about them: they run in chunks as they do one by one."""
    cell = wrapped(build())
    params, xs = params_of(cell), jnp.asarray(inputs(T, 8))
    keep = jnp.arange(T) % 3 > 0
    r.check(cell, xs[0])

    def run(model, params, xs):
        return model.step(params, cell.start(params), xs, keep)[1]

    models = r.scan(cell, r.chunked, size=3), r.scan(cell, r.rolled)
    one, other = (jax.jit(functools.partial(outcome, functools.partial(run, its)))(params, xs) for its in models)
    same(one, other, **EXACT)


@pytest.mark.parametrize(
    "around", [lambda c: r.stack(c, r.dense(m, 2)), lambda c: r.residual(r.stack(c, r.dense(m, n)))]
)
def test_one_mask_of_weights(around):
    """Weight drop deep inside cells of one step masks U once, and not for each stream."""
    cell = around(r.weight_drop(r.gru(n, m), 0.5))
    params = params_of(cell)
    program = jax.make_jaxpr(lambda p: r.apply(cell, p, jnp.ones((B, T, n)), key=jax.random.key(0))[1])(params)
    shapes = {v.aval.shape for eqn in everything(program.jaxpr) for v in eqn.outvars}
    assert (m, 3 * m) in shapes and (B, m, 3 * m) not in shapes


def test_learners_of_the_seams():
    """A loss and an online gradient over noise, resets and a memory at once: RTRL is BPTT."""
    cell = r.with_loss(SEAMS["reset zoneout"], squared)
    params = params_of(cell)
    data = (jnp.asarray(inputs(T, n)), jnp.asarray(RESETS)), jnp.asarray(inputs(T, m, seed=6))
    state = r.seed(cell.start(params), jax.random.key(1))
    expected = jax.jit(r.bptt(cell))(params, state, data)
    learner = r.rtrl(cell)
    found = jax.jit(learner)(params, learner.begun(params, state, jax.tree.map(lambda x: x[0], data)), data)
    same(found[:2], expected[:2], **EXACT)


def test_frozen_under_kf_rtrl():
    """A frozen param enters by no product that the estimate must know; the rest has no state, and is exact."""
    model = r.with_loss(r.stack(r.frozen(r.rnn(n, m)), r.dense(m, 2)), squared)
    params, data = params_of(model), (jnp.asarray(inputs(T, n)), jnp.asarray(inputs(T, 2, seed=6)))
    state = model.start(params)
    _, found, _ = r.kf_rtrl(model)(params, state, data, key=jax.random.key(0))
    same(found, r.bptt(model)(params, state, data)[1], **EXACT)


def test_silence():
    """A state that noise was in evaluates like the one without it."""
    cell, params, state, xs = problem("highway of noise")
    after, _ = r.scan(cell).step(params, r.seed(state, jax.random.key(1)), xs)
    silent = r.seed(after, None)
    assert jax.tree.structure(silent) == jax.tree.structure(state)
    assert not np.allclose(r.scan(cell).step(params, silent, xs)[1], r.scan(cell).step(params, after, xs)[1])


SCALAR = r.Cell(lambda key: (), lambda p: jnp.zeros(m), lambda p, h, x: (h + x, h), lambda p, x: (jnp.ones(()), x))
DOUBLED = r.Cell(lambda key: (), lambda p: jnp.zeros(m), lambda p, h, x: ((h, h), h))
NARROW = r.ntm(n, 6, 4, 2, controller=lambda n, m: r.projected_lstm(n, m, 2))


def stepped(cell, x):
    params = params_of(cell)
    return cell.step(params, cell.start(params), x)


def solved(**options):
    cell = r.gru(n, m)
    return r.solve(cell, params_of(cell), jnp.zeros(m), jnp.ones((T, n)), **options)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (TypeError, r"masked: x must be a pair \(x, keep\), but x is float64\[3\]\. Give the mask",
         lambda: stepped(r.masked(r.gru(n, m)), jnp.ones(n))),
        (ValueError, r"ntm: the controller must give 6 numbers, but its y is float64\[2\]\. Give",
         lambda: stepped(NARROW, jnp.ones(n))),
        (TypeError, r"ntm: the cell must be of one step, but scan\(",
         lambda: r.ntm(n, m, 4, 2, controller=lambda n, m: r.scan(r.gru(n, m)))),
        (TypeError, r"bidirectional: each direction must have its own, but reverse is given\.",
         lambda: r.bidirectional(r.gru(n, m), r.gru(n, m), reverse=True)),
        (ValueError, r"deep: join must have two directions, but bidirectional is False\. Give",
         lambda: r.deep(r.gru, n, m, join=r.average)),
        (ValueError, r"dropout: rate must be in \[0, 1\), but rate is 7\.", lambda: r.deep(r.gru, n, m, dropout=7)),
        (TypeError, r"associative: affine must give a with as many axes as the state, and b of its",
         lambda: r.scan(SCALAR, r.associative).step((), jnp.zeros(m), jnp.ones((m, m)))),
        (TypeError, r"newton: step must return the state it was given, but state went in as",
         lambda: r.scan(DOUBLED, r.newton).step((), jnp.zeros(m), jnp.ones((T, m)))),
        (TypeError, r"newton: jacobian must be full_jacobian or diagonal_jacobian, but jacobian is 'full'\.",
         lambda: solved(jacobian="full")),
        (TypeError, r"newton: linear must be a function, stepwise or parallel, but linear is 'parallel'\.",
         lambda: solved(linear="parallel")),
    ],
)  # fmt: skip
def test_refused(error, message, call):
    with pytest.raises(error, match="^" + message):
        call()
