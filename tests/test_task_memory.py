"""The three problems of memory: how they are judged, what can be had without memory, and that they are learned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from running import quick

from rnnjax.data import BLANK
from rnnjax.tasks import memory
from rnnjax.tasks.problems import PROBLEMS
from rnnjax.train import begin, update

CELLS = "lstm", "gru", "rnn", "chrono-lstm", "chrono-gru", "irnn", "exprnn", "cornn", "lem"


@pytest.fixture(autouse=True, scope="module")
def quick_compiles():
    with quick():
        yield


def trained(recipe, steps):
    training = begin(recipe, recipe.optimizer, jax.random.key(0))
    one_step = update(recipe.gradient, recipe.optimizer)
    for step in range(steps):
        training, metrics = one_step(training, recipe.batch_at(step))
    return training.params, metrics


def test_xor_is_judged_by_the_last_step():
    ys = jnp.array([[[9.0, 0], [0, 1]], [[0, 9], [1, 0]], [[9, 0], [0, 1]]])
    targets = jnp.array([1, 0, 0])
    np.testing.assert_array_equal(PROBLEMS["xor"].judge(ys, targets)["share right"], [1, 1, 0])
    wrong, right = np.log(1 + np.e), np.log(1 + np.exp(-1))
    np.testing.assert_allclose(PROBLEMS["xor"].loss(ys, targets), (2 * right + wrong) / 3, rtol=1e-6)


def test_always_1_is_a_sixth_off():
    xs, targets = PROBLEMS["adding"].draw(20_000, 10, 0)
    assert xs.shape == (20_000, 10, 2)
    found = PROBLEMS["adding"].judge(jnp.ones((20_000, 10, 1)), targets)["squared error"]
    np.testing.assert_allclose(found.mean(), PROBLEMS["adding"].forgetful(10)["always 1"], atol=0.004)
    ys = jnp.array([[[5.0], [1.5]]])
    np.testing.assert_allclose(PROBLEMS["adding"].loss(ys, jnp.array([1.0])), 0.25, rtol=1e-6)


def test_blanks_and_then_guesses_are_what_copying_costs_without_memory():
    lag = 7
    xs, targets = PROBLEMS["copying"].draw(500, lag, 0)
    np.testing.assert_array_equal(xs.argmax(-1)[:, :10], targets[:, -10:])
    blank = np.where(np.arange(10) == BLANK, 0, -1e9)
    guess = np.where(np.arange(10) < BLANK, 0.0, -1e9)
    ys = jnp.where((np.arange(lag + 20) < lag + 10)[:, None], blank, guess)[None].repeat(500, 0)
    found = PROBLEMS["copying"].judge(ys, targets)
    expected = PROBLEMS["copying"].forgetful(lag)["blanks, then guesses"]
    np.testing.assert_allclose(found["nats a step"].mean(), expected, rtol=1e-5)
    np.testing.assert_allclose(found["share of symbols right"].mean(), 1 / 8, atol=0.03)


@pytest.mark.parametrize("problem, nats", [("xor", np.log(2)), ("copying", np.log(10))])
def test_the_loss_begins_at_that_of_a_guess(problem, nats):
    recipe = memory.recipe(memory.Config(problem=problem, lag=5, m=16))
    params = recipe.init(jax.random.key(0))
    loss, _, _ = jax.jit(recipe.gradient)(params, recipe.start(params), recipe.batch_at(0))
    np.testing.assert_allclose(loss, nats, rtol=0.25)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_gets_a_gradient_in_all_its_params(cell):
    recipe = memory.recipe(memory.Config(problem="adding", lag=6, m=8, cell=cell))
    params = recipe.init(jax.random.key(0))
    _, gradient, _ = jax.jit(recipe.gradient)(params, recipe.start(params), recipe.batch_at(0))
    sizes = [float(jnp.abs(g).max()) for g in jax.tree.leaves(gradient) if g.size]
    assert np.isfinite(sizes).all() and np.count_nonzero(sizes) >= len(sizes) - (cell == "chrono-gru")


@pytest.mark.parametrize(
    "problem, cell, m, steps, better",
    [
        ("xor", "gru", 24, 250, 0.98),
        ("adding", "gru", 24, 250, 0.01),
        pytest.param("copying", "chrono-gru", 64, 600, 0.5, marks=pytest.mark.slow),
    ],
)
def test_short_lags_are_learned(problem, cell, m, steps, better):
    config = memory.Config(problem=problem, lag=4, m=m, cell=cell, steps=steps, batch=64, lr=2e-2)
    recipe = memory.recipe(config)
    params, _ = trained(recipe, config.steps)
    found = next(iter(recipe.measure(params, "test").values()))
    assert found > better if recipe.better == "higher" else found < better
    (simple,) = recipe.baselines("test").values()
    assert found > simple if recipe.better == "higher" else found < simple


def test_a_batch_is_a_function_of_the_step():
    recipe, again = (memory.recipe(memory.Config(lag=9)) for _ in range(2))
    for step in (0, 5):
        np.testing.assert_array_equal(recipe.batch_at(step)[0], again.batch_at(step)[0])
    assert (recipe.batch_at(0)[0] != recipe.batch_at(1)[0]).any()
    other = memory.recipe(memory.Config(lag=9, seed=1))
    assert (recipe.batch_at(0)[0] != other.batch_at(0)[0]).any()


def test_what_is_held_out_is_measured_as_a_whole():
    """The mean over pieces is the mean over all, and the parts are not each other."""
    recipe = memory.recipe(memory.Config(problem="adding", lag=5, m=8))
    params = recipe.init(jax.random.key(0))
    found = [recipe.measure(params, part)["squared error"] for part in ("valid", "test", "valid")]
    assert found[0] == found[2] != found[1]


def test_errors():
    with pytest.raises(ValueError, match=r"train: problem must be one of .*, but problem is 'sum'"):
        memory.Config(problem="sum")
    with pytest.raises(ValueError, match=r"adding: each half must have a step to mark, but T is 1\. Use 2 or more"):
        memory.recipe(memory.Config(problem="adding", lag=1)).batch_at(0)
