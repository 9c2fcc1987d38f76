"""Dropout: silent until seeded, unbiased, independent everywhere, and the same draws whatever the loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as r
from conftest import EXACT, LOOPS, B, T, by_hand, inputs, m, n, params_of, same

KEY = jax.random.PRNGKey  # raw keys, so that states of random cells are plain arrays
RATE = 0.3
MODEL = r.stack(r.scan(r.dropout(RATE)), r.scan(r.gru(n, m)), r.scan(r.dropout(RATE)), r.dense(m, 2))


def test_silent_until_seeded():
    cell, xs = r.dropout(RATE), inputs(T, n)
    state, ys = r.scan(cell).step((), cell.start(()), xs)
    assert state == r.Noise() and jax.tree.leaves(state) == []
    np.testing.assert_array_equal(ys, xs)
    np.testing.assert_array_equal(cell.step((), cell.start(()), xs[0])[1], xs[0])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_statistics(rate):
    """What is kept is scaled by 1/(1-rate), a share of 1-rate is kept, and the mean over keys is x."""
    x = inputs(50)
    draws = 4000
    noise = r.Noise(jax.random.split(KEY(0), draws), jnp.zeros(draws, jnp.int32))
    _, ys = jax.vmap(r.dropout(rate).step, ((), 0, None), 0)((), noise, x)
    kept = np.asarray(ys) != 0
    np.testing.assert_allclose(ys, np.where(kept, x / (1 - rate), 0), **EXACT)
    deviation = np.sqrt(rate * (1 - rate))
    assert abs(kept.mean() - (1 - rate)) < 4 * deviation / np.sqrt(kept.size)
    z = (ys.mean(0) - x) / (np.abs(x) * deviation / (1 - rate) / np.sqrt(draws))
    assert np.abs(z).max() < 4.5 and 0.7 < np.std(z) < 1.3


def masks(ys):
    return np.asarray(ys) != 0


def test_independent_draws():
    """Every cell, stream, step and element draws for itself; the same key draws the same."""
    width = 64
    two = r.stack(r.scan(r.dropout(0.5)), r.lift(lambda x: jnp.where(x == 0, 1.0, 3.0)), r.scan(r.dropout(0.5)))
    xs = jnp.ones((B, T, width))
    _, ys = r.apply(r.dropout(0.5), (), xs, key=KEY(1))
    rows = masks(ys).reshape(B * T, width)
    agreement = (rows[:, None] == rows[None]).mean(-1)
    assert np.all(agreement[~np.eye(B * T, dtype=bool)] < 0.9)
    assert abs(agreement[~np.eye(B * T, dtype=bool)].mean() - 0.5) < 0.02

    _, zs = r.apply(two, params_of(two), xs, key=KEY(1))
    first, second = np.isin(zs, 6.0), masks(zs)  # 6: kept twice; 2: dropped, then kept
    kept_first = first[second].mean()
    assert abs(kept_first - 0.5) < 0.05 and abs(second.mean() - 0.5) < 0.05

    same(r.apply(r.dropout(0.5), (), xs, key=KEY(1))[1], ys, rtol=0, atol=0)
    assert (masks(r.apply(r.dropout(0.5), (), xs, key=KEY(2))[1]) != masks(ys)).mean() > 0.4


def seeded(cell, key=5, batch=None):
    start = r.batch(cell, batch).start if batch else cell.start
    return r.seed(start(params_of(cell)), KEY(key), batch)


@pytest.mark.parametrize("keep", [None, [True] * T, [False, True, True, False, False, True, False], [False] * T])
@pytest.mark.parametrize("options", [LOOPS["rolled"], LOOPS["checkpointed"], dict(reverse=True)])
def test_every_loop_draws_alike(options, keep):
    """All steps at once (`whole`), or by a loop: step by step the same draws, which a masked step does not use up."""
    cell = r.dropout(RATE)
    xs = jnp.asarray(inputs(T, 16))
    mask = () if keep is None else (jnp.asarray(keep),)
    reference = by_hand(cell, (), seeded(cell), xs, keep, reverse="reverse" in options)
    same(r.scan(cell, **options).step((), seeded(cell), xs, *mask), reference, **EXACT)


def test_no_steps():
    """T = 0 leaves the noise as it stands."""
    cell = r.scan(r.dropout(RATE))
    noise, ys = cell.step((), seeded(cell), jnp.zeros((0, 4)))
    same(noise, seeded(cell), rtol=0, atol=0)
    assert ys.shape == (0, 4)


def test_goes_on_where_it_stopped():
    """Two calls of k steps draw as one of 2k, batched and not; the second half differs from the first."""
    xs = jnp.ones((B, 2 * T, n))
    params = params_of(MODEL)
    whole_state, whole = r.apply(MODEL, params, xs, key=KEY(0))
    state, first = r.apply(MODEL, params, xs[:, :T], key=KEY(0))
    state, second = r.apply(MODEL, params, xs[:, T:], state=state)
    same((state, jnp.concatenate([first, second], 1)), (whole_state, whole), **EXACT)
    dropped = r.apply(r.dropout(RATE), (), xs, key=KEY(0))[1]
    assert np.any(masks(dropped[:, :T]) != masks(dropped[:, T:]))


def test_one_set_of_params():
    """A seeded model and a silent one share params; silent is the model without its dropout."""
    bare = r.stack(r.scan(r.gru(n, m)), r.dense(m, 2))
    params, xs = params_of(MODEL), inputs(B, T, n)
    _, silent = r.apply(MODEL, params, xs)
    _, plain = r.apply(bare, (params[1], params[3]), xs)
    same(silent, plain, **EXACT)
    _, noisy = r.apply(MODEL, params, xs, key=KEY(3))
    assert np.abs(noisy - silent).max() > 0.01
    assert jax.tree.structure(jax.eval_shape(MODEL.init, KEY(0))) == jax.tree.structure(params)


def test_rate_zero():
    cell, x = r.dropout(0.0), inputs(n)
    noise, y = cell.step((), seeded(cell), x)
    np.testing.assert_array_equal(y, x)
    assert noise.step == 1


def test_gradient():
    """The gradient flows through what was kept, scaled, and not through what was dropped."""
    cell, xs = r.scan(r.dropout(RATE)), jnp.asarray(inputs(T, n))
    run = lambda xs: cell.step((), seeded(cell), xs)[1]  # noqa: E731
    np.testing.assert_allclose(jax.grad(lambda xs: run(xs).sum())(xs), masks(run(xs)) / (1 - RATE), **EXACT)


def test_deep():
    """`deep` puts dropout between the layers only, in both directions' joint outputs."""
    model = r.deep(r.gru, n, m, layers=3, bidirectional=True, dropout=0.4)
    kinds = [isinstance(s, r.Noise) for s in model.start(params_of(model))]
    assert kinds == [False, True, False, True, False]
    one = r.deep(r.gru, n, m, dropout=0.4)
    assert not any(isinstance(s, r.Noise) for s in one.start(params_of(one)))


