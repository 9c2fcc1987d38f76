"""Linear recurrences, stable cells and Elman's relatives: each is its equations, keeps the laws, and what it claims."""

import equations
import equations_linear as eq
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_online import kept

import rnnjax as r
from conftest import EXACT, T, holds_to, inputs, n, normal, outcome, padded_is_alone, params_of, same, squared, state_of
from rnnjax.cell import kind
from rnnjax.cells.orthogonal import cayley
from rnnjax.cells.rglru import safe_sqrt
from rnnjax.cells.ssm import linear
from rnnjax.loops.trace import trace

m = 4

# name -> the cell, its reference in NumPy
FAMILY = {
    "mingru": (r.mingru(n, m), eq.mingru),
    "minlstm": (r.minlstm(n, m), eq.minlstm),
    "qrnn": (r.qrnn(n, m), eq.qrnn),
    "qrnn, window 2": (r.stack(r.window(n, 2), r.qrnn(2 * n, m)), eq.convolved),
    "sru": (r.sru(n, m), eq.sru),
    "sru, as wide": (r.sru(n, n), eq.sru),
    "lru": (r.lru(n, m), eq.lru),
    "s5": (r.s5(n, m), eq.s5),
    "rglru": (r.rglru(n), eq.rglru),
    "gla": (r.gla(n, 2, m, rank=2), eq.gla),
    "antisymmetric": (r.antisymmetric(n, m), eq.antisymmetric),
    "lipschitz": (r.lipschitz(n, m), eq.lipschitz),
    "exprnn": (r.exprnn(n, m), eq.exprnn),
    "exprnn, Cayley": (r.exprnn(n, m, rotation=cayley), eq.cayley),
    "cornn": (r.cornn(n, m), eq.cornn),
    "lem": (r.lem(n, m), eq.lem),
    "cfc": (r.cfc(n, m, backbone=5), eq.cfc),
    "irnn": (r.irnn(n, m), lambda *args: equations.rnn(*args, equations.relu)),
    "indrnn": (r.indrnn(n, m), eq.indrnn),
    "jordan": (r.jordan(n, m, 2), eq.jordan),
    "clockwork": (r.clockwork(n, m, (1, 3)), eq.clockwork),
    "dilated": (r.dilated(r.rnn(n, m), 3), eq.dilated),
}
AFFINE = "mingru", "minlstm", "qrnn", "sru", "sru, as wide", "lru", "s5", "rglru", "gla"
COMPLEX, MATRIX = ("lru", "s5"), ("gla",)
DIAGONAL = *AFFINE, "qrnn, window 2", "indrnn"
CELLS = {name: cell for name, (cell, _) in FAMILY.items()}
each_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


@pytest.mark.parametrize("name", FAMILY)
def test_equations(name):
    cell, reference = FAMILY[name]
    params = params_of(cell)
    holds_to(reference, cell, params, state_of(cell, params), inputs(T, n))


@each_cell
def test_contract(cell):
    """The step keeps its state's type, and the promises are equal to it; so are cells built alike, and they start."""
    r.check(cell, jnp.asarray(inputs(n)))
    params = cell.init(jax.random.key(0))
    _, ys = jax.jit(r.scan(cell).step)(params, cell.start(params), inputs(T, n))
    assert jnp.isfinite(ys).all()
    with pytest.raises(ValueError, match=rf": x must be one step with {n} features"):
        cell.step(params, cell.start(params), jnp.ones(n + 1))


@each_cell
def test_precision(cell):
    """In float32 or bfloat16 all stays so, also where float64 is the default; some need float32."""
    if cell is CELLS["qrnn, window 2"]:
        pytest.skip("the window of inputs has a dtype of its own")
    single_at_least = {CELLS[name] for name in ("lru", "s5", "exprnn", "exprnn, Cayley")}
    for dtype in (jnp.float32,) if cell in single_at_least else (jnp.float32, jnp.bfloat16):
        params = jax.tree.map(lambda p: p.astype(dtype), params_of(cell))
        state = jax.eval_shape(cell.start, params)
        after, y = jax.eval_shape(cell.step, params, state, jnp.ones(n, dtype))
        assert y.dtype == dtype and jax.tree.map(kind, after) == jax.tree.map(kind, state)
        assert all(s.dtype in (dtype, jnp.complex64, jnp.int32) for s in jax.tree.leaves(state))


def test_promises():
    """Those that are linear in the state say so, in the shape of the state."""
    assert {name for name, cell in CELLS.items() if cell.affine is not None} == set(AFFINE)
    for name in AFFINE:
        cell = CELLS[name]
        params = params_of(cell)
        state = jax.eval_shape(cell.start, params)
        for part in jax.eval_shape(cell.affine, params, jnp.ones(n)):
            assert jax.tree.map(lambda s: (s.shape, s.dtype), part) == jax.tree.map(lambda s: (s.shape, s.dtype), state)


