"""Digits told in words."""

import gzip

import jax
import numpy as np
import pytest
from learning import learned

from rnnjax.data import Labelled
from rnnjax.tasks import caption
from rnnjax.tasks.handwriting import SIDE, _shrunk, handwriting, logistic, strips
from rnnjax.tasks.recipe import Recipe


def patterned():
    """A picture of each of 1797 digits: its own two rows of ink out of the 28 pairs, and a little noise."""
    draw = np.random.default_rng(0)
    labels = np.arange(1797) % 10
    pairs = np.array([(i, j) for i in range(8) for j in range(i)])[:10]
    xs = draw.integers(0, 4, (1797, 8, 8))
    xs[np.arange(1797)[:, None], pairs[labels]] += 12
    return xs, labels


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A file as of scikit-learn's digits."""
    xs, labels = patterned()
    path = tmp_path_factory.mktemp("digits") / "digits.csv.gz"
    rows = "\n".join(",".join(map(str, [*x.ravel(), label])) for x, label in zip(xs, labels))
    path.write_bytes(gzip.compress(rows.encode()))
    return str(path)


@pytest.fixture(scope="module")
def recipe(data) -> Recipe:
    return caption.recipe(caption.Config(data=data, longest=2, most=60, batch=8, m=32))


def test_a_strip_shows_the_digits_of_its_number():
    xs = np.arange(1, 11, dtype=np.float32)[:, None, None] * np.ones((SIDE, SIDE), np.float32)
    pictures, numbers = strips(Labelled(xs, np.arange(10, dtype=np.int32)), 200, 3, seed=0)
    assert pictures.shape == (200, SIDE, 3 * SIDE, 1)
    for picture, number in zip(pictures[..., 0], numbers):
        by_hand = [int(digit) + 1 for digit in str(number)]
        columns = np.repeat(by_hand + [0] * (3 - len(by_hand)), SIDE)
        np.testing.assert_array_equal(picture, np.broadcast_to(columns, picture.shape))
    lengths = np.bincount([len(str(number)) for number in numbers])[1:]
    assert (lengths > 40).all()
    assert 0 in numbers


def test_no_digit_is_in_two_parts(data):
    parts = handwriting("caption", "digits", data)
    seen = [{x.tobytes() for x in part.xs} for part in parts]
    assert [len(part.labels) for part in parts] == [1297, 250, 250]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert 0 <= parts.train.xs.min() <= parts.train.xs.max() <= 1


def test_mnist_is_shrunk_by_means():
    xs = np.zeros((1, 28, 28), np.uint8)
    xs[0, 2:6, 2:6] = 255
    xs[0, 0, 0] = 255
    expected = np.zeros((8, 8))
    expected[1, 1], expected[0, 0] = 1, 1 / 16
    np.testing.assert_allclose(_shrunk(xs)[0], expected, rtol=1e-6)


def test_batches_are_of_the_step_alone(recipe, data):
    again = caption.recipe(caption.Config(data=data, longest=2, most=60, batch=8, m=32))
    for one, other in zip(recipe.batch_at(5), again.batch_at(5), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (recipe.batch_at(5)[0] != recipe.batch_at(6)[0]).any()


@pytest.mark.parametrize("language, symbols", [("english", 21), pytest.param("korean", 12, marks=pytest.mark.slow)])
def test_at_first_all_characters_are_as_likely(data, language, symbols):
    recipe = caption.recipe(caption.Config(data=data, longest=2, most=60, batch=8, m=32, language=language))
    params = recipe.init(jax.random.key(0))
    loss, gradients, _ = jax.jit(recipe.gradient)(params, jax.random.key(0), recipe.batch_at(0))
    assert abs(loss - np.log(symbols)) < 0.35
    assert all((np.asarray(g) != 0).any() for g in jax.tree.leaves(gradients))


def test_the_rule_reads_strips_and_most_common_is_counted(recipe, data):
    """Patterns that a linear model tells apart are all read; of numbers to 99 a digit alone is the most common."""
    train = handwriting("caption", "digits", data).train
    pictures, numbers = strips(train, 100, 3, seed=1)
    np.testing.assert_array_equal(logistic(train, steps=100)(pictures), numbers)
    usual, ruled = recipe.baselines("valid").values()
    assert ruled == 1
    assert 0.01 <= usual <= 0.15


@pytest.mark.slow
def test_it_learns_to_say_patterns(data):
    recipe = caption.recipe(caption.Config(data=data, longest=1, most=100, batch=32, m=32, steps=200, lr=1e-2))
    params = learned(recipe, 200)
    found = recipe.measure(params, "test")
    assert found["share right"] >= 0.95
    assert found["character error rate"] <= 0.03
    number, said = recipe.show(params).split("\n")[0].split(" (drawn")[0].strip().split(": ")
    assert caption.in_english(int(number)) == said


def test_longest_is_refused():
    with pytest.raises(ValueError, match=r"caption: longest must be at most 4, but longest is 5\. Give less\."):
        caption.Config(longest=5)
