"""Chorales told ahead: the likelihood by hand, simple models by hand, no look ahead, no trace of padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from running import quick
from test_data_music import melody, write

import rnnjax
from rnnjax.data import chorales
from rnnjax.tasks import music, rolls
from rnnjax.train import begin, update

SMALL = dict(m=12, batch=3, steps=40, lr=2e-2, dropout=0.2)


@pytest.fixture(autouse=True, scope="module")
def quick_compiles():
    with quick():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten scores in four parts, 14 to 23 frames long, of melodies of their own."""
    folder = tmp_path_factory.mktemp("scores")
    random = np.random.default_rng(0)
    for i in range(10):
        voices = [melody(random.integers(-5, 9, 14 + i)) for _ in range(4)]
        write(folder / f"{i}.mxl", *voices)
    return folder


def roll(*frames):
    """A piano roll of frames of MIDI numbers."""
    found = np.zeros((len(frames), 88), bool)
    for frame, notes in zip(found, frames):
        frame[[n - 21 for n in notes]] = True
    return found


def test_surprise_is_the_sum_of_88_cross_entropies():
    random = np.random.default_rng(0)
    logits, on = random.normal(size=(5, 88)), random.random((5, 88)) < 0.1
    share = 1 / (1 + np.exp(-logits))
    expected = -np.log(np.where(on, share, 1 - share)).sum(1)
    np.testing.assert_allclose(rolls.surprise(jnp.float32(logits), jnp.float32(on)), expected, rtol=1e-5)


def test_a_pitch_as_often_as_it_sounded():
    model = rolls.frequencies([roll([60], [60, 64], [60])])
    share = 1 / (1 + np.exp(-model(np.zeros((1, 88)))))[0]
    np.testing.assert_allclose(share[[39, 43, 0]], [3.5 / 4, 1.5 / 4, 0.5 / 4], rtol=1e-6)


def test_a_pitch_as_often_as_it_was_held():
    model = rolls.held([roll([60], [60], [], [60])])  # begun 2 times of 2 after silence, held 1 time of 2
    after = 1 / (1 + np.exp(-model(roll([], [60]).astype(float))))
    np.testing.assert_allclose(after[:, 39], [2.5 / 3, 1.5 / 3], rtol=1e-6)


def test_logistic_learns_what_follows_what_and_costs_the_least():
    chords = [[60, 64], [62, 65], [59, 67]]
    song = roll(*[chords[i % 3] for i in range(60)])
    found = [rolls.nats(fit([song]), [song]) for fit in (rolls.frequencies, rolls.held, rolls.logistic)]
    assert found[2] < found[1] / 3 < found[0] / 3
    told = rolls.logistic([song])(rolls.pairs([song])[0])
    np.testing.assert_array_equal(np.asarray(told)[1:] > 0, song[1:])


def test_another_key_has_the_same_intervals():
    song = roll([60, 64], [62], [])
    shifts = {int(np.flatnonzero(rolls.transposed(song, np.random.default_rng(i))[1])[0]) - 41 for i in range(200)}
    assert shifts == set(range(-5, 7))
    for i in range(20):
        moved = rolls.transposed(song, np.random.default_rng(i))
        assert np.diff(np.flatnonzero(moved[0])) == [4] and not moved[2].any()
    edge = roll([21], [108])
    assert all((rolls.transposed(edge, np.random.default_rng(i)) == edge).all() for i in range(20))


def test_padding_leaves_no_trace(folder):
    """The measure is the mean over the frames of each chorale run alone, as long as it is."""
    recipe = music.recipe(music.Config(data=str(folder), **SMALL))
    network = music.model(music.Config(**SMALL))
    params = recipe.init(jax.random.key(0))
    test = chorales(folder).test
    each = []
    for song in test:
        past = np.concatenate([np.zeros((1, 88)), song[:-1]]).astype(np.float32)
        _, logits = rnnjax.apply(network, params, past[None])
        each.append(np.asarray(rolls.surprise(logits[0], jnp.float32(song))))
    assert len({len(e) for e in each}) > 1
    np.testing.assert_allclose(recipe.measure(params, "test")["nats a frame"], np.concatenate(each).mean(), rtol=1e-5)


def test_a_frame_is_not_told_itself(folder):
    network = music.model(music.Config(**SMALL))
    params = network.init(jax.random.key(0))
    xs, lengths = rolls.padded(chorales(folder).train[:1])
    changed = xs.copy()
    changed[:, 5] = 1 - changed[:, 5]
    one, other = (rnnjax.apply(network, params, rolls.before(x), lengths=lengths)[1] for x in (xs, changed))
    np.testing.assert_array_equal(one[:, :6], other[:, :6])
    assert (one[:, 6] != other[:, 6]).any()


def test_it_begins_at_a_guess_and_learns(folder):
    recipe = music.recipe(music.Config(data=str(folder), transpose=False, **SMALL))
    training = begin(recipe, recipe.optimizer, jax.random.key(0))
    one_step, losses = update(recipe.gradient, recipe.optimizer), []
    for step in range(SMALL["steps"]):
        training, metrics = one_step(training, recipe.batch_at(step))
        losses.append(float(metrics.loss))
    np.testing.assert_allclose(losses[0], 88 * np.log(2), rtol=0.1)
    assert recipe.measure(training.params, "test")["nats a frame"] < 20
    sample = recipe.show(training.params).splitlines()
    assert len(sample) == 33
    assert recipe.show(training.params).splitlines() == sample


def test_a_batch_is_a_function_of_the_step(folder):
    recipe, again = (music.recipe(music.Config(data=str(folder), **SMALL)) for _ in range(2))
    for step in (4, 0):
        for a, b in zip(recipe.batch_at(step), again.batch_at(step)):
            np.testing.assert_array_equal(a, b)
    assert recipe.batch_at(0)[0].shape == (3, 64, 88)
    assert recipe.fixed == again.fixed
    baselines = recipe.baselines("valid")
    assert len(baselines) == 3 and all(0 < nats < 88 for nats in baselines.values())


def test_most_is_at_most(folder):
    assert "2 to learn, 2 held out, 2 to test" in music.recipe(music.Config(data=str(folder), most=2)).about


def test_errors(tmp_path):
    with pytest.raises(ValueError, match=r"chorales: path must hold scores in four parts, but .* has none\."):
        music.recipe(music.Config(data=str(tmp_path)))
    with pytest.raises(ValueError, match=r"train: cell must be one of .*, but cell is 'tcn'"):
        music.Config(cell="tcn")
