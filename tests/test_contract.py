"""What a cell promises: the contract, equality, one compile for cells built alike, and how weights start."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as r
from conftest import CELLS, EXACT, LOOPS, B, T, inputs, m, mingru, n, params_of, same, state_of
from rnnjax import weights

DEEP = dict(layers=2, bidirectional=True, dropout=0.5)


def of_two(**options):
    return functools.partial(r.projected_lstm, **options, p=2)


# each constructor and combinator in two spellings, by its repr
BUILDS = {
    "rnn(3, 4, activation=relu)": (lambda: r.rnn(3, 4, jax.nn.relu), lambda: r.rnn(n=3, activation=jax.nn.relu, m=4)),
    "lstm(3, 4)": (lambda: r.lstm(3, 4), lambda: r.lstm(n=3, m=4)),
    "gru(3, 4, bias=normal)": (lambda: r.gru(3, 4, bias=jax.random.normal),) * 2,
    "dense(3, 4)": (lambda: r.dense(3, 4), lambda: r.dense(m=4, n=3)),
    "embed(9, 4)": (lambda: r.embed(9, 4), lambda: r.embed(v=9, m=4)),
    "lift(tanh)": (lambda: r.lift(jnp.tanh), lambda: r.lift(function=jnp.tanh)),
    "dropout(0.5)": (lambda: r.dropout(0.5), lambda: r.dropout(rate=0.5)),
    "scan(lstm(3, 4), reverse=True, unroll=2)": (
        lambda: r.scan(r.lstm(3, 4), reverse=True, unroll=2),
        lambda: r.scan(r.lstm(n=3, m=4), r.deferred, unroll=2, reverse=True),
    ),
    "batch(scan(rnn(3, 4)), 5)": (
        lambda: r.batch(r.scan(r.rnn(3, 4)), 5),
        lambda: r.batch(cell=r.scan(cell=r.rnn(3, 4)), B=5),
    ),
    "stack(lstm(3, 4), dense(4, 2))": (lambda: r.stack(r.lstm(3, 4), r.dense(4, 2)),) * 2,
    "skip(gru(3, 4))": (lambda: r.skip(r.gru(3, 4)), lambda: r.skip(cell=r.gru(n=3, m=4))),
    "frozen(gru(3, 4))": (lambda: r.frozen(r.gru(3, 4)), lambda: r.frozen(cell=r.gru(n=3, m=4))),
    "resettable(gru(3, 4))": (lambda: r.resettable(r.gru(3, 4)), lambda: r.resettable(cell=r.gru(n=3, m=4))),
    "highway(gru(3, 3), 3, bias=biases(-2))": (
        lambda: r.highway(r.gru(3, 3), 3, bias=weights.biases(-2)),
        lambda: r.highway(n=3, bias=weights.biases(-2), cell=r.gru(3, 3)),
    ),
    "layer_norm(3, epsilon=0.1)": (lambda: r.layer_norm(3, epsilon=0.1), lambda: r.layer_norm(epsilon=0.1, n=3)),
    "rms_norm(3)": (lambda: r.rms_norm(3), lambda: r.rms_norm(n=3)),
    "residual(gru(3, 3))": (lambda: r.residual(r.gru(3, 3)), lambda: r.residual(cell=r.gru(n=3, m=3))),
    "masked(gru(3, 3))": (lambda: r.masked(r.gru(3, 3)), lambda: r.masked(cell=r.gru(n=3, m=3))),
    "bidirectional(lstm(3, 4), gru(3, 2), unroll=2)": (
        lambda: r.bidirectional(r.lstm(3, 4), r.gru(3, 2), unroll=2),
        lambda: r.bidirectional(backward=r.gru(3, 2), forward=r.lstm(3, 4), loop=r.deferred, unroll=2),
    ),
    "bidirectional(rnn(3, 4), rnn(3, 4), join=average)": (
        lambda: r.bidirectional(r.rnn(3, 4), r.rnn(3, 4), join=r.average),
        lambda: r.bidirectional(join=r.average, backward=r.rnn(3, 4), forward=r.rnn(3, 4)),
    ),
    "with_loss(rnn(3, 4), sum)": (lambda: r.with_loss(r.rnn(3, 4), sum), lambda: r.with_loss(r.rnn(3, 4), loss=sum)),
    "deep(lstm, 3, 4, layers=2, bidirectional=True, dropout=0.5)": (
        lambda: r.deep(r.lstm, 3, 4, **DEEP),
        lambda: r.deep(m=4, n=3, cell=r.lstm, **dict(reversed(DEEP.items()))),
    ),
    "deep(partial(projected_lstm, bias=zeros, p=2), 3, 4, layers=2, bidirectional=True, join=add)": (
        lambda: r.deep(of_two(bias=weights.zeros), 3, 4, layers=2, bidirectional=True, join=jnp.add),
        lambda: r.deep(of_two(bias=weights.zeros), 3, m=4, join=jnp.add, bidirectional=True, layers=2),
    ),
}


@pytest.mark.parametrize("name", BUILDS)
def test_equal(name):
    """Built alike is equal, hashes alike, and reads as it was called; built otherwise is not equal."""
    one, other = (build() for build in BUILDS[name])
    assert one == other and hash(one) == hash(other)
    assert one.each == other.each
    assert repr(one) == name
    assert all(one != build() for its, (build, _) in BUILDS.items() if its != name)


def test_unequal_options():
    """Every option is part of what a cell is, its type too."""
    assert len({r.scan(r.gru(3, 4), **options) for options in LOOPS.values()}) == len(LOOPS)
    assert r.gru(3, 4) != r.gru(3, 4, bias=jax.random.normal)
    assert r.bptt(r.lstm(3, 4)) is r.bptt(r.lstm(3, 4))
    assert r.tbptt(r.lstm(3, 4), window=4) is r.tbptt(r.lstm(3, 4), stride=None, window=4)
    assert r.tbptt(r.lstm(3, 4), window=4) is not r.tbptt(r.lstm(3, 4), window=4, stride=3)


def test_partials():
    """Alike if function and arguments are, in any order and with their types; what cannot be hashed builds anew."""

    @r.interned
    def made(function):
        return r.lift(function)

    def same_as(*args, **kwargs):
        return made(functools.partial(r.gru, 3, bias=sum)) is made(functools.partial(*args, **kwargs))

    assert same_as(r.gru, 3, bias=sum) and same_as(functools.partial(r.gru, 3), bias=sum)
    assert not same_as(r.gru, 3) and not same_as(r.gru, 3.0, bias=sum) and not same_as(r.lstm, 3, bias=sum)
    two = {"weight": sum, "bias": sum}
    assert made(functools.partial(r.gru, **two)) is made(functools.partial(r.gru, **dict(reversed(two.items()))))
    assert made(functools.partial(r.gru, [3])) is not made(functools.partial(r.gru, [3]))
    assert repr(made(functools.partial(r.gru, 3, bias=sum))) == "made(partial(gru, 3, bias=sum))"
    assert made(jax.tree_util.Partial(jnp.tanh)) is not made(functools.partial(jnp.tanh))


def test_repr_of_own_cells():
    def step(params, state, x):
        return state, x

    assert repr(mingru(3, 4)) == "mingru(3, 4)"
    assert repr(r.Cell(lambda key: (), lambda params: (), step)) == "Cell(test_repr_of_own_cells)"
    assert repr(r.scan(mingru(3, 4), r.checkpointed, segments=2)) == "scan(mingru(3, 4), loop=checkpointed, segments=2)"


def test_unhashable_options():
    """An option that cannot be hashed builds a new cell each time, which works as any other."""

    def loop(cell, params, state, xs, *, orders):
        return r.rolled(cell, params, state, xs, **orders)

    one, other = (r.scan(r.gru(3, 4), loop, orders={"reverse": True}) for _ in range(2))
    assert one != other and repr(one) == repr(other) == "scan(gru(3, 4), loop=loop, orders={'reverse': True})"
    params, xs = params_of(one), inputs(T, n)
    same(
        one.step(params, one.start(params), xs),
        r.scan(r.gru(3, 4), reverse=True).step(params, one.start(params), xs),
        **EXACT,
    )


def test_built_again_compiles_nothing():
    """A cell as a static argument of the user's own jit, and in `apply`: one trace for cells built alike."""
    traces = []

    def note(x):
        traces.append(x)
        return x

    def build():
        return r.stack(r.deep(r.gru, n, m, layers=2), r.lift(note), r.residual(r.dense(m, m)))

    run = jax.jit(lambda model, *args: model.step(*args), static_argnums=0)
    model = build()
    params = params_of(model)
    for _ in range(3):
        run(build(), params, model.start(params), inputs(T, n))
    assert len(traces) == 1
    for seed in range(3):
        r.apply(build(), params_of(model, seed), inputs(B, T, n, seed=seed))
    assert len(traces) == 2
    r.apply(build(), params, inputs(B, T + 1, n))
    assert len(traces) == 3


