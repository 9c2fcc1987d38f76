"""The family of the LSTM and the GRU: each cell is its paper's equations, in any loop, mask and batch."""

import equations_gated as equations
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as r
from conftest import EXACT, by_hand, holds_to, inputs, m, n, normal, outcome, params_of, same, some, state_of
from rnnjax import weights

T = 5


def exp_forget(f):
    return f


CELLS = {
    "peephole_lstm": (r.peephole_lstm(n, m), equations.peephole_lstm),
    "projected_lstm": (r.projected_lstm(n, m, 2), equations.projected_lstm),
    "coupled_lstm": (r.coupled_lstm(n, m), equations.coupled_lstm),
    "norm_lstm": (r.norm_lstm(n, m), equations.norm_lstm),
    "conv_lstm 1d": (r.conv_lstm((4,), n, 2), equations.conv_lstm),
    "conv_lstm 2d": (r.conv_lstm((2, 3), n, 1), equations.conv_lstm),
    "conv_lstm of an even kernel": (r.conv_lstm((5,), n, 2, kernel=2), equations.conv_lstm),
    "slstm": (r.slstm(n, m), equations.slstm(1)),
    "slstm, two heads, exp": (r.slstm(n, m, heads=2, forget=exp_forget), equations.slstm(2, exp_forget)),
    "mlstm": (r.mlstm(n, m), equations.mlstm(1)),
    "mlstm, two heads, exp": (r.mlstm(n, m, heads=2, forget=exp_forget), equations.mlstm(2, exp_forget)),
    "janet": (r.janet(n, m), equations.janet),
    "reset_first_gru": (r.reset_first_gru(n, m), equations.reset_first_gru),
    "norm_gru": (r.norm_gru(n, m), equations.norm_gru),
    "mgu": (r.mgu(n, m), equations.mgu),
    "ugrnn": (r.ugrnn(n, m), equations.ugrnn),
}


def given(cell, *lead):
    """Random params with biases, a random state (of a sum of exponentials a positive one), and inputs."""
    params = params_of(cell)
    space = jax.tree.leaves(cell.start(params))[0].shape[:-1] if "conv" in repr(cell) else ()
    state = state_of(r.batch(cell, *lead[:1]) if lead else cell, params)
    if hasattr(state, "d"):
        state = state._replace(d=1 + jnp.abs(state.d))
    return params, state, inputs(*lead, T, *space, n)


@pytest.mark.parametrize("name", CELLS)
def test_equations(name):
    """Values equal NumPy's at 1e-10; gradients of params, state and inputs equal central differences of NumPy's."""
    cell, reference = CELLS[name]
    holds_to(reference, cell, *given(cell))


@pytest.mark.parametrize("name", some(CELLS, 0))
def test_loops(name):
    """In a batch of lengths T, 1 and 0 `deferred` equals `rolled` in value and gradient, and each row runs unpadded."""
    cell, _ = CELLS[name]
    lengths = np.array([T, 1, 0])
    params, state, xs = given(cell, 3)

    def run(loop):
        model = r.scan(cell, loop)
        return jax.jit(lambda *args: outcome(lambda p, s, xs: r.apply(model, p, xs, state=s, lengths=lengths), *args))

    deferred = run(r.deferred)(params, state, xs)
    same(deferred, run(r.rolled)(params, state, xs), **EXACT)
    (after, ys), _ = deferred
    jitted = cell._replace(step=jax.jit(cell.step))
    for row, length in enumerate(lengths):
        mine = jax.tree.map(lambda s: s[row], state)
        if length == 0:
            same(jax.tree.map(lambda s: s[row], after), mine, **EXACT)
        else:
            alone = by_hand(jitted, params, mine, xs[row, :length])
            same((jax.tree.map(lambda s: s[row], after), ys[row, :length]), alone, **EXACT)
        assert not ys[row, length:].any()


@pytest.mark.parametrize("name", CELLS)
def test_sharded(name):
    """A batch across a mesh with Explicit axes has the types of one run, and so have its gradients; nothing is run."""
    cell, _ = CELLS[name]
    params, _, xs = given(cell, 8)
    model = r.scan(cell, r.rolled if "conv" in name else r.deferred)
    with jax.set_mesh(jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Explicit,))):
        params, xs = jax.device_put((params, xs), (jax.P(), jax.P("data")))
        slopes = jax.eval_shape(jax.grad(lambda p, xs: r.apply(model, p, xs)[1].sum(), (0, 1)), params, xs)
    assert slopes[1].sharding.spec[0] == "data"
    assert jax.tree.map(lambda g: g.shape, slopes[0]) == jax.tree.map(lambda p: p.shape, params)


@pytest.mark.parametrize("name", CELLS)
def test_contract(name):
    """From its own init and start, in 16 bits too, and for an x of n features only."""
    cell, _ = CELLS[name]
    params, _, xs = given(cell)
    r.check(cell, xs[0])
    half, x = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (params, jnp.asarray(xs[0])))
    assert {a.dtype for a in jax.tree.leaves(jax.eval_shape(cell.step, half, cell.start(half), x))} == {x.dtype}
    with pytest.raises(ValueError, match=f"{name.split()[0].rstrip(',')}: x must be one step"):
        cell.step(params, cell.start(params), xs)


