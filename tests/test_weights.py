"""Initialisers for long memories, and cells that are equal when their initialisers are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as r
from conftest import EXACT
from rnnjax import weights


def test_identity():
    cell = r.rnn(3, 4, jax.nn.relu, recurrent=weights.identity(0.5))
    np.testing.assert_array_equal(cell.init(jax.random.key(0)).U, 0.5 * np.eye(4))
    gates = r.gru(3, 4, recurrent=weights.identity()).init(jax.random.key(0)).U
    np.testing.assert_array_equal(gates, np.tile(np.eye(4), 3))
    assert weights.identity()(jax.random.key(0), (2, 2), jnp.bfloat16).dtype == jnp.bfloat16


def test_chrono_of_the_lstm():
    """b_f = log U(1, longest - 1), b_i = -b_f, the rest 0, in the gates' order i f g o."""
    m = 5000
    i, f, g, o = np.split(np.asarray(weights.chrono(100)(jax.random.key(0), (4 * m,))), 4)
    np.testing.assert_array_equal(i, -f)
    assert not g.any() and not o.any()
    lasting = np.exp(f)
    assert 1 <= lasting.min() < 1.2 and 98.8 < lasting.max() <= 99
    np.testing.assert_allclose(np.quantile(lasting, [0.25, 0.5, 0.75]), 1 + 98 * np.array([0.25, 0.5, 0.75]), rtol=0.05)
    np.testing.assert_allclose(1 / (1 - 1 / (1 + np.exp(-f))), lasting + 1, **EXACT)  # σ(f) keeps for u + 1 steps


def test_chrono_of_the_gru():
    """Only z, which multiplies the old state, in the order r z n, and never d; also where m divides by 3."""
    for m in 4, 6:
        params = r.gru(3, m, bias=weights.chrono(50, gru=m)).init(jax.random.key(0))
        reset, z, candidate = np.split(np.asarray(params.b), 3)
        assert not reset.any() and not candidate.any() and not params.d.any()
        assert 0 <= z.min() < z.max() <= np.log(49) and len(set(z.tolist())) == m


def test_initialisers_built_alike_make_equal_cells():
    for build in (
        lambda: r.lstm(3, 4, bias=weights.chrono(100)),
        lambda: r.gru(3, 4, bias=weights.chrono(100, gru=4)),
        lambda: r.lstm(3, 4, bias=weights.forget(2.0)),
        lambda: r.rnn(3, 4, recurrent=weights.identity(), weight=weights.uniform(0.1)),
    ):
        assert build() is build()
    assert r.lstm(3, 4, bias=weights.chrono(100)) != r.lstm(3, 4, bias=weights.chrono(101))
    assert weights.identity() is weights.identity(1.0)
    assert repr(r.lstm(3, 4, weight=weights.uniform(0.1), bias=weights.forget(2.0))) == (
        "lstm(3, 4, weight=uniform(0.1), bias=forget(2.0))"
    )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_dtypes(dtype):
    for init, shape in (
        (weights.identity(0.5), (3, 3)),
        (weights.chrono(9), (8,)),
        (weights.chrono(9, gru=2), (6,)),
        (weights.chrono(9, gru=2), (2,)),
    ):
        assert init(jax.random.key(0), shape, dtype).dtype == dtype


def test_errors():
    with pytest.raises(
        ValueError, match=r"^chrono: longest must be more than 2 steps, but longest is 2\. Give more\.$"
    ):
        weights.chrono(2)
    with pytest.raises(ValueError, match=r"^chrono: biases must be of gru\(n, 4\), but they are \(15,\)\. Give its m"):
        r.gru(3, 5, bias=weights.chrono(10, gru=4)).init(jax.random.key(0))
