"""The task images on made-up pictures in MNIST's format."""

import dataclasses

import jax
import numpy as np
import pytest
from running import learned, quick

from rnnjax.tasks import images
from rnnjax.tasks.reader import shown

SIDE = 4


@pytest.fixture(autouse=True, scope="module")
def quick_compiles():
    with quick():
        yield


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Pictures of 4 by 4 where the one bright pixel, of the first ten, is the label: 400 to learn."""
    folder, draw = tmp_path_factory.mktemp("mnist"), np.random.default_rng(0)
    for part, count in (("train", 5400), ("t10k", 200)):
        labels = draw.integers(0, 10, count)
        pictures = draw.integers(0, 40, (count, SIDE * SIDE))
        pictures[np.arange(count), labels] = 255
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(pictures.reshape(count, SIDE, SIDE)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return str(folder)


def small(data, **options):
    return images.Config(data=data, **dict(m=16, batch=32, steps=150, lr=1e-2, most=400) | options)


def test_what_a_step_sees():
    pictures = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    np.testing.assert_array_equal(shown(pictures, "lstm", "rows")[1, 2], [20, 21, 22, 23])
    np.testing.assert_array_equal(shown(pictures, "lstm", "pixels")[1, :, 0], np.arange(12, 24))
    np.testing.assert_array_equal(shown(pictures, "feedforward", "pixels")[1], [np.arange(12, 24)])
    permuted = shown(pictures, "lstm", "permuted")[:, :, 0]
    np.testing.assert_array_equal(np.sort(permuted), np.arange(24).reshape(2, 12))
    np.testing.assert_array_equal(permuted[1], permuted[0] + 12)
    assert permuted[0].tolist() == [6, 11, 4, 10, 2, 8, 1, 7, 9, 3, 0, 5]  # for ever


@pytest.mark.parametrize(
    "options",
    [
        dict(order="permuted", model="lru", readout="state"),
        dict(model="feedforward"),
    ],
    ids=lambda options: options.get("model", "lstm"),
)
def test_begins_at_chance_and_learns(data, options):
    recipe = images.recipe(small(data, **options))
    losses, params = learned(recipe, 150)
    np.testing.assert_allclose(losses[0], np.log(10), rtol=0.2)
    assert recipe.measure(recipe.init(jax.random.key(1)), "test")["accuracy"] < 0.4
    assert recipe.measure(params, "test")["accuracy"] > 0.95


@pytest.mark.slow
def test_deep_and_noisy(data):
    """Every readout and layer takes part: no gradient is zero throughout."""
    for options in (
        dict(layers=2, dropout=0.1),
        dict(order="rows", model="gru", readout="mean"),
        dict(layers=2, dropout=0.1, model="feedforward"),
    ):
        recipe = images.recipe(small(data, **dict(order="pixels", m=4) | options))
        params = recipe.init(jax.random.key(0))
        _, slopes, _ = recipe.gradient(params, recipe.start(params), recipe.batch_at(0))
        assert all(np.any(slope) for slope in jax.tree.leaves(slopes))


def test_baseline_parts_and_words(data):
    """The regression finds the bright pixel; the parts are those of the loader; mistakes are told of the test part."""
    recipe = images.recipe(small(data))
    assert recipe.baselines("test") == {"softmax regression of the pixels": 1.0}
    assert recipe.about == "mnist: 400 pictures to learn, 200 to be tested, each of 4 steps of 4"
    assert recipe.model == "1 x lstm(16) by rows, last"
    assert recipe.show(recipe.init(jax.random.key(0))).partition(" wrong")[0].endswith(" of 200")


def test_batches_hang_on_the_step(data):
    one, other = (images.recipe(small(data, seed=seed)) for seed in (0, 0))
    one.batch_at(0)
    for a, b in zip(jax.tree.leaves(one.batch_at(7)), jax.tree.leaves(other.batch_at(7))):
        np.testing.assert_array_equal(a, b)
    assert one.fixed == other.fixed != images.recipe(small(data, order="pixels", most=399)).fixed


def test_published_only_of_the_same_problem(data):
    told = {o: images.recipe(small(data, order=o)).published for o in ("rows", "pixels", "permuted")}
    assert not told["rows"]
    assert (told["pixels"]["LSTM (2018)"], told["permuted"]["coRNN (2021)"]) == (0.872, 0.973)
    assert not images.recipe(small(data, order="pixels", model="feedforward")).published


def test_wrong_options():
    with pytest.raises(ValueError, match=r"train: order must be one of .*, but order is 'columns'"):
        images.Config(order="columns")
    with pytest.raises(ValueError, match="mnist: path must exist, but nowhere does not"):
        images.recipe(dataclasses.replace(images.Config(), data="nowhere"))
