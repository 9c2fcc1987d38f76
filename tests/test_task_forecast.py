"""A series told ahead: linear models and their errors by hand, nothing seen too early, intervals that hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.image import imread
from running import quick

from rnnjax.data import Parts, Record, sunspots
from rnnjax.tasks import forecast, futures, ladder, rungs
from rnnjax.train import begin, update


@pytest.fixture(autouse=True, scope="module")
def quick_compiles():
    with quick():
        yield


def record(values, *ends, known=None):
    """A record in three parts that end at these places."""
    values = np.asarray(values, np.float32)
    known = np.ones(len(values), bool) if known is None else known
    times = np.datetime64("1900", "Y") + np.arange(len(values))
    return Parts(*map(Record, *(np.split(a, ends) for a in (times, values, known))))


def wave(count=60, seed=0):
    random = np.random.default_rng(seed)
    return 30 + 20 * np.sin(np.arange(count) * 0.6) + random.normal(size=count)


def params(*W, b=0.0, s=0.0):
    return ladder.ARParams(jnp.array(W, jnp.float32), jnp.float32(b), jnp.float32(s))


# the models


def test_least_squares_finds_the_law_of_a_series():
    z = [1.0, 0.3]
    for _ in range(40):
        z.append(1.2 * z[-1] - 0.9 * z[-2] + 0.5)
    found = ladder.least_squares(2, np.array(z))
    np.testing.assert_allclose(found.W, [1.2, -0.9], rtol=1e-5)
    np.testing.assert_allclose(found.b, 0.5, rtol=1e-5)


def test_the_scale_is_that_of_the_errors():
    random = np.random.default_rng(0)
    z = [0.0]
    for noise in random.normal(size=5000):
        z.append(0.7 * z[-1] + 0.3 * noise)
    z = np.array(z)
    np.testing.assert_allclose(np.exp(ladder.least_squares(1, z).s), 0.3, rtol=0.03)
    np.testing.assert_allclose(np.exp(ladder.average(z).s), z.std(), rtol=1e-3)
    np.testing.assert_allclose(np.exp(ladder.unmoved(z).s), np.sqrt((np.diff(z) ** 2).mean()), rtol=1e-3)


def test_an_autoregression_is_its_equation():
    cell = ladder.autoregression(3)
    h, z = cell.start(params(0, 0, 0)), [0.5, -1.0, 2.0, 0.25]
    for x in z:
        h, y = cell.step(params(0.5, -0.25, 2.0, b=0.1, s=-1.0), h, jnp.array([x]))
    np.testing.assert_allclose(y, [0.5 * 0.25 - 0.25 * 2.0 + 2.0 * -1.0 + 0.1, -1.0], rtol=1e-6)


def test_fed_reads_what_it_is_told_or_else_what_it_says():
    cell = ladder.fed(ladder.autoregression(1))
    own = params(0.5, b=1.0, s=np.log(2.0))
    state, (x, _) = cell.step(own, cell.start(own), (jnp.float32(4.0), jnp.array(True), jnp.float32(9.0)))
    assert x == 4.0
    state, (x, _) = cell.step(own, state, (jnp.float32(7.0), jnp.array(False), jnp.float32(0.0)))
    np.testing.assert_allclose(x, 3.0, rtol=1e-6)
    state, (x, _) = cell.step(own, state, (jnp.float32(7.0), jnp.array(False), jnp.float32(-0.25)))
    np.testing.assert_allclose(x, 0.5 * 3.0 + 1.0 - 0.25 * 2.0, rtol=1e-6)


# the series and its errors


@pytest.mark.parametrize("changes", [False, True])
def test_what_is_read_is_standardised_by_the_training_part_alone(changes):
    values = wave()
    series = futures.joined(record(values, 30, 45), changes=changes)
    other = futures.joined(record(np.append(values[:30], 1000 + values[30:]), 30, 45), changes=changes)
    read = (np.diff(values, prepend=np.nan) if changes else values)[:30]
    np.testing.assert_allclose(series.z[:30], np.nan_to_num((read - np.nanmean(read)) / np.nanstd(read)), atol=1e-4)
    np.testing.assert_array_equal(series.z[:30], other.z[:30])
    assert [(part.start, part.stop) for part in series.parts] == [(0, 30), (30, 45), (45, 60)]


@pytest.mark.parametrize("changes", [False, True])
def test_errors_are_those_of_a_loop_in_python(changes):
    """AR(2), from every origin, fed its own predictions; values that were never measured do not count."""
    values, known = wave(), np.arange(60) % 7 != 3
    series = futures.joined(record(values, 30, 45, known=known), changes=changes)
    own, part = params(1.5, -0.8, b=0.05), slice(45, 60)
    found = futures.errors(ladder.autoregression(2), own, series, part, 4)
    assert list(found) == [1, 2, 4]
    for h in found:
        squares = []
        for t in range(45, 60):
            past = list(series.z[: t - h + 1])
            for _ in range(h):
                past.append(1.5 * past[-1] - 0.8 * past[-2] + 0.05)
            told = series.mean + series.scale * np.array(past[-h:])
            told = values[t - h] + told.sum() if changes else told[-1]
            squares += [(told - values[t]) ** 2] if known[t] else []
        np.testing.assert_allclose(found[h], np.sqrt(np.mean(squares)), rtol=1e-4)


def test_a_network_goes_on_as_it_would_step_by_step():
    config = forecast.Config(model="lstm", m=5)
    network, series = forecast.model(config), futures.joined(record(wave(), 30, 45))
    own = network.init(jax.random.key(0))
    state = network.start(own)
    for x in series.z[:41]:
        state, y = network.step(own, state, x[None])
    expected = []
    for _ in range(3):
        expected.append(series.mean + series.scale * float(y[0]))
        state, y = network.step(own, state, y[:1])
    np.testing.assert_allclose(futures.futures(network, own, series, [40], 3)[0, 0], expected, rtol=1e-4)


def test_nothing_is_seen_too_early():
    values = wave()
    changed = np.append(values[:46], values[46:] + 50)
    own = params(0.9, -0.3)
    one, other = (
        futures.futures(ladder.autoregression(2), own, futures.joined(record(v, 30, 45)), np.array([44, 45, 46]), 8)
        for v in (values, changed)
    )
    np.testing.assert_array_equal(one[:, :2], other[:, :2])
    assert (one[:, 2] != other[:, 2]).any()


def test_intervals_hold_what_they_promise():
    """Of a series that the model has made itself: 80 % within 80 %, and 95 % within 95 %, at every horizon."""
    random, z = np.random.default_rng(0), [0.0]
    for noise in random.normal(size=3000):
        z.append(0.8 * z[-1] + noise)
    series = futures.joined(record(z, 1000, 1001))
    own = params(0.8, b=-0.2 * series.mean / series.scale, s=-np.log(series.scale))
    found = futures.coverage(ladder.autoregression(1), own, series, series.parts.test, 4, key=jax.random.key(0))
    for shares in found.values():
        np.testing.assert_allclose(shares, [0.8, 0.95], atol=0.03)
    narrow = own._replace(s=own.s - 1)
    assert (
        futures.coverage(ladder.autoregression(1), narrow, series, series.parts.test, 1, key=jax.random.key(0))[1][0]
        < 0.5
    )


# the recipe


def test_the_loss_is_the_surprise_of_what_comes_next():
    config = forecast.Config(model="markov", order=2, window=12, batch=3)
    recipe, own = forecast.recipe(config), params(0.5, b=0.25, s=-0.5)
    (xs,) = recipe.batch_at(0)
    errors = xs[:, 2:] - (0.5 * xs[:, 1:-1] + 0.25)
    expected = -0.5 + 0.5 * (errors / np.exp(-0.5)) ** 2 + 0.5 * np.log(2 * np.pi)
    loss, _, _ = jax.jit(recipe.gradient)(own, jax.random.key(0), (xs,))
    np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)
    free = forecast.recipe(forecast.Config(model="markov", order=2, window=12, batch=3, teacher=0.0))
    assert jax.jit(free.gradient)(own, jax.random.key(0), (xs,))[0] != loss


def test_gradients_come_to_the_closed_form():
    config = forecast.Config(model="ar", order=2, steps=400, lr=3e-2, batch=64)
    recipe = forecast.recipe(config)
    training = begin(recipe, recipe.optimizer, jax.random.key(0))
    one_step = update(recipe.gradient, recipe.optimizer)
    for step in range(config.steps):
        training, _ = one_step(training, recipe.batch_at(step))
    found = recipe.measure(training.params, "valid")
    assert list(found) == ["RMSE 1 step ahead", "2 ahead", "4 ahead", "8 ahead", "16 ahead"]
    np.testing.assert_allclose(found["RMSE 1 step ahead"], recipe.baselines("valid")["AR(2)"], rtol=0.03)


def test_baselines_by_hand():
    valid, before = sunspots().valid.values, sunspots().train.values
    found = forecast.recipe(forecast.Config()).baselines("valid")
    last = np.append(before[-1], valid[:-1])
    np.testing.assert_allclose(found["last value"], np.sqrt(((valid - last) ** 2).mean()), rtol=1e-4)
    np.testing.assert_allclose(found["average"], np.sqrt(((valid - before.mean()) ** 2).mean()), rtol=1e-4)
    assert found["AR(9)"] < found["Markov, AR(1)"] < found["last value"] < found["average"]


def test_a_batch_is_a_function_of_the_step():
    recipe, again = (forecast.recipe(forecast.Config(window=20)) for _ in range(2))
    np.testing.assert_array_equal(recipe.batch_at(7)[0], again.batch_at(7)[0])
    assert (recipe.batch_at(7)[0] != recipe.batch_at(8)[0]).any()


def test_the_table_and_the_picture(tmp_path):
    config = forecast.Config(horizon=4)
    series, lower = forecast.read(config), rungs.rungs(forecast.read(config), 9)
    lines = rungs.table(series, lower, 4).splitlines()
    assert len(lines) == 10 and lines[0].split()[-3:] == ["1", "2", "4"]
    errors = futures.errors(*lower["AR(9)"], series, series.parts.test, 4)
    assert lines[4].split()[1:] == [f"{error:.2f}" for error in errors.values()]
    rungs.picture(tmp_path / "forecast.png", series, *lower["AR(9)"], 255, 30)
    one = imread(tmp_path / "forecast.png")
    rungs.picture(tmp_path / "other.png", series, *lower["average"], 255, 30)
    assert len(np.unique(one)) > 50 and (one != imread(tmp_path / "other.png")).any()


def test_errors():
    with pytest.raises(
        ValueError, match=r"train: data must be of co2 or monthly_sunspots, but the series is sunspots\."
    ):
        forecast.recipe(forecast.Config(data="here.csv"))
    with pytest.raises(ValueError, match=r"co2: path must exist, but none\.csv does not\."):
        forecast.recipe(forecast.Config(series="co2", data="none.csv"))
    with pytest.raises(ValueError, match=r"train: model must be one of .*, but model is 'arma'"):
        forecast.Config(model="arma")
    with pytest.raises(ValueError, match=r"train: window must be more than order, 9, but window is 9\."):
        forecast.Config(window=9)
    with pytest.raises(ValueError, match=r"train: teacher must be in \[0, 1\], but teacher is 1\.5\. Give a share\."):
        forecast.Config(teacher=1.5)
    with pytest.raises(ValueError, match=r"train: horizon must be at most 221 steps, but horizon is 222\. Give less\."):
        forecast.recipe(forecast.Config(horizon=222))
