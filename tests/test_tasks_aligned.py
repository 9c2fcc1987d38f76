"""A label for each word, character, or gap: tagging, Hanja, and missing words."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rnnjax as r
from rnnjax.data import TAGS, Parts, Reading
from rnnjax.data.treebanks import TEST, VALID
from rnnjax.tasks import aligned, blank, filled, gaps, hanja, kept, ngram, tagging
from rnnjax.tasks.asked import module
from rnnjax.tasks.recipe import mean
from rnnjax.train import begin, fit, update
from tests.real_data import installed

TINY = dict(batch=4, steps=60, every=60, dropout=0.0, lr=3e-2)


def trained(recipe, steps):
    """A recipe's params after so many steps."""
    training = begin(recipe, recipe.optimizer, jax.random.key(0))
    for training, _ in fit(  # noqa: B007
        update(recipe.gradient, recipe.optimizer), training, lambda n: (recipe.batch_at(n),), steps
    ):
        pass
    return training.params


def first_loss(recipe):
    params = recipe.init(jax.random.key(0))
    return float(recipe.gradient(params, recipe.start(params), recipe.batch_at(0))[0])


# a treebank and a dictionary, small and in their true formats

LINES = {
    "train": ["o/DET rio/NOUN corre/VERB ./PUNCT", "a/DET corre/NOUN ./PUNCT", "o/DET sol/NOUN corre/VERB",
              "os/DET rios/NOUN ,/PUNCT Petrobras/PROPN", "mar/NOUN corre/VERB"],
    "valid": ["o/DET mar/NOUN"],
    "test": ["a/DET rio/NOUN corre/NOUN lua/VERB", "sol/NOUN"],
}  # fmt: skip


@pytest.fixture
def treebank(tmp_path):
    """The path of a CoNLL-U file with the documents of PetroGold's parts."""
    documents = {"train": "1-2012-TESE_0", "valid": VALID[0], "test": TEST[0]}
    rows = []
    for part, sentences in LINES.items():
        for number, sentence in enumerate(sentences, 1):
            rows.append(f"# sent_id = {documents[part]}-{number}")
            for place, pair in enumerate(sentence.split(), 1):
                word, tag = pair.rsplit("/", 1)
                rows.append("\t".join([str(place), word, "_", tag, *6 * ["_"]]))
            rows.append("")
    path = tmp_path / "tiny.conllu"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def words(monkeypatch):
    """Hanja whose readings hang on the place, as 樂, and on the right neighbour, as 北."""
    rows = "樂園 낙원|音樂 음락|苦樂 고락|北部 북부|北敗 배패|南北 남북|敗北 패북|音北 음북|樂音 낙음"
    train = [Reading(*row.split()) for row in rows.split("|")]
    test = [Reading("樂北", "낙북"), Reading("音山", "음산"), Reading("園苦部", "원고부")]
    monkeypatch.setattr(hanja, "hanja", lambda path: Parts(train, train[:2], test))


def test_commonest_tags(treebank):
    """By hand: corre is VERB in 3 of 4, and a new word what most of those seen once are, NOUN."""
    recipe = tagging.recipe(tagging.Config(data=treebank, **TINY))
    assert recipe.baselines("test") == {"each word's commonest tag": 3 / 5}
    assert recipe.baselines("valid") == {"each word's commonest tag": 1.0}


def test_traits_of_new_words(treebank):
    """What was seen once is not told from what never was, but for the traits that it shares with others."""
    recipe = tagging.numbered([tagging.tagged(treebank).train[k] for k in range(5)])
    rio, new = ([recipe.get(trait, 0) for trait in tagging.traits(word)] for word in ("rio", "rua"))
    assert recipe["=corre"] and recipe["=o"] and "=rio" not in recipe and 0 not in recipe.values()
    assert rio[:2] == new[:2] == [0, 0] and rio[-1] == new[-1] == recipe["?x"]
    assert sorted(recipe.values()) == list(range(1, len(recipe) + 1))


@pytest.mark.slow
def test_tagging_learns(treebank):
    """The tag of corre hangs on the word before and is learned; the loss begins near that of chance."""
    recipe = tagging.recipe(tagging.Config(data=treebank, m=8, embed=4, layers=1, buckets=1, **TINY))
    assert abs(first_loss(recipe) - np.log(len(TAGS))) < 0.5
    found = recipe.measure(params := trained(recipe, 40), "test")
    assert list(found) == ["share of words right", "share of sentences right"]
    assert found["share of words right"] >= 0.6
    shown = recipe.show(params)
    assert "a/DET rio/NOUN corre/" in shown and ("lua/VERB" in shown or "[VERB]" in shown)