@pytest.mark.parametrize("name", CELLS)
def test_contract(name):
    """`check` finds nothing; init and start are pure, start is as step gives it, params are drawn anew by key."""
    cell = CELLS[name]
    r.check(cell, jnp.asarray(inputs(n)))
    one, again, other = (cell.init(jax.random.key(k)) for k in (0, 0, 1))
    same(one, again, rtol=0, atol=0)
    drawn = [(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other)) if np.any(a)]
    assert drawn and all(np.any(a != b) for a, b in drawn if a.ndim == 2)
    state = cell.start(one)
    after, _ = cell.step(one, state, jnp.asarray(inputs(n)))
    assert jax.tree.map(jax.typeof, after) == jax.tree.map(jax.typeof, state)
    assert all(not np.any(s) for s in jax.tree.leaves(state))


def affine_as(a=None, b=None):
    """mingru with another promise."""
    cell = mingru(n, m)

    def promise(params, x):
        true = cell.affine(params, x)
        return (a or (lambda t: t))(true[0]), (b or (lambda t: t))(true[1])

    return cell._replace(affine=promise)


def test_check_of_promises():
    x = jnp.asarray(inputs(n))
    r.check(mingru(n, m)._replace(affine=None), x)
    r.check(affine_as(), x)
    with pytest.raises(ValueError, match="affine must equal step"):
        r.check(affine_as(b=jnp.square), x)
    with pytest.raises(ValueError, match="affine must equal step"):  # which a start at zero would hide
        r.check(affine_as(a=jnp.square), x)


