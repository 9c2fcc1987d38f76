"""Newton's method over time: what the steps one after another give, in value and every derivative, and its report."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from test_associative import real
from test_sharding import laid

import rnnjax as r
from conftest import EXACT, LENGTHS, B, T, inputs, m, n, normal, outcome, params_of, same, squared, state_of
from rnnjax.loops.newton.kalman import damped
from rnnjax.loops.newton.linear import parallel, stepwise

FULL, DIAGONAL = dict(tolerance=1e-14), dict(tolerance=1e-14, jacobian=r.diagonal_jacobian)
VARIANTS = {
    "deer": FULL,
    "deer, parallel": FULL | dict(linear=parallel),
    "deer, by threes": FULL | dict(linear=parallel, size=3),
    "quasi-deer": DIAGONAL | dict(linear=parallel),
    "elk": FULL | dict(damping=0.3),
    "elk, by threes": FULL | dict(damping=0.3, size=3),
    "quasi-elk": DIAGONAL | dict(damping=0.3),
}
CELLS = {
    "rnn": r.rnn(n, m),
    "lstm": r.lstm(n, m),
    "gru": r.gru(n, m),
    "lru": r.lru(n, m),  # complex
    "slstm": r.slstm(n, m),  # from -∞, where nothing is stored
}


def problem(cell, *shape):
    params = params_of(cell)
    return params, state_of(cell, params), jnp.asarray(inputs(*shape, n))


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        pytest.param(name, kind, marks=() if kind == "deer" or name == "lstm" else pytest.mark.slow)
        for name in CELLS
        for kind in VARIANTS
        if name in ("rnn", "lstm") or kind == "deer"
    ],
)
def test_equals_the_steps(name, variant):
    """In value and gradient, each kind of iteration; reversed, and with a mask."""
    cell, reverse = CELLS[name], variant.startswith("quasi")
    args, keep = problem(cell, T), (jnp.arange(T) % 3 > 0,) if "elk" in variant else ()
    models = r.scan(cell, r.newton, reverse=reverse, **VARIANTS[variant]), r.scan(cell, r.rolled, reverse=reverse)
    same(*(jax.jit(functools.partial(outcome, real(lambda *a: its.step(*a, *keep))))(*args) for its in models), **EXACT)
    found = jax.jit(functools.partial(r.solve, cell, **VARIANTS[variant]))(*args)
    assert found.converged and found.residual <= 1e-14 and 1 <= found.iterations <= 2 * T


def test_batches():
    """Each stream is solved for itself, in one run; lengths, and the gradient of a loss."""
    cell = r.lstm(n, m)
    args = params_of(cell), jax.tree.map(lambda s: normal(jnp.zeros((B, *s.shape))), state_of(cell, params_of(cell)))
    xs, keep = (
        (jnp.asarray(inputs(T, B, n)), jnp.asarray(inputs(T, B, m, seed=7))),
        jnp.asarray(np.arange(T)[:, None] < LENGTHS),
    )
    one, other = (
        jax.jit(r.bptt(r.batch(r.with_loss(r.scan(cell, loop, **options), squared), B)))(*args, xs, keep)
        for loop, options in ((r.newton, FULL), (r.rolled, {}))
    )
    same(one, other, **EXACT)
    xs, options = xs[0], dict(most=2)
    alone = np.array(
        [
            r.solve(cell, args[0], jax.tree.map(lambda s: s[k], args[1]), xs[:, k], tolerance=0, **options).residual
            for k in range(B)
        ]
    )
    tolerance = float(np.median(alone))
    together = jax.jit(functools.partial(r.solve, r.batch(cell, B), tolerance=tolerance * 1.01, **options))(*args, xs)
    np.testing.assert_allclose(together.residual, alone, **EXACT)
    np.testing.assert_array_equal(together.converged, alone <= tolerance)
    assert together.converged.sum() == 3


def test_a_stack_both_ways():
    """Two bidirectional layers, padded with NaN, of any state."""
    args = inputs(B, T, n), LENGTHS
    args[0][np.arange(T) >= LENGTHS[:, None]] = np.nan
    nets = (
        r.deep(r.gru, n, 3, layers=2, bidirectional=True, loop=loop, **o)
        for loop, o in ((r.newton, FULL), (r.rolled, {}))
    )
    one, other = (
        jax.jit(functools.partial(outcome, lambda p: r.apply(net, p, args[0], lengths=args[1])))(params_of(net))
        for net in nets
    )
    same(one, other, **EXACT)


def test_second_derivatives():
    """Forward over reverse, reverse over reverse, and forward mode."""
    cell = r.rnn(2, 2)
    W, *rest = params_of(cell)
    xs = jnp.asarray(inputs(T, 2))

    def objective(loop, W):
        return jnp.sin(loop(cell, r.RNNParams(W, *rest), jnp.ones(2), xs)[1]).sum()

    newton = functools.partial(r.newton, tolerance=1e-14, size=3)
    for derivative in (jax.jacfwd, jax.hessian, lambda f: jax.jacrev(jax.jacrev(f))):
        one, other = (jax.jit(derivative(functools.partial(objective, loop)))(W) for loop in (newton, r.rolled))
        same(one, other, **EXACT)


def test_closed_over():
    """The gradient by what a step closes over, and a vmap of one's own."""
    xs = jnp.asarray(inputs(B, T, m))

    def objective(loop, gain, x):
        def step(params, h, x):
            h = jnp.tanh(gain * h + x)
            return h, h

        cell = r.Cell(lambda key: (), lambda params: jnp.zeros(m), step)
        return loop(cell, (), jnp.zeros(m), x)[1].sum()

    one, other = (
        jax.jit(jax.vmap(jax.value_and_grad(functools.partial(objective, loop)), (None, 0)))(jnp.full(m, 0.8), xs)
        for loop in (functools.partial(r.newton, tolerance=1e-14), r.rolled)
    )
    same(one, other, **EXACT)