def test_only_both_ends_see_what_follows():
    """A later word moves the logits of an earlier one if and only if sentences are read from both ends."""
    for bidirectional in (True, False):
        network = tagging.model(tagging.Config(m=3, embed=2, layers=1, bidirectional=bidirectional), 50)
        params = network.init(jax.random.key(0))
        xs = np.arange(4 * 7).reshape(4, 7) + np.zeros((2, 1, 1), int)
        xs[1, 3] += 1
        _, ys = r.apply(network, params, xs)
        assert bool((ys[0, 0] != ys[1, 0]).any()) == bidirectional


def test_padding_counts_for_nothing():
    """Loss and shares of a padded batch are those of its sequences alone, whatever stands in the padding."""
    network = hanja.model(hanja.Config(m=3, embed=2, dropout=0.0), 60, 20)
    loss, judge = aligned.labeller(network, "character", "word")
    params = network.init(jax.random.key(1))
    draw, lengths = np.random.default_rng(0), np.array([4, 2, 0, 1], np.int32)
    xs = draw.integers(0, 60, (4, 4))
    logits = np.asarray(r.apply(network, params, xs, lengths=lengths)[1])
    labels = logits.argmax(-1)
    labels[0, 3] = (labels[0, 3] + 1) % 20  # all right but this
    labels[1, 2:] = labels[2] = 7
    alone = [r.apply(network, params, xs[[b], :k])[1][0] for b, k in enumerate(lengths) if k]
    losses = optax.softmax_cross_entropy_with_integer_labels(
        np.concatenate(alone), np.concatenate([row[:k] for row, k in zip(labels, lengths)])
    )
    np.testing.assert_allclose(loss(params, jax.random.key(0), xs, labels, lengths), losses.mean(), rtol=1e-5)
    found = mean(judge, params, [(xs, labels, lengths)])
    assert found == pytest.approx({"share of characters right": 6 / 7, "share of words right": 2 / 3})


def test_batches_of_an_epoch():
    """A batch is a function of the step; an epoch has every sequence once, in as many lengths as asked for."""
    xs = [np.full(1 + k % 6, k, np.int32) for k in range(23)]
    part = aligned.Aligned(xs, xs)
    at = aligned.ragged(part, 4, 2, seed=3)
    epoch = [at(step) for step in range(6)]
    seen = [int(x[0]) for inputs, _, lengths in epoch for x, k in zip(inputs, lengths) if k]
    assert sorted(seen) == list(range(23))
    assert len({inputs.shape for inputs, _, _ in epoch}) == 2
    for inputs, labels, lengths in epoch:
        assert inputs.shape == labels.shape == (4, inputs.shape[1]) and inputs.shape[1] >= lengths.max()
    again = aligned.ragged(part, 4, 2, seed=3)
    for step in (9, 2, 11):
        np.testing.assert_array_equal(at(step)[0], again(step)[0])
    assert any(
        (at(step)[0].shape != at(step + 6)[0].shape) or (at(step)[0] != at(step + 6)[0]).any() for step in range(6)
    )


def test_commonest_readings(words):
    """By hand: 樂 is 락 and 낙 twice each, and 낙 came first; 山 is new, its reading unknown."""
    recipe = hanja.recipe(hanja.Config(**TINY))
    plain, placed = hanja.by_character(hanja.hanja(None).train), hanja.by_place(hanja.hanja(None).train)
    assert plain("樂北山") == ["낙", "북", None]
    assert placed("北樂") == ["북", "락"] and placed("樂北") == ["낙", "북"]
    assert recipe.baselines("test") == {
        "each character's commonest reading": pytest.approx(6 / 7),
        "the same, of first ones and others": pytest.approx(6 / 7),
    }


def test_new_labels_are_wrong(words):
    """A syllable never heard in training cannot be guessed, so its word is wrong."""
    characters, syllables = {"音": 1}, {"음": 1}
    part = hanja.aligned([hanja.hanja(None).test[1]], characters, syllables)
    assert part.xs[0].tolist() == [1, 0] and part.labels[0].tolist() == [0, -1]


@pytest.mark.slow
def test_hanja_learns(words):
    """What place and neighbours decide is learned, also where commonest readings are wrong."""
    recipe = hanja.recipe(hanja.Config(cell="rnn", m=12, embed=8, buckets=1, **TINY))
    assert abs(first_loss(recipe) - np.log(11)) < 0.5
    params = trained(recipe, 60)
    assert recipe.measure(params, "valid") == {"share of characters right": 1.0, "share of words right": 1.0}
    test = recipe.measure(params, "test")
    assert test["share of words right"] <= 2 / 3 and test["share of characters right"] <= 6 / 7
    assert "音山" in recipe.show(params) and "wrong" in recipe.show(params)