def test_check_of_whole():
    """All steps at once must equal two steps, and one step where a mask leaves out the second."""

    def step(params, s, x):
        return s + x, 2.0 * s

    def right(params, s, xs, keep=True):
        steps = jnp.where(keep, xs, 0)
        return s + steps.sum(), 2.0 * (s + jnp.cumsum(steps) - steps)

    def hold(whole):
        cell = r.Cell(lambda key: (), lambda params: jnp.zeros(()), step, whole=whole)
        r.check(cell, jnp.float64(0.7))

    hold(None)
    hold(right)
    for wrong in (
        lambda params, s, xs, *keep: (right(params, s, xs)[0], right(params, s, xs)[1] + 1.0),
        lambda params, s, xs, *keep: (s + xs.sum(), 2.0 * s + 0.0 * xs),  # right for one step only
        lambda params, s, xs, *keep: right(params, s, xs),  # deaf to the mask
    ):
        with pytest.raises(ValueError, match="whole must equal step"):
            hold(wrong)


def test_check_with_a_key():
    """The params that `check` looks at are those of the key."""
    cell = r.Cell(lambda key: jax.random.key_data(key), lambda params: jnp.zeros(2), bad_for_key_one)
    r.check(cell, jnp.zeros(2), jax.random.key(0))
    with pytest.raises(TypeError, match="check: step must return"):
        r.check(cell, jnp.zeros(2), jax.random.key(1))