@pytest.mark.parametrize("kind", [r.full_jacobian, r.diagonal_jacobian])
def test_kalman(kind):
    """A damped step is a Kalman filter, which NumPy takes a step at a time."""
    λ, T, D = 0.7, 6, 3
    J, b, d = (inputs(*shape, seed=k) for k, shape in enumerate([(T, D, D), (T, D), (D,)]))
    R = inputs(D, D, seed=9)
    P = R @ R.T
    if kind is r.diagonal_jacobian:
        J, P = np.stack([np.diag(np.diag(j)) for j in J]), np.diag(np.diag(P))

    def shown(matrix):
        return (
            jnp.diagonal(jnp.asarray(matrix), axis1=-2, axis2=-1)
            if kind is r.diagonal_jacobian
            else jnp.asarray(matrix)
        )

    *line, after = damped(kind, shown(J), jnp.asarray(b), λ, shown(P))
    found = stepwise(kind, *line, jnp.asarray(d))
    np.testing.assert_allclose(found, parallel(kind, *line, jnp.asarray(d)), **EXACT)
    for t in range(T):
        ahead, Q = J[t] @ d + b[t], J[t] @ P @ J[t].T + np.eye(D)
        gain = Q @ np.linalg.inv(Q + np.eye(D) / λ)
        d, P = ahead - gain @ ahead, Q - gain @ Q
        np.testing.assert_allclose(found[t], d, **EXACT)
    np.testing.assert_allclose(after, shown(P), **EXACT)


def wild(gain, T=200):
    """A network whose states are chaotic, or nearly."""
    cell = r.rnn(n, 16)
    W, U, b = params_of(cell)
    params = r.RNNParams(W, gain * jnp.linalg.qr(U)[0], b)
    return cell, params, jnp.zeros(16), jnp.asarray(inputs(T, n))


def test_gives_up():
    """Where iterations do not converge, the steps are run in sequence, inside jit, and it says so; gradients too."""
    cell, *args = wild(1.5)
    for options in dict(most=2), dict(most=2, jacobian=r.diagonal_jacobian, linear=parallel):
        found = jax.jit(functools.partial(r.solve, cell, **options))(*args)
        assert not found.converged and found.residual > 1e-3 and found.iterations == 2
        models = r.scan(cell, r.newton, **options), r.scan(cell, r.rolled)
        same(*(jax.jit(functools.partial(outcome, its.step))(*args) for its in models), rtol=1e-8, atol=1e-10)