def test_shipped_hanja():
    """The commonest readings of the shipped words, as the loader's docstring has them."""
    recipe = hanja.recipe(hanja.Config(m=2, embed=2))
    assert recipe.baselines("test")["each character's commonest reading"] == pytest.approx(0.964, abs=5e-4)
    assert "16,630" in recipe.about


# gaps


@pytest.mark.parametrize("constructor", [r.lstm, r.gru])
def test_unread(constructor):
    """y at t is h after t - 1, and the state the cell's own."""
    cell = constructor(3, 4)
    params, xs = cell.init(jax.random.key(0)), np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    state, ys = r.scan(cell).step(params, cell.start(params), xs)
    after, before = r.scan(gaps.unread(cell)).step(params, cell.start(params), xs)
    np.testing.assert_allclose(before[1:], ys[:-1], rtol=1e-6)
    assert not before[0].any()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), state, after)


@pytest.mark.parametrize(("constructor", "sees"), [(r.lstm, "both"), (r.lstm, "left"), (r.gru, "both")])
def test_the_word_cannot_leak(constructor, sees):
    """The gradient of y at t by x at s is exactly 0 at s = t, and elsewhere is not, but to the right of `left`."""
    layer, T = gaps.beside(constructor, 3, 4, sees=sees), 5
    params = layer.init(jax.random.key(0))
    xs = jnp.asarray(np.random.default_rng(1).normal(size=(T, 3)).astype(np.float32))
    slope = jax.jacobian(lambda xs: layer.step(params, layer.start(params), xs)[1])(xs)
    moves = (slope != 0).any((1, 3))
    t, s = np.indices((T, T))
    np.testing.assert_array_equal(moves, t != s if sees == "both" else s < t)


def test_the_recipe_cannot_leak():
    """Nor through the whole network of the recipe, padded: another word at t leaves the logits at t as they were."""
    for sees in ("both", "left"):
        network = blank.model(blank.Config(sees=sees, cell="rnn", m=4, embed=3, dropout=0.0), 9)
        params = network.init(jax.random.key(0))
        one = np.array([[1, 2, 3, 4, 5, 0]])
        other = np.where(np.arange(6) == 2, 8, one)
        ys, zs = (r.apply(network, params, ids, lengths=np.array([5]))[1][0] for ids in (one, other))
        np.testing.assert_array_equal(ys[2], zs[2])
        assert (ys[3] != zs[3]).any() and bool((ys[1] != zs[1]).any()) == (sees == "both")


def test_left_has_no_fewer_params():
    count = {}
    for sees in ("both", "left"):
        network = blank.model(blank.Config(sees=sees), 100)
        count[sees] = sum(p.size for p in jax.tree.leaves(jax.eval_shape(network.init, jax.random.key(0))))
    assert count["both"] <= count["left"] <= 1.5 * count["both"]


@pytest.mark.parametrize("N", [16, 17, 24, 25, 61])
def test_every_word_is_judged_once(N):
    ids = np.arange(N)
    found, inner = [], []
    for words, judged in gaps.overlapping(ids, 16, 3):
        assert words.shape == judged.shape == (3, 16)
        found += words[judged].tolist()
        places = np.indices(words.shape)[1][judged & (words >= 4) & (words < N - 4)]
        inner += places.tolist()
    assert sorted(found) == ids.tolist()
    assert all(4 <= place < 12 for place in inner)


def test_bigrams_of_both_neighbours():
    """Against Bayes' rule word by word, and better than left neighbours alone on a text that both decide."""
    train, ids = np.array([0, 1, 2, 0, 3, 2, 1, 3, 0, 1, 2, 2]), np.array([2, 0, 1, 2, 3, 1])
    model = ngram.kneser_ney(train, 4, order=2)
    after = np.stack([ngram.probabilities(model, [k]) for k in range(4)])
    nats = []
    for left, word, right in zip(ids, ids[1:], ids[2:]):
        joint = [after[left, w] * after[w, right] for w in range(4)]
        nats.append(-np.log(joint[word] / sum(joint)))
    assert gaps.gap_of_bigrams(train, 4, ids) == pytest.approx(np.exp(np.mean(nats)), rel=1e-5)


COLOURS = "red", "blue", "green", "grey", "black", "white", "pink", "brown"
TEXT = " ".join(f"{colour} {colour} ." for colour in np.random.default_rng(0).choice(COLOURS, 500))


