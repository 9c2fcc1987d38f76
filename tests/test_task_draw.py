"""Digits drawn pixel by pixel."""

import gzip

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from learning import learned

import rnnjax as r
from rnnjax.data import Labelled, Parts
from rnnjax.tasks import draw
from rnnjax.tasks.pixels import CLASSES, context, drawn, row_markov, separate, shown, told

INKS = 3


def part(count, seed=0):
    """Pictures of 2 x 3 pixels: the first is its label modulo 3, and each pixel the one before and 1, modulo 3."""
    labels = np.random.default_rng(seed).integers(0, CLASSES, count).astype(np.int32)
    first = labels[:, None] + np.arange(6)
    return Labelled((first % 3).reshape(-1, 2, 3).astype(np.int32), labels)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A file as of scikit-learn's digits: upright bars, where the label says, 12 to 16 dark."""
    random = np.random.default_rng(0)
    labels = np.arange(1797) % 10
    xs = np.zeros((1797, 8, 8), int)
    xs[np.arange(1797), :, labels % 8] = random.integers(12, 17, (1797, 8))
    xs[labels > 7] //= 2
    path = tmp_path_factory.mktemp("digits") / "digits.csv.gz"
    rows = "\n".join(",".join(map(str, [*x.ravel(), label])) for x, label in zip(xs, labels))
    path.write_bytes(gzip.compress(rows.encode()))
    return str(path)


def test_context_is_the_pixels_before():
    xs = np.array([[[0, 1, 2], [2, 1, 0]], [[1, 1, 1], [2, 2, 2]]], np.int32)
    features = context(xs, np.array([4, 9], np.int32), INKS)
    assert features.shape == (2, 6, 2 * 4 + 2 + 3 + CLASSES)
    np.testing.assert_array_equal(features[0, 0, :8], np.zeros(8))
    np.testing.assert_array_equal(features[0, 4, :8], [0, 0.5, 1, 1, 0, 1, 1, 1])  # of 0 1 2 2
    np.testing.assert_array_equal(features[0, 4, 8:13], [0, 1, 0, 1, 0])  # row 1, column 1
    assert features[0, :, 13:].argmax(-1).tolist() == [4] * 6
    assert features[1, :, 13:].argmax(-1).tolist() == [9] * 6
    later = context(np.where(np.arange(6).reshape(2, 3) >= 4, 2, xs), np.array([4, 9], np.int32), INKS)
    np.testing.assert_array_equal(features[:, :5], later[:, :5])


def test_told_is_bayes_rule():
    nats = jnp.full((2, CLASSES), 5.0).at[0, 3].set(2.0).at[1, 7].set(1.0)
    found = told(nats, jnp.array([3, 0]))
    assert found["nats a picture"].tolist() == [2, 5]
    assert found["share right by Bayes' rule"].tolist() == [1, 0]


def test_pixels_apart_are_counts():
    """Of one class with pixels 0 0 1 and 0 2 1 the first is 0 with (2 + a) / (2 + 3 a); others know nothing."""
    train = Labelled(np.array([[[0, 0, 1]], [[0, 2, 1]]], np.int32), np.array([5, 5], np.int32))
    judge = separate(train, train, INKS)
    added = 0.01  # the best of those tried, for the data that it has seen
    nats = judge(np.array([[[0, 1, 1]]]))
    p = (2 + added) / (2 + 3 * added), added / (2 + 3 * added), (2 + added) / (2 + 3 * added)
    assert nats.shape == (1, CLASSES)
    np.testing.assert_allclose(nats[0, 5], -np.log(p).sum(), rtol=1e-12)
    np.testing.assert_allclose(nats[0, 4], 3 * np.log(3), rtol=1e-12)


def test_a_probability_is_left_for_every_picture():
    """All pictures of 1 x 3 pixels together have probability 1, as of the simple models and of the network."""
    every = np.stack(np.meshgrid(*[np.arange(INKS)] * 3), -1).reshape(-1, 1, 3).astype(np.int32)
    train = Labelled(np.array([[[0, 0, 1]], [[0, 2, 1]]], np.int32), np.array([5, 1], np.int32))
    for simple in (separate(train, train, INKS), row_markov(train, train, INKS, steps=100)):
        np.testing.assert_allclose(np.exp(-simple(every)).sum(0), np.ones(CLASSES), rtol=1e-5)


def test_logistic_regression_learns_what_the_pixel_before_says():
    """Where each pixel follows from the one before it hardly costs anything; pixels apart know the class alone."""
    train, valid, test = part(300), part(50, 1), part(50, 2)
    nats = row_markov(train, valid, INKS, steps=400)(test.xs)
    assert told(nats, test.labels)["nats a picture"].mean() < 1
    np.testing.assert_array_less(0, nats)