def test_never_wrong():
    """A chaotic network whose Jacobians' products overflow: each state still follows from the one before."""
    cell, *args = wild(6.0, 2_000)
    single = jax.tree.map(lambda a: a.astype(jnp.float32), args)
    h, ys, _, residual, converged = jax.jit(functools.partial(r.solve, cell, most=30, linear=parallel, size=2_000))(
        *single
    )
    assert not converged and residual > 1e-3
    params, begin, xs = single
    before = jnp.concatenate([begin[None], ys[:-1]])
    np.testing.assert_allclose(ys, jax.vmap(cell.step, (None, 0, 0))(params, before, xs)[1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(h, ys[-1], rtol=1e-5, atol=1e-6)


def test_damping_tames():
    """Where diagonal Jacobians run away, damped iterations arrive sooner."""
    cell, *args = wild(1.2, 300)
    options = dict(jacobian=r.diagonal_jacobian, most=200, tolerance=1e-6)
    plain, tamed = (
        int(jax.jit(functools.partial(r.solve, cell, damping=damping, **options))(*args).iterations)
        for damping in (0.0, 1.0)
    )
    assert tamed < 0.7 * plain < 200


def test_gradient_is_one_linear_recurrence():
    """The iterations are in the program once, and the way back is one loop, over pieces of one over Jacobians."""
    cell, *args = wild(0.5)

    def objective(most, params):
        return r.scan(cell, r.newton, most=most).step(params, *args[1:])[1].sum()

    assert str(jax.make_jaxpr(jax.grad(functools.partial(objective, 100)))(args[0])).count("while[") == 1
    back = str(jax.make_jaxpr(jax.vjp(functools.partial(objective, 100), args[0])[1])(1.0))
    assert back.count("f64[200,1,16,16]") == 1 and back.count("scan[") == 2 and "while[" not in back


def test_one_compile():
    """The same shapes are traced once, whatever the numbers."""
    cell, traced = r.gru(n, m), []

    def step(params, h, x):
        traced.append(1)
        return cell.step(params, h, x)

    run = jax.jit(r.scan(cell._replace(step=step), r.newton).step)
    params, state, xs = problem(cell, T)
    run(params, state, xs)
    before = len(traced)
    run(params, state, 2 * xs)
    assert len(traced) == before


@pytest.mark.parametrize("axes", [AxisType.Auto, AxisType.Explicit])
def test_batches_across_devices(axes):
    """A batch across eight devices, in value and gradient."""
    model = r.with_loss(r.scan(r.gru(n, m), r.newton, **FULL), squared)
    params, xs = params_of(model), (jnp.asarray(inputs(T, 8, n)), jnp.asarray(inputs(T, 8, m, seed=7)))
    run = jax.jit(lambda params, xs: r.bptt(r.batch(model, 8))(params, r.batch(model, 8).start(params), xs))
    expected = jax.device_get(run(params, xs))
    with jax.set_mesh(jax.make_mesh((8,), ("data",), axis_types=(axes,))):
        same(jax.device_get(run(laid(params), laid(xs, None, "data"))), expected, **EXACT)


def test_refused():
    counting = r.stack(r.rnn(n, m), r.Cell(lambda key: (), lambda p: jnp.int32(0), lambda p, s, x: (s + 1, x)))
    with pytest.raises(
        TypeError, match=r"^newton: the state must be of floating-point numbers, but state\[1\] is int32\[\]\. Use"
    ):
        r.scan(counting, r.newton).step(params_of(counting), counting.start(params_of(counting)), jnp.ones((T, n)))
    args = problem(r.gru(n, m), T)
    with pytest.raises(ValueError, match=r"^newton: damping must not be negative, but damping is -1\. Give 0"):
        r.solve(r.gru(n, m), *args, damping=-1)
    with pytest.raises(ValueError, match=r"^newton: most must be a positive int, but most is 0\."):
        r.solve(r.gru(n, m), *args, most=0)


def test_nothing_to_solve():
    """No step, and no state."""
    cell = r.gru(n, m)
    params, state, xs = problem(cell, 0)
    found = r.solve(cell, params, state, xs)
    same((found.state, found.ys.shape), (state, (0, m)), **EXACT)
    assert found.converged and found.iterations == 0
    same(
        r.scan(r.dense(n, m), r.newton).step(*problem(r.dense(n, m), T)),
        r.scan(r.dense(n, m), r.rolled).step(*problem(r.dense(n, m), T)),
        **EXACT,
    )


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, dict(jacobian=r.diagonal_jacobian)], ids=["full", "diagonal"])
@pytest.mark.parametrize("build", [r.rnn, r.gru, r.lstm])
def test_long(build, options):
    """64 units over 10 000 steps in single precision, in value and gradient."""
    cell = build(64, 64)
    with jax.enable_x64(False):
        params, xs = cell.init(jax.random.key(0)), jnp.asarray(inputs(10_000, 64, dtype=np.float32))
        found = jax.jit(functools.partial(r.solve, cell, **options))(params, cell.start(params), xs)
        assert found.converged

        def objective(loop, options, params, xs):
            return jnp.square(r.scan(cell, loop, **options).step(params, cell.start(params), xs)[1]).mean()

        one, other = (
            jax.jit(jax.value_and_grad(functools.partial(objective, loop, its), (0, 1)))(params, xs)
            for loop, its in ((r.newton, options), (r.rolled, {}))
        )
        for (path, a), b in zip(jax.tree.leaves_with_path(one), jax.tree.leaves(other)):
            np.testing.assert_allclose(a, b, rtol=0, atol=2e-5 * np.abs(b).max(), err_msg=jax.tree_util.keystr(path))