def bad_for_key_one(params, h, x):
    return (h.astype(jnp.float32) if params[-1] == 1 else h), x


# how weights start


def blocks(matrix, gates):
    return np.split(np.asarray(matrix), gates, axis=-1)


@pytest.mark.parametrize("cell, gates", [(r.rnn(3, 8), 1), (r.lstm(3, 8), 4), (r.gru(3, 8), 3)])
def test_initial_weights(cell, gates):
    """Each gate's recurrent block is orthogonal, each input block Glorot of its own sizes, and no two are alike."""
    params = cell.init(jax.random.key(0))
    for block in blocks(params.U, gates):
        np.testing.assert_allclose(block @ block.T, np.eye(8), **EXACT)
    limit = np.sqrt(6 / (3 + 8))
    for block in blocks(params.W, gates):
        assert 0.85 * limit < np.abs(block).max() < limit
    for matrix in params.W, params.U:
        assert len({block.tobytes() for block in blocks(matrix, gates)}) == gates
    bias = np.zeros(gates * 8)
    bias[8:16] = gates == 4  # the LSTM's forget gate
    np.testing.assert_array_equal(params.b, bias)
    if gates == 3:
        np.testing.assert_array_equal(params.d, np.zeros(8))


def test_initialisers():
    uniform = weights.uniform(0.1)(jax.random.key(0), (200, 200))
    assert -0.1 <= uniform.min() < -0.099 and 0.099 < uniform.max() <= 0.1 and abs(uniform.mean()) < 0.001
    np.testing.assert_array_equal(weights.forget(0.5)(jax.random.key(0), (8,)), [0, 0, 0.5, 0.5, 0, 0, 0, 0])
    by_gate = weights.per_gate(lambda key, shape, dtype: jnp.full(shape, shape[1], dtype), 3)
    np.testing.assert_array_equal(by_gate(jax.random.key(0), (2, 6), jnp.float32), np.full((2, 6), 2, np.float32))
    for init, shape in (weights.uniform(0.1), (4,)), (weights.forget(1.0), (4,)), (by_gate, (2, 6)):
        assert init(jax.random.key(0), shape, jnp.bfloat16).dtype == jnp.bfloat16


def test_own_initialisers():
    """Each option goes to its own weight, and `jax.nn.initializers` fit."""
    cell = r.lstm(3, 4, weight=weights.uniform(0.01), recurrent=jax.nn.initializers.ones, bias=weights.uniform(5.0))
    params = cell.init(jax.random.key(0))
    assert 0 < np.abs(params.W).max() < 0.01 and np.all(params.U == 1) and 1 < np.abs(params.b).max() < 5
    dense = r.dense(3, 4, weight=jax.nn.initializers.ones, bias=jax.nn.initializers.constant(2.0)).init(
        jax.random.key(0)
    )
    assert np.all(dense.W == 1) and np.all(dense.b == 2)
    assert np.all(r.embed(3, 4, weight=jax.nn.initializers.ones).init(jax.random.key(0)) == 1)


def test_start_of_combinators():
    """A batch has its cell's start B times; a stack has its cells' starts, each from its own params."""
    learned = r.Cell(lambda key: jax.random.normal(key, (m,)), lambda params: params, lambda p, h, x: (h, x))
    params = params_of(r.stack(learned, learned))
    state = r.batch(r.stack(learned, learned), B).start(params)
    same(state, tuple(jnp.stack([p] * B) for p in params), **EXACT)
    both = r.bidirectional(learned, learned)
    same(both.start(params), params, **EXACT)
    assert state_of(both, params)[0].shape == (m,)