def test_drawing_follows_the_network():
    """What is drawn with sure logits is what the same network thinks sure, given the pictures drawn."""
    network = r.stack(r.scan(r.gru(2 * 4 + 2 + 3 + CLASSES, 5)), r.dense(5, INKS))
    params = jax.tree.map(lambda p: 5 * p, network.init(jax.random.key(0)))
    params = (params[0], params[1]._replace(W=1e3 * params[1].W))
    labels = jnp.array([3, 1, 4])
    pictures = drawn(network, params, labels, (2, 3), INKS, jax.random.key(1))
    _, logits = r.apply(network, params, context(pictures, labels, INKS))
    np.testing.assert_array_equal(logits.argmax(-1).reshape(3, 2, 3), pictures)


@pytest.mark.slow
def test_drawings_are_as_frequent_as_likely():
    """Of pictures of 1 x 2 pixels."""
    network = r.stack(r.scan(r.gru(2 * 3 + 1 + 2 + CLASSES, 4)), r.dense(4, 2))
    params = jax.tree.map(lambda p: 2 * p, network.init(jax.random.key(5)))
    labels = jnp.full(20_000, 2)
    pictures = drawn(network, params, labels, (1, 2), 2, jax.random.key(1))
    every = np.array([[[0, 0]], [[0, 1]], [[1, 0]], [[1, 1]]], np.int32)
    _, logits = r.apply(network, params, context(every, labels[:4], 2))
    p = np.exp(np.take_along_axis(jax.nn.log_softmax(logits), every.reshape(4, 2, 1), 2).sum((1, 2)))
    counts = np.bincount(np.asarray(pictures @ jnp.array([2, 1])).ravel(), minlength=4)
    np.testing.assert_allclose(p.sum(), 1, rtol=1e-5)
    assert (abs(counts - 20_000 * p) < 4.5 * np.sqrt(20_000 * p * (1 - p))).all()


def test_pictures_are_shown_side_by_side():
    pictures = np.zeros((1, 2, 2, 2), int)
    pictures[0, 1, 0] = 16, 8
    assert shown(pictures, 17) == "   @=\n     "


def test_measure_is_of_each_class(data):
    """The recipe's metric against the network's logits, class by class; at first all inks are as likely."""
    recipe = draw.recipe(draw.Config(data=data, m=8, most=20, batch=4))
    params = recipe.init(jax.random.key(0))
    loss, _, _ = jax.jit(recipe.gradient)(params, jax.random.key(0), recipe.batch_at(0))
    assert abs(loss / 64 - np.log(17)) < 0.3
    config = draw.Config(data=data, m=8, most=20)
    network, test = draw.model(config, (8, 8)), draw.pictures(config).test
    assert test.xs.shape == (20, 8, 8)
    nats = []
    for c in range(CLASSES):
        _, logits = r.apply(network, params, context(test.xs, jnp.full(20, c), 17))
        nats.append(-np.take_along_axis(jax.nn.log_softmax(logits), test.xs.reshape(20, 64, 1), 2).sum((1, 2)))
    found = recipe.measure(params, "test")
    np.testing.assert_allclose(found["nats a picture"], np.stack(nats, 1)[np.arange(20), test.labels].mean(), rtol=1e-5)
    assert found["share right by Bayes' rule"] == np.mean(np.argmin(nats, 0) == test.labels)


@pytest.mark.slow
def test_it_learns_to_draw_bars(data):
    recipe = draw.recipe(draw.Config(data=data, m=32, most=100, batch=32, steps=200, lr=1e-2, dropout=0.0))
    found = recipe.measure(learned(recipe, 200), "test")
    assert found["nats a picture"] < 20  # 8 pixels of 5 inks cost 13
    assert found["share right by Bayes' rule"] > 0.95


def test_mnist_is_drawn_once(monkeypatch):
    xs = np.random.default_rng(0).integers(0, 256, (40, 28, 28)).astype(np.uint8)
    xs[:, 0], xs[:, 1] = 0, 255
    labels = np.zeros(40, np.int32)
    monkeypatch.setattr(draw, "mnist", lambda path: Parts(*[Labelled(xs, labels)] * 3))
    config = draw.Config(dataset="mnist", most=10)
    one, other = draw.pictures(config), draw.pictures(config)
    np.testing.assert_array_equal(one.train.xs, other.train.xs)
    assert not one.train.xs[:, 0].any() and one.train.xs[:, 1].all()
    assert abs(one.train.xs[:, 2:].mean() - 0.5) < 0.02
    assert len(one.valid.labels) == len(one.test.xs) == 10
