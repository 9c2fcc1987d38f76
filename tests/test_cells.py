"""Each cell is its equations: in value against NumPy, in gradient against finite differences and PyTorch."""

import equations
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as r
from conftest import EXACT, B, T, holds_to, inputs, m, n, normal, outcome, params_of, same, state_of

EQUATIONS = {
    "rnn": (r.rnn(n, m), equations.rnn),
    "relu": (r.rnn(n, m, jax.nn.relu), lambda *args: equations.rnn(*args, equations.relu)),
    "lstm": (r.lstm(n, m), equations.lstm),
    "gru": (r.gru(n, m), equations.gru),
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_equations(name):
    """Values equal NumPy's at 1e-10; gradients of params, state and inputs equal central differences of NumPy's."""
    cell, reference = EQUATIONS[name]
    params = params_of(cell)
    holds_to(reference, cell, params, state_of(cell, params), inputs(T, n))


def test_dense():
    """y = x W + b, and its gradient in closed form."""
    cell = r.dense(n, m)
    params = params_of(cell)
    x = inputs(n)
    (state, y), (grads, _, slope) = outcome(cell.step, params, (), x)
    seed = normal(y, seed=99)
    assert state == ()
    np.testing.assert_allclose(
        y, [sum(x[i] * params.W[i, j] for i in range(n)) + params.b[j] for j in range(m)], **EXACT
    )
    np.testing.assert_allclose(grads.W, np.outer(x, seed), **EXACT)
    np.testing.assert_allclose(grads.b, seed, **EXACT)
    np.testing.assert_allclose(slope, np.asarray(params.W) @ seed, **EXACT)


def test_embed():
    """y is a row of E, and the gradient adds up where a symbol comes again."""
    cell = r.embed(6, m)
    E = params_of(cell)
    xs = np.array([2, 0, 2, 5])
    (_, ys), (slope, *_) = outcome(r.scan(cell).step, E, (), xs)
    seed = np.asarray(normal(ys, seed=99))
    np.testing.assert_array_equal(ys, [E[2], E[0], E[2], E[5]])
    zero = np.zeros(m)
    np.testing.assert_allclose(slope, [seed[1], zero, seed[0] + seed[2], zero, zero, seed[3]], **EXACT)


def test_lift():
    cell = r.lift(lambda x: {"square": x**2, "sum": x.sum()})
    x = inputs(n)
    (state, y), (_, _, slope) = outcome(cell.step, (), (), x)
    seed = normal(y, seed=99)
    assert state == () and cell.init(jax.random.key(0)) == ()
    np.testing.assert_allclose(y["square"], x * x, **EXACT)
    np.testing.assert_allclose(slope, 2 * x * seed["square"] + seed["sum"], **EXACT)


# PyTorch's modules


def twin(name, layers, bidirectional):
    """A `torch.nn` module in float64."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module, options = {
        "rnn": (torch.nn.RNN, dict(nonlinearity="tanh")),
        "relu": (torch.nn.RNN, dict(nonlinearity="relu")),
        "lstm": (torch.nn.LSTM, {}),
        "gru": (torch.nn.GRU, {}),
    }[name]
    options |= dict(num_layers=layers, bidirectional=bidirectional, batch_first=True, dtype=torch.float64)
    return module(n, m, **options)


def from_torch(name, module, layers, bidirectional, gradient=False):
    """The params of `deep` that hold a PyTorch module's weights, or the gradients by them."""
    tensors = {k: (p.grad if gradient else p).detach().numpy() for k, p in module.named_parameters()}

    def direction(layer, suffix):
        W, U, b, d = (tensors[f"{k}_l{layer}{suffix}"] for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        if name == "gru":  # bias_hh of r and z goes into b, that of n stays apart
            both = np.concatenate([d[: 2 * m], np.zeros(m)])
            return r.GRUParams(W.T, U.T, b if gradient else b + both, d[2 * m :])
        kind = r.LSTMParams if name == "lstm" else r.RNNParams
        return kind(W.T, U.T, b if gradient else b + d)

    suffixes = ("", "_reverse") if bidirectional else ("",)
    parts = [tuple(direction(layer, suffix) for suffix in suffixes) for layer in range(layers)]
    return jax.tree.map(jnp.asarray, tuple(parts if bidirectional else (p for (p,) in parts)))


def final_states(name, layers, bidirectional, h, c=None):
    """PyTorch's (layers * directions, B, m) as the state of `deep`."""
    flat = [r.LSTMState(h[k], c[k]) if name == "lstm" else h[k] for k in range(len(h))]
    return tuple((flat[2 * k], flat[2 * k + 1]) for k in range(layers)) if bidirectional else tuple(flat)


PACKED = T, 1, 3, 6, 2


@pytest.mark.parametrize(
    "layers, bidirectional, lengths",
    [(1, False, None), (2, False, PACKED), (2, True, None), (3, True, PACKED)],
    ids=["one", "deep, packed", "deep, both ways", "deep, both ways, packed"],
)
@pytest.mark.parametrize("name", EQUATIONS)
def test_torch(name, layers, bidirectional, lengths):
    """Outputs, final states, and gradients of all weights, initial states and inputs, of deep models in a batch."""
    module = twin(name, layers, bidirectional)
    import torch

    make = {"rnn": r.rnn, "lstm": r.lstm, "gru": r.gru, "relu": relu_rnn}[name]
    model = r.deep(make, n, m, layers=layers, bidirectional=bidirectional)
    params = from_torch(name, module, layers, bidirectional)
    copies = 2 if name == "lstm" else 1
    start = inputs(copies, layers * (1 + bidirectional), B, m, seed=4)
    xs = inputs(B, T, n)

    def run(params, state, xs):
        return r.apply(model, params, xs, state=state, lengths=lengths and np.array(lengths))

    state = jax.tree.map(jnp.asarray, final_states(name, layers, bidirectional, *start))
    (last, ys), (grads, state_slope, slope) = jax.jit(lambda *args: outcome(run, *args))(params, state, xs)
    last_seed, seed = normal((last, ys), seed=99)

    x, before = torch.tensor(xs, requires_grad=True), [torch.tensor(s, requires_grad=True) for s in start]
    given = tuple(before) if name == "lstm" else before[0]
    if lengths is None:
        out, after = module(x, given)
    else:
        pack = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), True, enforce_sorted=False)
        out, after = module(pack, given)
        out, _ = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=T)
    after = after if name == "lstm" else (after,)
    theirs = final_states(name, layers, bidirectional, *(a.detach().numpy() for a in after))
    same((last, ys), (theirs, out.detach().numpy()), **EXACT)

    total = (out * torch.tensor(np.asarray(seed))).sum()
    by_state = final_states(name, layers, bidirectional, *after)
    for mine, its in zip(jax.tree.leaves(last_seed), jax.tree.leaves(by_state), strict=True):
        total = total + (its * torch.tensor(np.asarray(mine))).sum()
    total.backward()
    same(grads, from_torch(name, module, layers, bidirectional, gradient=True), **EXACT)
    same(state_slope, final_states(name, layers, bidirectional, *(b.grad.numpy() for b in before)), **EXACT)
    same(slope, x.grad.numpy(), **EXACT)


def relu_rnn(n, m):
    return r.rnn(n, m, jax.nn.relu)