@pytest.mark.parametrize("forget", [jax.nn.log_sigmoid, exp_forget], ids=["sigmoid", "exp"])
@pytest.mark.parametrize("make, reference", [(r.slstm, equations.slstm), (r.mlstm, equations.mlstm)])
class TestStabilised:
    def test_is_the_plain_form(self, make, reference, forget):
        """Outputs, and the cell and its normaliser times exp(p), where nothing overflows."""
        cell = make(n, m, heads=2, forget=forget)
        params, state, xs = given(cell)
        after, ys = jax.jit(r.scan(cell).step)(params, state, xs)
        log_f = equations.log_sigmoid if forget is jax.nn.log_sigmoid else forget
        plain, expected = reference(2, log_f, stabilised=False)(params, unscaled(state), xs)
        np.testing.assert_allclose(ys, expected, **EXACT)
        same(unscaled(after)[:-1], tuple(jnp.asarray(s) for s in plain[:-1]), **EXACT)

    def test_overflows_nowhere(self, make, reference, forget):
        """Activations of thousands, either way, from the cell's start, leave values and gradients finite."""
        cell = make(n, m, heads=2, forget=forget)
        params = jax.tree.map(lambda p: p.astype(np.float32), params_of(cell))
        xs = 1e4 * inputs(T, n, dtype=np.float32)
        run = jax.jit(lambda *args: [outcome(r.scan(cell, loop).step, *args) for loop in (r.deferred, r.rolled)])
        outcomes = run(params, cell.start(params), xs)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(outcomes))


def unscaled(state):
    """The state with nothing divided by exp(p)."""
    big = jnp.exp(state.p)
    whole = {
        k: v * big.reshape(big.shape + (1,) * (v.ndim - big.ndim)) for k, v in state._asdict().items() if k in "Ccd"
    }
    return state._replace(**whole)


def test_projection_is_torch():
    """`torch.nn.LSTM(proj_size=)` in outputs, state, and gradients of weights, initial state and inputs."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    p, module = 2, torch.nn.LSTM(n, m, proj_size=2, dtype=torch.float64)
    cell = r.projected_lstm(n, m, p)

    def params(of):
        W, U, b, d, P = (of(module.get_parameter(f"{k}_l0")).detach().numpy() for k in NAMES)
        return jax.tree.map(jnp.asarray, r.ProjectedParams(W.T, U.T, b, P.T)), d

    mine, d = params(lambda weight: weight)
    mine = mine._replace(b=mine.b + d)
    _, state, xs = given(cell)
    (last, ys), slopes = jax.jit(lambda *args: outcome(r.scan(cell).step, *args))(mine, state, xs)

    h, c, x = (torch.tensor(np.asarray(a), requires_grad=True) for a in (*state, xs))
    out, after = module(x, (h[None], c[None]))
    same((last, ys), (r.LSTMState(*(a[0].detach().numpy() for a in after)), out.detach().numpy()), **EXACT)
    seeds = jax.tree.leaves(normal((last, ys), seed=99))
    sum((a * torch.tensor(np.asarray(s))).sum() for a, s in zip((after[0][0], after[1][0], out), seeds)).backward()
    theirs, _ = params(lambda weight: weight.grad)
    same(slopes, (theirs, r.LSTMState(h.grad.numpy(), c.grad.numpy()), x.grad.numpy()), **EXACT)


NAMES = "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"


def test_initial_biases():
    """What each paper says, in each cell's order of gates."""
    key, plain = jax.random.key(0), dict(weight=weights.zeros, recurrent=weights.zeros)
    one, nil = np.ones(m), np.zeros(m)
    for make, expected in (r.coupled_lstm, (one, nil, nil)), (r.janet, (one, nil)), (r.ugrnn, (one, nil)):
        np.testing.assert_array_equal(make(n, m, **plain).init(key).b, np.concatenate(expected))
    np.testing.assert_allclose(r.slstm(n, m, **plain).init(key).b, [*nil, *np.linspace(3, 6, m), *nil, *nil])
    i, f = np.split(r.mlstm(n, 8, heads=4, weight=weights.zeros).init(key).g, 2)
    np.testing.assert_allclose(f, [3, 4, 5, 6])
    assert 0 < np.abs(i).max() < 0.5
    f, g = np.split(r.janet(n, 1000, bias=weights.biases(weights.lasting(100), 0), **plain).init(key).b, 2)
    assert not g.any() and 0 <= f.min() < 0.5 and 4.5 < f.max() <= np.log(99)
    assert weights.biases(1, weights.spaced(0, 1))(key, (4,), jnp.bfloat16).dtype == jnp.bfloat16


def test_heads_are_apart():
    """A unit of an sLSTM hears its own head only."""
    cell = r.slstm(n, m, heads=2)
    params, state, xs = given(cell)
    heard = jax.jit(jax.jacobian(lambda h: cell.step(params, state._replace(h=h), xs[0])[1]))(state.h)
    assert (heard[:2, :2] != 0).all() and (heard[2:, 2:] != 0).all()
    assert not heard[:2, 2:].any() and not heard[2:, :2].any()


def test_refused():
    with pytest.raises(ValueError, match="slstm: heads must divide m, but m is 4 and heads is 3"):
        r.slstm(n, m, heads=3)
    with pytest.raises(ValueError, match="mlstm: heads must divide m, but m is 4 and heads is 3"):
        r.mlstm(n, m, heads=3)
    with pytest.raises(ValueError, match="conv_lstm: shape must be a tuple of one to three sizes, but shape is 8"):
        r.conv_lstm(8, n, m)
    with pytest.raises(ValueError, match=r"conv_lstm: shape\[1\] must be a positive int, but shape\[1\] is 0"):
        r.conv_lstm((8, 0), n, m)
    with pytest.raises(ValueError, match="projected_lstm: p must be a positive int, but p is 0"):
        r.projected_lstm(n, m, 0)