def test_seed_reaches_all():
    """Keys of their own for all random cells, also in residual, bidirectional and wrapped ones, typed keys too."""
    noisy = r.stack(r.dropout(RATE), r.rnn(n, n))
    model = r.stack(r.residual(r.scan(noisy)), r.bidirectional(noisy, r.dropout(RATE)), r.masked(r.lift(jnp.sin)))
    for key in KEY(0), jax.random.key(0):
        state = r.seed(model.start(params_of(model)), key)
        found = [s for s in jax.tree.leaves(state, is_leaf=lambda s: isinstance(s, r.Noise)) if isinstance(s, r.Noise)]
        assert len(found) == 3 and all(s.step == 0 for s in found)
        keys = {np.asarray(s.key if key.ndim else jax.random.key_data(s.key)).tobytes() for s in found}
        assert len(keys) == 3
        several = r.seed(r.batch(model, B).start(params_of(model)), key, B)
        assert several[0][0].step.shape == (B,) and len(several[0][0].key) == B


def test_single_precision_stays():
    for dtype in jnp.float32, jnp.bfloat16:
        _, ys = r.scan(r.dropout(RATE)).step((), seeded(r.dropout(RATE)), jnp.ones((T, n), dtype))
        assert ys.dtype == dtype and len(np.unique(ys)) == 2


@pytest.mark.parametrize("rate", [1, 1.0, -0.1, 2, float("nan")])
def test_rates(rate):
    with pytest.raises(ValueError, match=r"dropout: rate must be in \[0, 1\), but rate is .*\. Give the share to drop"):
        r.dropout(rate)
