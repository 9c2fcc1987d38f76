"""Linear recurrences, stable cells and Elman's relatives: each is its equations, keeps the laws, and what it claims."""

import equations_linear as eq
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_cells import transcribed

import rnnjax as r
from conftest import EXACT, T, inputs, n, outcome, params_of, same, squared, state_of

m = 4

# name -> the cell, its reference in NumPy
FAMILY = {
    "mingru": (r.mingru(n, m), eq.mingru),
    "minlstm": (r.minlstm(n, m), eq.minlstm),
    "qrnn": (r.qrnn(n, m), eq.qrnn),
    "qrnn, window 2": (r.stack(r.window(n, 2), r.qrnn(2 * n, m)), eq.convolved),
    "sru": (r.sru(n, m), eq.sru),
    "sru, as wide": (r.sru(n, n), eq.sru),
}
AFFINE = "mingru", "minlstm", "qrnn", "sru", "sru, as wide"
DIAGONAL = *AFFINE, "qrnn, window 2"
CELLS = {name: cell for name, (cell, _) in FAMILY.items()}
each_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


@pytest.mark.parametrize("name", FAMILY)
def test_equations(name):
    transcribed(*FAMILY[name])


@each_cell
def test_contract(cell):
    """The step keeps its state's type, and the promises are equal to it; so are cells built alike, and they start."""
    r.check(cell, jnp.asarray(inputs(n)))
    params = cell.init(jax.random.key(0))
    _, ys = jax.jit(r.scan(cell).step)(params, cell.start(params), inputs(T, n))
    assert jnp.isfinite(ys).all()
    with pytest.raises(ValueError, match=rf": x must be one step with {n} features"):
        cell.step(params, cell.start(params), jnp.ones(n + 1))


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


@each_cell
def test_lengths(cell):
    """A batch of padded sequences is each of them alone, at lengths 0, 1 and T."""
    params, xs, lengths = params_of(cell), inputs(3, T, n), np.array([0, 1, T])
    model = r.scan(cell)

    def run(params, xs):
        padded = r.apply(model, params, xs, lengths=lengths)
        return padded, [model.step(params, cell.start(params), xs[b, :length]) for b, length in enumerate(lengths)]

    (state, ys), alone = jax.jit(run)(params, xs)
    for b, length in enumerate(lengths):
        same((jax.tree.map(lambda s: s[b], state), ys[b, :length]), alone[b], **EXACT)
        assert not ys[b, length:].any()


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