@each_cell
def test_loops(cell):
    """The loop that takes the step apart is the plain one, in value and gradient."""
    params = params_of(cell)
    args = params, state_of(cell, params), inputs(T, n)

    def loops(*args):
        return outcome(r.scan(cell).step, *args), outcome(r.scan(cell, r.rolled).step, *args)

    same(*jax.jit(loops)(*args), **EXACT)


def test_qrnn_layer():
    """A window and a qrnn, each in its own scan, the latter in parallel, are their stack in one scan."""
    cell = CELLS["qrnn, window 2"]
    apart = r.stack(r.scan(r.window(n, 2)), r.scan(r.qrnn(2 * n, m), r.associative))
    params = params_of(cell)
    args = params, state_of(cell, params), inputs(T, n)
    same(outcome(apart.step, *args), outcome(r.scan(cell).step, *args), **EXACT)


@each_cell
def test_lengths(cell):
    """A batch of padded sequences is each of them alone, at lengths 0, 1 and T."""
    padded_is_alone(cell)


@pytest.mark.parametrize("name", DIAGONAL)
def test_rtrl(name):
    """Credit forward in time is that of BPTT, and a diagonal recurrence keeps O(P) of it."""
    model = r.with_loss(CELLS[name], squared)
    params = params_of(model)
    width = jax.eval_shape(CELLS[name].step, params, CELLS[name].start(params), jnp.ones(n))[1].shape
    xs = jnp.asarray(inputs(T, n)), jnp.asarray(inputs(T, *width, seed=7))
    state = state_of(model, params)

    def both(params, state, xs):
        return r.rtrl(model)(params, state, xs), r.bptt(model)(params, state, xs)

    same(*jax.jit(both)(params, state, xs), **EXACT)
    if name not in MATRIX:
        assert max(jax.tree.leaves(kept(r.rtrl, CELLS[name]))) <= (2 if name in COMPLEX else 1)


# what each claims


def test_window():
    """The last inputs, from a state of any others; one of 1 keeps nothing."""
    cell, xs = r.scan(r.window(2, 3)), inputs(T, 2)
    past, ys = cell.step((), inputs(2, 2, seed=8), xs)
    long = np.concatenate([inputs(2, 2, seed=8), xs])
    np.testing.assert_array_equal(ys, np.stack([long[t : t + 3].ravel() for t in range(T)]))
    np.testing.assert_array_equal(past, xs[-2:])
    np.testing.assert_array_equal(r.scan(r.window(2, 1)).step((), jnp.zeros((0, 2)), xs)[1], xs)


def test_shut_gates():
    """minLSTM's two gates add up to 1 even where both are 0 to every digit."""
    cell = r.minlstm(n, m)
    params = cell.init(jax.random.key(0))
    params = params._replace(b=jnp.repeat(jnp.array([-1e3, -1e3, 1.0]), m))
    np.testing.assert_allclose(cell.affine(params, jnp.zeros(n)), np.full((2, m), 0.5), **EXACT)


def test_lru_ring():
    """|λ| < 1 whatever the params, and at the start λ is on the ring, with white inputs keeping the scale of x B."""
    cell = r.lru(n, 500, r_min=0.8, r_max=0.95, max_phase=1.0)
    params = cell.init(jax.random.key(0))
    λ, _ = cell.affine(params, jnp.zeros(n))
    assert (0.8 <= abs(λ)).all() and (abs(λ) <= 0.95).all()
    assert (0 <= jnp.angle(λ)).all() and (jnp.angle(λ) <= 1).all()
    np.testing.assert_allclose(jnp.exp(params.gamma), jnp.sqrt(1 - abs(λ) ** 2), **EXACT)
    assert abs(jnp.mean(abs(λ) ** 2) - (0.8**2 + 0.95**2) / 2) < 0.01  # uniform in area
    wild, _ = cell.affine(normal(params, scale=3.0), jnp.zeros(n))
    assert (abs(wild) < 1).all()
    whole = r.lru(n, 500).init(jax.random.key(1))
    assert all(jnp.isfinite(p).all() for p in whole)
    for ring in (0.5, 0.5), (-0.1, 1), (0, 1.1):
        with pytest.raises(
            ValueError, match=r"lru: the ring must have 0 <= r_min < r_max <= 1, but r_min is .*ring\.$"
        ):
            r.lru(n, m, r_min=ring[0], r_max=ring[1])


