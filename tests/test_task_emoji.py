"""Names of pictures."""

import jax
import numpy as np
import pytest
from learning import learned

from rnnjax.data import Parts, Pictures
from rnnjax.tasks import emoji, ngram

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
SIZE = dict(m=16, batch=8, embed=8)


def pictures(count, seed):
    """Squares of one colour, not quite even, and its name."""
    draw = np.random.default_rng(seed)
    names = [list(COLOURS)[i % 3] for i in range(count)]
    xs = np.array([COLOURS[name] for name in names])[:, None, None] * draw.uniform(0.7, 1, (count, 32, 32, 3))
    return Pictures(xs.astype(np.uint8), names)


@pytest.fixture(autouse=True)
def coloured(monkeypatch):
    """In place of the font: the drawing of emoji has tests of its own."""
    monkeypatch.setattr(emoji, "read", lambda path: Parts(pictures(24, 0), pictures(6, 1), pictures(9, 2)))


def test_what_sees_nothing_says_the_same_of_all():
    blind, seeing = (emoji.recipe(emoji.Config(sees=sees, **SIZE)) for sees in ("nothing", "picture"))
    assert not blind.batch_at(0)[0].any()
    assert 0.65 < seeing.batch_at(0)[0].max() <= 1
    params = blind.init(jax.random.key(0))
    assert len({line.split(": ", 1)[1] for line in blind.show(params).split("\n")}) == 1
    for one, other in zip(blind.batch_at(4)[1:], seeing.batch_at(4)[1:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_nearest_is_of_the_training_pictures():
    train, test = pictures(24, 0), pictures(9, 2)
    assert emoji.nearest(train, test.xs) == test.names


def test_at_first_all_characters_are_as_likely():
    recipe = emoji.recipe(emoji.Config(**SIZE))
    params = recipe.init(jax.random.key(0))
    loss, _, _ = jax.jit(recipe.gradient)(params, jax.random.key(0), recipe.batch_at(0))
    symbols = len(set("\nredgreenblue")) + 1
    assert abs(loss - np.log(symbols)) < 0.3
    assert abs(recipe.measure(params, "test")["nats a character"] - np.log(symbols)) < 0.3


def test_the_ngram_is_of_names_and_their_ends():
    recipe = emoji.recipe(emoji.Config(**SIZE))
    ((label, nats),) = recipe.baselines("valid").items()
    assert label == "5-gram Kneser-Ney (right, of the nearest picture's names: 1.000)"
    symbols = sorted(set("\nredgreenblue"))
    train, valid = (
        [1 + symbols.index(c) for name in pictures(count, 0).names for c in name + "\n"] for count in (24, 6)
    )
    bits = ngram.bits(ngram.kneser_ney(train, len(symbols) + 1, 5), valid)
    np.testing.assert_allclose(nats, bits * np.log(2), rtol=1e-10)


@pytest.mark.slow
def test_it_learns_colours():
    recipe = emoji.recipe(emoji.Config(**SIZE, steps=150, lr=1e-2, dropout=0.0))
    params = learned(recipe, 150)
    found = recipe.measure(params, "test")
    assert found["share right"] == 1
    assert found["nats a character"] < 0.1
    assert recipe.show(params).split("\n")[:2] == ["red: red", "green: green"]