@pytest.fixture
def text(tmp_path):
    """A text of eight colours, each twice: a word is known from its neighbours, but of two only the second before."""
    path = tmp_path / "colours.txt"
    path.write_text(TEXT, encoding="utf-8")
    return str(path)


def config_of(text, **options):
    plain = dict(data=text, cell="rnn", m=8, embed=8, window=16, dropout=0.0, batch=8, steps=100, every=100, lr=3e-2)
    return blank.Config(**plain | options)


@pytest.mark.slow
def test_both_sides_know_more(text):
    """Who sees both sides knows every word; from the left a third are one of eight, at best a perplexity of 2."""
    found = {}
    for sees in ("both", "left"):
        recipe = blank.recipe(config_of(text, sees=sees))
        assert abs(first_loss(recipe) - np.log(10)) < 0.5
        found[sees] = recipe.measure(trained(recipe, 100), "test")
    assert list(found["both"]) == ["perplexity", "share right", "share in the first ten"]
    assert found["both"]["perplexity"] < 1.3 < 1.9 < found["left"]["perplexity"] < 2.6
    assert found["both"]["share right"] > 0.95 and 0.6 < found["left"]["share right"] < 0.85


def test_baselines_are_those_of_ngrams(text):
    """Of this text: its entropy, with a third certain; a bigram cannot tell first from second; five words can."""
    found = list(blank.recipe(config_of(text)).baselines("test").values())
    assert found == sorted(found, reverse=True)
    assert 6 < found[0] < 10 and 2 < found[2] < 2.6 and found[3] < 1.5


def test_perplexity_of_what_is_uniform(text):
    """A network of zeros: the perplexity is the number of words, and all of them are among its first ten."""
    recipe = blank.recipe(config_of(text))
    params = jax.tree.map(jnp.zeros_like, recipe.init(jax.random.key(0)))
    found = recipe.measure(params, "valid")
    assert found["perplexity"] == pytest.approx(10, rel=1e-5) and found["share in the first ten"] == 1.0


def test_batches_of_text(text):
    """A function of the seed and the step, whose windows are pieces of the training part."""
    one, other = blank.recipe(config_of(text)), blank.recipe(config_of(text))
    np.testing.assert_array_equal(one.batch_at(7)[0], other.batch_at(7)[0])
    assert (one.batch_at(7)[0] != one.batch_at(8)[0]).any()
    _, parts = blank.corpus(config_of(text))
    pieces = {tuple(parts["train"][k : k + 16]) for k in range(len(parts["train"]) - 15)}
    assert all(tuple(row) in pieces for row in one.batch_at(3)[0].tolist())


def test_text_too_short(text):
    with pytest.raises(
        ValueError, match=r"train: each part .* a window of 100 words, but valid holds 75. Give a longer"
    ):
        blank.recipe(config_of(text, window=100))


def test_gap_at_the_right_place(text):
    """What is shown for a sentence are the likeliest words of its gap, as the network has them."""
    config = config_of(text)
    vocabulary, parts = blank.corpus(config)
    network = blank.model(config, len(vocabulary))
    params = network.init(jax.random.key(0))
    shown = filled.filled(network, params, vocabulary, parts["test"], "red [ ] .", 16)
    _, logits = r.apply(network, params, np.array([vocabulary.encode("red red .")]))
    best = [vocabulary.symbols[1 + k] for k in np.argsort(-logits[0, 1, 1:])][:5]
    assert shown.splitlines()[:2] == ["red « » .", "  " + ", ".join(map(repr, best))]
    assert shown.count("«") == 1 + filled.EXAMPLES


# whole runs


@pytest.mark.parametrize("task", ["hanja", "blank"])
def test_run_is_kept(task, tmp_path):
    """A run refuses data that are not those it began with, and is found again as it was."""
    options = module(task).Config(**kept.module(task).SMOKE)
    run, recipe = kept.create(tmp_path / "run", task, options)
    assert kept.reopen(run).about == recipe.about
    run.config["digest"] = "another"
    with pytest.raises(ValueError, match="train: the data must be as when the run began, but the digest"):
        kept.reopen(run)


@pytest.mark.skipif(not installed("dante-corpora"), reason="needs the package dante-corpora")
def test_petrogold():
    """The sizes of the treebank, and how far the commonest tags go."""
    recipe = tagging.recipe(tagging.Config(m=2, embed=2))
    assert "7,177 Portuguese sentences" in recipe.about
    assert recipe.baselines("test")["each word's commonest tag"] == pytest.approx(0.91, abs=0.02)
