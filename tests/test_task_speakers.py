"""The task speakers on made-up recordings in the .ts format."""

import jax
import numpy as np
import pytest
from running import learned, quick

from rnnjax.tasks import speakers

SMALL = dict(m=8, steps=60, lr=2e-2, batch=16, dropout=0.1)


@pytest.fixture(autouse=True, scope="module")
def quick_compiles():
    with quick():
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Recordings of 3 features and 3 to 9 frames, of which the mean says who speaks."""
    folder, draw = tmp_path_factory.mktemp("vowels"), np.random.default_rng(0)
    voices = draw.normal(size=(9, 3)) * 10 + 5
    for part, count in (("TRAIN", 90), ("TEST", 45)):
        lines = ["@problemName JapaneseVowels", "@classLabel true 1 2 3 4 5 6 7 8 9", "@data"]
        for speaker in (k for k in range(9) for _ in range(count // 9)):
            frames = voices[speaker] + draw.normal(size=(draw.integers(3, 10), 3))
            lines.append(":".join(",".join(map(str, column)) for column in frames.T) + f":{speaker + 1}")
        (folder / f"JapaneseVowels_{part}.ts").write_text("\n".join(lines))
    return str(folder)


def test_begins_at_chance_and_learns(data):
    recipe = speakers.recipe(speakers.Config(data=data, **SMALL))
    losses, params = learned(recipe, 60)
    np.testing.assert_allclose(losses[0], np.log(9), rtol=0.3)
    assert recipe.measure(params, "test")["accuracy"] > 0.9
    assert " of 45 wrong. Taken most often: " in recipe.show(params)


def test_scaled_by_the_training_part(data):
    """Mean 0 and variance 1 of each feature, and zero where there is no frame."""
    recipe = speakers.recipe(speakers.Config(data=data, **SMALL | dict(batch=72)))
    seen = [recipe.batch_at(step) for step in (0, 1)]
    real = np.concatenate([x[:length] for xs, lengths, _ in seen for x, length in zip(xs, lengths)])
    np.testing.assert_allclose(real.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(real.std(0), 1, atol=1e-5)
    assert not any(x[length:].any() for xs, lengths, _ in seen for x, length in zip(xs, lengths))


def test_baselines(data):
    assert speakers.nearest(np.array([[0, 0], [3, 4]]), np.array([[1, 1], [3, 3], [9, 9]])).tolist() == [0, 1, 1]
    found = speakers.recipe(speakers.Config(data=data, **SMALL)).baselines("test")
    assert found["always the same"] == 1 / 9
    assert found["nearest class mean of the mean frame"] > 0.9
    assert found["softmax regression of the mean frame"] > 0.9


def test_batches_hang_on_the_step(data):
    one, other = (speakers.recipe(speakers.Config(data=data, **SMALL)) for _ in range(2))
    one.batch_at(0)
    for a, b in zip(one.batch_at(11), other.batch_at(11)):
        np.testing.assert_array_equal(a, b)
    assert one.fixed == other.fixed


def test_a_model_of_two_layers_takes_no_notice_of_padding(data):
    config = speakers.Config(data=data, **SMALL | dict(layers=2))
    network, (xs, lengths, _) = speakers.model(config, 3), speakers.recipe(config).batch_at(0)
    params = network.init(jax.random.key(0))
    longer = np.pad(xs, ((0, 0), (0, 5), (0, 0)), constant_values=9)
    np.testing.assert_allclose(
        network.logits(params, xs, lengths), network.logits(params, longer, lengths), rtol=1e-5, atol=1e-6
    )


def test_wrong_options():
    with pytest.raises(ValueError, match=r"train: cell must be one of .*, but cell is 'cnn'"):
        speakers.Config(cell="cnn")
    with pytest.raises(ValueError, match="japanese_vowels: path must exist, but nowhere does not"):
        speakers.recipe(speakers.Config(data="nowhere"))