def test_s5_hold():
    """Zero-order hold is exact: 5 steps of Δ/5 with one input are one of Δ; the frequencies are HiPPO's, or π k."""
    cell = r.s5(n, m)
    params = params_of(cell)
    state, x = state_of(cell, params), inputs(n)
    fine = params._replace(delta=params.delta - np.log(5))
    once, _ = cell.step(params, state, x)
    same(r.scan(cell).step(fine, state, np.tile(x, (5, 1)))[0], once, **EXACT)
    p = np.sqrt(2 * np.arange(2 * m) + 1)
    hippo = -np.tril(np.outer(p, p), -1) - np.diag(np.arange(2 * m) + 1)
    eigenvalues = np.linalg.eigvals(hippo + np.outer(p, p) / 2)
    np.testing.assert_allclose(eigenvalues.real, -0.5, rtol=1e-9)
    np.testing.assert_allclose(cell.init(jax.random.key(0)).omega, np.sort(eigenvalues.imag)[m:], rtol=1e-9)
    np.testing.assert_allclose(r.s5(n, m, frequencies=linear).init(jax.random.key(0)).omega, np.pi * np.arange(m))


def test_rglru_root():
    """Where a goes to 1, √(1 - a²) has no slope, and the gradient stays finite: at most 1000 times that of 1 - a²."""
    cell = r.rglru(n)
    params = cell.init(jax.random.key(0))
    a = cell.affine(params._replace(b=jnp.full(2 * n, 50.0)), jnp.zeros(n))[0]  # open gates
    assert (0.9 <= a).all() and (a <= 0.999).all()
    shut = params._replace(b=jnp.full(2 * n, -1e3))
    assert (cell.affine(shut, jnp.ones(n))[0] == 1).all()
    for gradient in jax.grad, jax.jacfwd:
        slopes = gradient(lambda params: cell.step(params, jnp.ones(n), jnp.ones(n))[0].sum())(shut)
        assert all(jnp.isfinite(slope).all() for slope in slopes)
    at = jnp.array([0.0, 1e-12, 1e-2, 4.0])
    value, slope = jax.jvp(safe_sqrt, (at,), (jnp.ones(4),))
    np.testing.assert_allclose(value, np.sqrt(at), **EXACT)
    np.testing.assert_allclose(slope, [1000, 1000, 5, 0.25], **EXACT)


def jacobian(cell, params, state, x):
    return np.asarray(jax.jacrev(lambda h: cell.step(params, h, x)[0])(state))


def test_antisymmetric_eigenvalues():
    """Those of the equation's Jacobian, a positive diagonal times V - Vᵀ - γ I, have real parts in [-γ, 0]."""
    for gamma in 0.0, 0.01:
        cell = r.antisymmetric(n, 20, epsilon=0.1, gamma=gamma)
        params = params_of(cell)
        J = (jacobian(cell, params, state_of(cell, params), inputs(n)) - np.eye(20)) / 0.1
        real = np.linalg.eigvals(J).real
        assert np.all(real <= 1e-9) and np.all(real >= -gamma - 1e-9)


def test_lipschitz_eigenvalues():
    """At β = 1 the linear part has the real parts -γ alone; below, they are at most those of its symmetric part."""
    for beta in 1.0, 0.8:
        cell = r.lipschitz(n, 20, epsilon=0.1, beta=beta, gamma=0.3)
        params = params_of(cell)._replace(N=jnp.zeros((20, 20)), b=jnp.full(20, 50.0))  # a tanh that is flat
        A = (jacobian(cell, params, state_of(cell, params), jnp.zeros(n)).T - np.eye(20)) / 0.1
        real, bound = np.linalg.eigvals(A).real, np.linalg.eigvalsh((A + A.T) / 2)
        assert bound.min() - 1e-9 <= real.min() and real.max() <= bound.max() + 1e-9
        if beta == 1:
            np.testing.assert_allclose(real, -0.3, rtol=1e-6)


@pytest.mark.parametrize("name", ["exprnn", "exprnn, Cayley"])
def test_orthogonal(name):
    """Whatever A is, U is a rotation; with b = 0 the norm of a gradient is the same however many steps it goes back."""
    cell = CELLS[name]
    params = normal(jax.eval_shape(cell.init, jax.random.key(0)), scale=3.0)._replace(b=jnp.zeros(m))
    U = jacobian(cell, params, state_of(cell, params), inputs(n))
    np.testing.assert_allclose(U @ U.T, np.eye(m), atol=1e-10)
    np.testing.assert_allclose(np.linalg.det(U), 1, rtol=1e-10)
    slope = jax.grad(lambda h: r.scan(cell).step(params, h, inputs(50, n))[0].sum())(state_of(cell, params))
    np.testing.assert_allclose(np.linalg.norm(slope), np.sqrt(m), rtol=1e-10)
    equations, *_ = trace(cell.step, params, cell.start(params), jnp.ones(n))
    products = [eqn.primitive.name for eqn in (*equations.given, *equations.carried)].count("dot_general")
    assert products == 2  # x W and h U: U is made once, before the loop
    A = cell.init(jax.random.key(0)).A
    assert np.count_nonzero(A) == m // 2 and r.exprnn(n, 1).init(jax.random.key(0)).A.shape == (1, 1)


