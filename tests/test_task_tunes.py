"""Tunes of a kind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from learning import learned

import rnnjax as r
from conftest import SINGLE
from rnnjax.data import Vocabulary, characters
from rnnjax.tasks import ngram, tunes

METRES = {"Reel": "C|", "Hornpipe": "2/4", "Jig": "6/8"}
SIZE = dict(m=16, batch=4, embed=8)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of 120 tunes, a third of each kind, whose notes are those of its kind, and one slide."""
    draw, tunes = np.random.default_rng(0), []
    for i in range(120):
        kind = list(METRES)[i % 3]
        notes = "".join(draw.choice(list("ABC" if kind == "Jig" else "DEFG"), draw.integers(20, 40)))
        tunes.append(f"X:{i}\nT:Tune {i}\nR:{kind}\nM:{METRES[kind]}\nK:G\n{notes}||\n")
    folder = tmp_path_factory.mktemp("tunes")
    (folder / "book.abc").write_text("\n".join(tunes) + "\nX:0\nR:Slide\nM:12/8\nK:D\nGGG\n")
    return str(folder)


@pytest.fixture(scope="module")
def recipe(data):
    return tunes.recipe(tunes.Config(data=data, **SIZE))


def test_tunes_of_three_kinds_are_read(data):
    parts = tunes.chosen(tunes.Config(data=data))
    assert sum(map(len, parts)) == 120
    assert {tune.kind for part in parts for tune in part} == set(tunes.KINDS)


def test_every_character_is_a_target_once(data):
    """With the blank line that ends a tune; a tune is cut where it is longer than asked, and then has no end."""
    tune = tunes.chosen(tunes.Config(data=data)).test
    vocabulary = characters("".join(one.abc for one in tune))
    rows = []
    for kinds, before, targets, lengths in tunes.padded(vocabulary, tune, None, 4):
        assert before.shape == targets.shape == (4, before.shape[1])
        for kind, row, target, length in zip(kinds, before, targets, lengths):
            assert vocabulary.decode(row[: length and 1]) == "\n"[:length]
            np.testing.assert_array_equal(row[1:length], target[: length - 1] if length else [])
            rows += [(tunes.KINDS[kind], vocabulary.decode(target[:length]))] if length else []
    assert sorted(rows) == sorted((one.kind, one.abc + "\n") for one in tune)
    cut = tunes.padded(vocabulary, tune, 9, 4)
    assert {batch[1].shape for batch in cut} == {(4, 9)}
    assert vocabulary.decode(cut[0][2][0]) in {one.abc[:9] for one in tune}


def test_batches_are_of_the_step_alone(recipe, data):
    again = tunes.recipe(tunes.Config(data=data, **SIZE))
    for step in (40, 3, 77):
        for one, other in zip(recipe.batch_at(step), again.batch_at(step), strict=True):
            np.testing.assert_array_equal(one, other)


def test_measure_is_bits_of_each_character(recipe, data):
    """Against the decoder alone, tune by tune and kind by kind."""
    parts = tunes.chosen(tunes.Config(data=data))
    vocabulary = characters("".join(tune.abc for tune in parts.train))
    teller = tunes.model(tunes.Config(**SIZE), len(vocabulary))
    params = jax.tree.map(lambda p: 3 * p, recipe.init(jax.random.key(0)))
    nats, right, size = 0, [], 0
    for tune in parts.test:
        ids = vocabulary.encode("\n" + tune.abc + "\n")
        own = tunes.KINDS.index(tune.kind)
        state = teller.start(params, jnp.arange(3))
        xs = np.tile(ids[:-1], (3, 1))
        _, logits = r.apply(teller.decoder, params[1], np.pad(xs, ((0, 0), (0, 60 - len(ids)))), state=state)
        each = -jax.nn.log_softmax(logits)[:, np.arange(len(ids) - 1), ids[1:]].sum(1)
        nats, size = nats + each[own], size + len(ids) - 1
        right.append(each.argmin() == own)
    found = recipe.measure(params, "test")
    np.testing.assert_allclose(found["bits a character"], nats / size / np.log(2), **SINGLE)
    np.testing.assert_allclose(found["share right by Bayes' rule"], np.mean(right), **SINGLE)


def test_at_first_all_characters_are_as_likely(recipe):
    params = recipe.init(jax.random.key(0))
    loss, gradients, _ = jax.jit(recipe.gradient)(params, jax.random.key(0), recipe.batch_at(0))
    assert abs(loss - np.log(params[1][-1].b.size)) < 0.3
    assert all((np.asarray(g) != 0).any() for g in jax.tree.leaves(gradients))


def test_ngrams_are_those_of_each_kind(recipe, data):
    parts = tunes.chosen(tunes.Config(data=data))
    vocabulary = characters("".join(tune.abc for tune in parts.train))
    everything, each = recipe.baselines("test").items()
    train = {kind: [vocabulary.encode(t.abc + "\n") for t in parts.train if t.kind == kind] for kind in tunes.KINDS}
    fitted = {kind: ngram.kneser_ney(np.concatenate(of), len(vocabulary), 5) for kind, of in train.items()}
    given = [(tune.kind, vocabulary.encode(tune.abc + "\n")) for tune in parts.test]
    bits = sum(ngram.bits(fitted[kind], ids) * len(ids) for kind, ids in given)
    assert each[0] == "5-gram of each kind (right: 1.000)"
    np.testing.assert_allclose(each[1], bits / sum(len(ids) for _, ids in given))
    assert 0.5 < everything[1] < np.log2(7)


@pytest.mark.slow
def test_it_learns_the_kinds(data):
    """The notes of a jig, of 3, cost 1.6 bits each, others 2; what is likeliest has the metre and notes of its kind."""
    config = tunes.Config(data=data, m=32, batch=16, embed=8, steps=200, lr=2e-2, dropout=0.0)
    recipe = tunes.recipe(config)
    params = learned(recipe, config.steps)
    found = recipe.measure(params, "test")
    assert found["bits a character"] < 1.8
    assert found["share right by Bayes' rule"] == 1
    vocabulary = Vocabulary.from_json(recipe.fixed["vocabulary"])
    said = tunes.model(config, len(vocabulary)).tell(params, np.arange(3), vocabulary, 40, end="\n\n")
    for text, (kind, metre) in zip(said, METRES.items(), strict=True):
        head, notes = text.split("K:G\n")
        assert head == f"M:{metre}\n"
        assert set(notes) - set("|\n") <= set("ABC" if kind == "Jig" else "DEFG")
    assert recipe.show(params).count("\n\na ") == 2


@pytest.mark.parametrize(
    "kinds, message",
    [
        (["Reel", "Jig"], r"tunes: there must be a hornpipe to learn from, but there is none\. Give a larger folder\."),
        (list(METRES), r"tunes: valid must hold a reel, hornpipe, jig, but it has none\. Give a larger folder\."),
    ],
)
def test_a_folder_without_a_kind_is_refused(tmp_path, kinds, message):
    notes = "GABc", "cdef", "AFED"
    tunes_of = [f"X:{i}\nR:{kind}\nM:C\nK:G\n{notes[i]}\n" for i, kind in enumerate(kinds)]
    (tmp_path / "book.abc").write_text("".join(tunes_of))
    with pytest.raises(ValueError, match=message):
        tunes.chosen(tunes.Config(data=str(tmp_path)))


def test_the_most_are_spread_over_a_part(data):
    every, few = (tunes.chosen(tunes.Config(data=data, most=most)) for most in (1000, 10))
    assert few.train == every.train[:: len(every.train) // 10][:10]
    assert few.test == every.test[:10]
