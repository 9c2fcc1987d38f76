"""Is the output h, as in PyTorch, or W h + b? `scan(cell)` gives h, `stack(scan(cell), dense)` gives W h + b."""

import jax
import numpy as np
import pytest

import rnnjax as r
from conftest import EXACT, T, m, n, normal
from rnnjax.interop.torch import load

k = 2


def given(model, seed=0):
    """Params of a model, biases too, and a sequence."""
    like = jax.eval_shape(model.init, jax.random.key(0))
    return normal(like, seed, 0.5), np.random.default_rng(seed + 1).normal(size=(T, n))


def test_scan_gives_the_hidden_state():
    cell = r.rnn(n, m)
    params, xs = given(cell)
    h, state = [], np.zeros(m)
    for x in xs:
        state = np.tanh(x @ params.W + state @ params.U + params.b)
        h.append(state)
    last, ys = r.scan(cell).step(params, cell.start(params), xs)
    np.testing.assert_allclose(ys, h, **EXACT)
    np.testing.assert_allclose(last, h[-1], **EXACT)


@pytest.mark.parametrize("constructor", [r.rnn, r.gru, r.lstm])
def test_a_dense_layer_on_it_reads_w_h_and_b(constructor):
    cell = constructor(n, m)
    model = r.stack(r.scan(cell), r.dense(m, k))
    (inner, readout), xs = given(model)
    _, hs = r.scan(cell).step(inner, cell.start(inner), xs)
    _, ys = model.step((inner, readout), model.start((inner, readout)), xs)
    assert hs.shape == (T, m) and ys.shape == (T, k)
    np.testing.assert_allclose(ys, np.asarray(hs) @ np.asarray(readout.W) + np.asarray(readout.b), **EXACT)


def test_the_output_of_an_lstm_is_h_and_not_c():
    cell = r.lstm(n, m)
    params, xs = given(cell)
    state, ys = r.scan(cell).step(params, cell.start(params), xs)
    np.testing.assert_array_equal(ys[-1], state.h)
    assert not np.allclose(ys[-1], state.c)


@pytest.mark.parametrize("constructor, name", [(r.rnn, "RNN"), (r.gru, "GRU"), (r.lstm, "LSTM")])
def test_pytorch_gives_h_and_a_linear_layer_makes_it_w_h_and_b(constructor, name):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module, linear = getattr(torch.nn, name)(n, m, dtype=torch.float64), torch.nn.Linear(m, k, dtype=torch.float64)
    xs = np.random.default_rng(0).normal(size=(T, n))
    hs, _ = module(torch.tensor(xs))
    run = r.scan(constructor(n, m))
    params = load(module.state_dict(), run)
    np.testing.assert_allclose(run.step(params, run.start(params), xs)[1], hs.detach().numpy(), **EXACT)

    readout = r.DenseParams(linear.weight.detach().numpy().T, linear.bias.detach().numpy())
    model = r.stack(run, r.dense(m, k))
    both = params, readout
    ys = model.step(both, model.start(both), xs)[1]
    np.testing.assert_allclose(ys, linear(hs).detach().numpy(), **EXACT)