def test_bounds():
    """coRNN: |y|² + |z|² <= m Δ t, whatever drives it; LEM: |y|, |z| <= 1."""
    cell = r.cornn(n, m, dt=0.05)
    params, xs = normal(params_of(cell), scale=10.0), 10 * inputs(400, n)
    _, states = jax.lax.scan(lambda s, x: (cell.step(params, s, x)[0],) * 2, cell.start(params), xs)
    assert ((states.y**2 + states.z**2).sum(1) <= m * 0.05 * np.arange(1, 401)).all()
    cell = r.lem(n, m)
    params = normal(params_of(cell), scale=10.0)
    last, ys = r.scan(cell).step(params, cell.start(params), xs)
    assert (abs(ys) <= 1).all() and (abs(last.z) <= 1).all()


def test_cfc_times():
    """Inputs that come at odd times bring theirs; an elapsed time of 1 is what there is without."""
    cell = r.cfc(n, m, backbone=5)
    params, xs, Δs = params_of(cell), inputs(T, n), np.random.default_rng(9).uniform(0, 3, T)
    _, ys = r.scan(cell).step(params, cell.start(params), (xs, Δs))
    np.testing.assert_allclose(ys, eq.cfc(params, cell.start(params), xs, Δs)[1], **EXACT)
    _, ones = r.scan(cell).step(params, cell.start(params), (xs, np.ones(T)))
    np.testing.assert_allclose(ones, r.scan(cell).step(params, cell.start(params), xs)[1], **EXACT)


def test_irnn():
    """At the start it adds up its inputs, and forgets none of them."""
    cell = r.irnn(n, m)
    params = cell.init(jax.random.key(0))
    np.testing.assert_array_equal(params.U, np.eye(m))
    assert not params.b.any() and abs(params.W).max() < 0.005
    J = jacobian(cell, params, jnp.ones(m), inputs(n))
    np.testing.assert_array_equal(J, np.eye(m))


def test_clockwork():
    """Slow groups stand still between their times, and hear nothing of faster ones; the clock starts again."""
    cell = r.clockwork(n, m, (2, 1, 3, 4))
    params = params_of(cell)
    (_, t), ys = r.scan(cell).step(params, cell.start(params), inputs(13, n))
    assert t == 13 % 12
    for unit, p in enumerate((2, 1, 3, 4)):
        moved = np.flatnonzero(np.diff(np.concatenate([[0.0], ys[:, unit]])))
        np.testing.assert_array_equal(moved, np.arange(0, 13, p))
    noon = jnp.zeros((), jnp.int32)
    J = jax.jacrev(lambda h: cell.step(params, r.ClockworkState(h, noon), jnp.ones(n))[1])(ys[0])
    by_period = np.asarray(J)[np.ix_([1, 0, 2, 3], [1, 0, 2, 3])]
    np.testing.assert_array_equal(by_period != 0, np.triu(np.ones((m, m))) != 0)
    for wrong in (1, 2, 3), (2, 2), ():
        with pytest.raises(
            ValueError, match=r"clockwork: there must be different periods, .* periods is .*there are\.$"
        ):
            r.clockwork(n, m, wrong)
    with pytest.raises(ValueError, match=r"clockwork: periods\[1\] must be a positive int, but periods\[1\] is 0"):
        r.clockwork(n, m, (1, 0))


def test_dilated():
    """Any cell, d of it that take turns; a dilation of 1 is the cell; the gradient takes d steps at once."""
    cell = r.lstm(n, m)
    params, xs = params_of(cell), inputs(8, n)
    model = r.scan(r.dilated(cell, 2))
    state, ys = model.step(params, model.start(params), xs)
    for k in range(2):
        alone, own = r.scan(cell).step(params, cell.start(params), xs[k::2])
        same((jax.tree.map(lambda s: s[k], state), ys[k::2]), (alone, own), **EXACT)
    ones = r.scan(r.dilated(cell, 1)).step(params, r.dilated(cell, 1).start(params), xs)[1]
    same(ones, r.scan(cell).step(params, cell.start(params), xs)[1], **EXACT)
    assert r.dilated(r.mingru(n, m), 2).affine is None
    with pytest.raises(TypeError, match=r"dilated: the cell must be of one step"):
        r.dilated(r.scan(cell), 2)
