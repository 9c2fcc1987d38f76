"""Letters to phones: the search, the error rates, what is said of padding, the simple models, and that it learns."""

import itertools

import jax
import jax.numpy as jnp
import matplotlib.image as plt
import numpy as np
import pytest

import rnnjax as r
from conftest import params_of
from rnnjax.data import PHONES, Pronounced
from rnnjax.diagnostics import pictures
from rnnjax.tasks import letters, pronounce
from rnnjax.tasks.beam import beam
from rnnjax.tasks.distance import edit_distance, error_rates
from rnnjax.tasks.speaker import Speaker
from rnnjax.tasks.spelled import LETTERS, SHAPES, Pairs, batches_of, chunks, paired
from rnnjax.tasks.translator import translator
from rnnjax.train import begin, fit, update

V, M, END, LONG = 3, 4, 2, 4


@pytest.fixture(autouse=True, scope="module")
def quick():
    """Quick compiles."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


# beam search


@pytest.fixture(scope="module")
def speaker():
    """A decoder of three symbols with attention, its params, and 3 states to begin from, no two with memories alike."""
    cell = r.stack(r.embed(V, 3), r.fed_back(r.luong(r.lstm(3 + M, M), M, 5, r.general), M), r.dense(M, V))
    params = jax.tree.map(lambda p: 3 * p, params_of(cell))
    places = jnp.asarray(np.random.default_rng(5).normal(size=(3, 6, 5)), jnp.float32)
    state = r.attend_to(r.batch(cell, 3).start(params), places, lengths=jnp.array([6, 2, 4]))
    return cell, params, state


def one(state, b):
    return jax.tree.map(lambda s: s[b], state)


def enumerated(cell, params, state, normalise):
    """(score, symbols) of every sequence that can be said in LONG steps."""
    step = jax.jit(cell.step)
    found = []

    def go(state, last, said, logp):
        if said[-1:] == (END,) or len(said) == LONG:
            found.append((logp / len(said) ** normalise, said))
            return
        state, logits = step(params, state, jnp.int32(last))
        for symbol, more in enumerate(np.asarray(jax.nn.log_softmax(logits), float)):
            go(state, symbol, (*said, symbol), logp + more)

    go(state, END, (), 0.0)
    return found


def search(speaker, width, state=None, **options):
    cell, params, every = speaker
    return beam(
        cell, params, every if state is None else state, begin=END, end=END, width=width, longest=LONG, **options
    )


@pytest.mark.parametrize("normalise", [0.0, 1.0])
def test_beam_finds_what_there_is(speaker, normalise):
    """As wide as there are sequences, it is the list of them all, and knows that there is no other."""
    cell, params, state = speaker
    count = sum(2**k for k in range(LONG)) + 2**LONG
    found = search(speaker, count + 2, normalise=normalise)
    for b in range(3):
        there = {
            (*said, *[END] * (LONG - len(said))): s for s, said in enumerated(cell, params, one(state, b), normalise)
        }
        said = [tuple(symbols) for symbols in found.symbols[b, :count].tolist()]
        assert len(there) == count and {*said} == {*there}
        np.testing.assert_allclose(found.scores[b, :count], sorted(there.values(), reverse=True), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.scores[b, :count], [there[s] for s in said], rtol=1e-4, atol=1e-5)
        assert found.lengths[b, :count].tolist() == [sum(symbol != END for symbol in s) for s in said]
    assert (found.scores[:, count:] == -jnp.inf).all() and (found.scores[:, :count] > -jnp.inf).all()


def test_beam_of_one_is_greedy(speaker):
    cell, params, state = speaker
    found = search(speaker, 1)
    for b in range(3):
        now, symbol, said, logp = one(state, b), END, [], 0.0
        while len(said) < LONG and said[-1:] != [END]:
            now, logits = cell.step(params, now, jnp.int32(symbol))
            symbol = int(logits.argmax())
            logp += float(jax.nn.log_softmax(logits)[symbol])
            said.append(symbol)
        assert found.symbols[b, 0].tolist() == said + [END] * (LONG - len(said))
        assert found.scores[b, 0] == pytest.approx(logp, rel=1e-4)
        assert found.lengths[b, 0] == len([s for s in said if s != END])


def test_beam_of_each_alone(speaker):
    together = search(speaker, 4)
    for b in range(3):
        alone = search(speaker, 4, jax.tree.map(lambda s: s[b : b + 1], speaker[2]))
        assert (together.symbols[b] == alone.symbols[0]).all() and (together.lengths[b] == alone.lengths[0]).all()
        np.testing.assert_allclose(together.scores[b], alone.scores[0], rtol=1e-5)


def chain(probabilities):
    """A cell whose next symbol hangs on the last one alone."""
    return r.embed(len(probabilities), len(probabilities)), jnp.log(jnp.array(probabilities))


def test_what_has_ended_stays():
    """0 ends. The end, of probability 0.4, waits for two better starts to come to less, and wins in the end."""
    cell, params = chain([[0.4, 0.6, 0.0], [0.0, 0.5, 0.5], [0.5, 0.5, 0.0]])
    found = beam(cell, params, (), begin=0, end=0, width=2, longest=8)
    assert found.symbols[0, 0].tolist() == [0] * 8 and found.lengths[0, 0] == 0
    assert float(found.scores[0, 0]) == pytest.approx(np.log(0.4))
    assert found.symbols[0, 1].tolist()[:3] != [0, 0, 0]
    greedy = beam(cell, params, (), begin=0, end=0, width=1, longest=8)
    assert greedy.symbols[0, 0, 0] == 1 and float(greedy.scores[0, 0]) < np.log(0.4)


def test_the_exponent_favours_the_long():
    """The end at once is 0.5, or 1 and then the end 0.5 · 0.9: less, but more a symbol."""
    cell, params = chain([[0.5, 0.5], [0.9, 0.1]])
    short, long = (beam(cell, params, (), begin=0, end=0, width=3, longest=3, normalise=a) for a in (0.0, 1.0))
    assert short.lengths[0, 0] == 0 and long.lengths[0, 0] == 1
    assert float(long.scores[0, 0]) == pytest.approx(np.log(0.45) / 2, rel=1e-5)


def test_beam_keeps_its_memory_once(speaker):
    """What attention looks at is not among what a search carries from step to step for each sequence."""
    cell, params, state = speaker
    found = jax.make_jaxpr(lambda state: search((cell, params, state), 7))(state)
    (loop,) = (e for e in found.eqns[0].params["jaxpr"].eqns if e.primitive.name == "while")
    carried = [v.aval.shape for v in loop.outvars]
    assert (3, 7, M) in carried and (3, 7, 6) in carried
    assert (3, 7, 6, 5) not in carried


@pytest.mark.parametrize("name", ["width", "longest"])
def test_beam_refuses(speaker, name):
    asked = dict(begin=END, end=END, width=2, longest=2) | {name: 0}
    with pytest.raises(ValueError, match=rf"beam: {name} must be a positive int, but {name} is 0"):
        beam(*speaker, **asked)


# error rates


def by_table(one, other):
    """Wagner and Fischer's table, as it is written."""
    D = np.zeros((len(one) + 1, len(other) + 1), int)
    D[:, 0], D[0] = np.arange(len(one) + 1), np.arange(len(other) + 1)
    for i, j in itertools.product(range(len(one)), range(len(other))):
        D[i + 1, j + 1] = min(D[i, j] + (one[i] != other[j]), D[i, j + 1] + 1, D[i + 1, j] + 1)
    return D[-1, -1]


def test_edit_distance():
    assert edit_distance("", "") == 0 and edit_distance("abc", "") == 3 == edit_distance("", "abc")
    assert edit_distance("flaw", "lawn") == 2 and edit_distance("intention", "execution") == 5
    draw = np.random.default_rng(0)
    for _ in range(200):
        one, other = (draw.integers(0, 3, draw.integers(0, 9)).tolist() for _ in range(2))
        assert edit_distance(one, other) == by_table(one, other)


def test_error_rates():
    """Right by the second way; one wrong of four, nearest to the way of four; three too many."""
    said = ["ab", "abcd", "xyz"]
    assert error_rates(said, [["a", "ab"], ["abcx", "yyyyyyyy"], [""]]) == (2 / 3, (0 + 1 + 3) / (2 + 4 + 0))
    with pytest.raises(ValueError):
        error_rates(said, [["a"]])


# letters and phones

WORDS = [
    Pronounced("abe", (("AH", "B"), ("EY", "B"))), Pronounced("cab", (("K", "AE", "B"),)),
    Pronounced("ax", (("AE", "K", "S"),)), Pronounced("unpronounceable", (("AH",),)),
]  # fmt: skip


def test_paired():
    pairs = paired(WORDS)
    assert ["".join(LETTERS[i] for i in row[:n]) for row, n in zip(pairs.letters, pairs.lengths)] == [
        "abe", "abe", "cab", "ax", "unpronounceable"
    ]  # fmt: skip
    assert [[PHONES[i] for i in row[:n]] for row, n in zip(pairs.phones, pairs.ends)] == [
        ["AH", "B"], ["EY", "B"], ["K", "AE", "B"], ["AE", "K", "S"], ["AH"]
    ]  # fmt: skip
    assert pairs.letters.shape == pairs.phones.shape == (5, SHAPES[-1])
    some = pairs.cut(np.array([3, -1]), 4)
    assert some.letters.shape == (2, 4) and some.phones.shape == (2, 3)
    assert some.lengths.tolist() == [2, 0] and some.ends.tolist() == [3, -1]


def test_every_pair_once_an_epoch():
    """In the few shapes, in another order each epoch, and as a function of the step alone."""
    draw = np.random.default_rng(0)
    ends = draw.integers(1, 20, 6000).astype(np.int32)
    pairs = Pairs(np.tile(np.arange(6000)[:, None], 28), np.zeros((6000, 28), int), np.ones(6000, np.int32), ends)
    at = batches_of(pairs, 64, seed=3)
    count = len(chunks(ends + 1, 64, np.arange(6000)))
    for epoch in range(2):
        found = [at(epoch * count + step) for step in range(count)]
        rows = np.concatenate([batch.letters[batch.ends >= 0, 0] for batch in found])
        assert sorted(rows) == list(range(6000))
        assert {batch.letters.shape for batch in found} == {(64, size) for size in SHAPES}
        assert all((batch.ends < batch.letters.shape[1]).all() for batch in found)
    again = batches_of(pairs, 64, seed=3)
    assert np.array_equal(again(count + 1).letters, at(count + 1).letters)
    assert not np.array_equal(again(1).letters, at(count + 1).letters)


# the translator


@pytest.fixture(scope="module")
def network():
    """Of two layers and random weights; its dropout is silent without a key."""
    made = translator(r.gru, 8, 6, len(LETTERS), len(PHONES), layers=2, dropout=0.5)
    encoder, (*decoder, dense) = jax.tree.map(lambda p: 2 * p, jax.jit(made.init)(jax.random.key(0)))
    return made, (encoder, (*decoder, dense._replace(b=dense.b.at[-1].set(2))))  # which ends within a few symbols


def test_translator_sees_no_padding(network):
    """Losses, what is found, and where it looks are those of the word alone; an empty row has no loss."""
    made, params = network
    pairs = paired(WORDS)
    batch = pairs.cut(np.array([4, 0, 3, -1]), 20)
    losses, keep = made.losses(params, None, *batch)
    found = made.translated(params, batch.letters, batch.lengths, width=3, longest=6)
    alone = Pairs(pairs.letters[:1, :3], pairs.phones[:1, :2], np.array([3]), np.array([2]))  # abe
    np.testing.assert_allclose(losses[1, :3], made.losses(params, None, *alone)[0][0], rtol=1e-4)
    single = made.translated(params, alone.letters, alone.lengths, width=3, longest=6)
    assert (found.symbols[1] == single.symbols[0]).all()
    np.testing.assert_allclose(found.scores[1], single.scores[0], rtol=1e-4)
    weights = made.looked(params, batch.letters, batch.phones, batch.lengths)
    np.testing.assert_allclose(weights[:3].sum(2), 1, rtol=1e-5)
    assert (weights[1, :, 3:] == 0).all() and (weights[1, :, :3] > 0).all() and weights.shape == (4, 20, 20)
    assert [int(row.sum()) for row in keep] == [2, 3, 4, 0]
    grads = jax.jit(jax.grad(lambda params: jnp.mean(made.losses(params, None, *batch)[0], where=keep)))(params)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))


def test_losses_are_what_beam_scores(network):
    """-log p of what a beam has found is minus its score: both count the end."""
    made, params = network
    batch = paired(WORDS).cut(np.array([4, 0, 3, 2]), 20)
    found = made.translated(params, batch.letters, batch.lengths, width=3, longest=6)
    ended = np.asarray(found.lengths[:, 0] < 6)
    losses, keep = made.losses(params, None, batch.letters, found.symbols[:, 0], batch.lengths, found.lengths[:, 0])
    np.testing.assert_allclose(-np.sum(losses, 1, where=keep)[ended], found.scores[ended, 0], rtol=1e-4)
    assert ended.any()


def test_losses_begin_at_chance(network):
    made, _ = network
    losses, keep = made.losses(jax.jit(made.init)(jax.random.key(0)), None, *paired(WORDS).cut(np.arange(4), 20))
    assert float(jnp.mean(losses, where=keep)) == pytest.approx(np.log(40), abs=0.1)


def test_translator_refuses():
    with pytest.raises(ValueError, match=r"translator: m must be even, but m is 5\. Each direction of the encoder has"):
        translator(r.gru, 5, 4, 3, 3)


# reading letter by letter


def test_letters_are_aligned():
    """x is two phones, and the k of kn none; so it is read between its neighbours, and alone as it mostly is."""
    spoken = {
        "ax": "AE K S", "bax": "B AE K S", "tax": "T AE K S", "tab": "T AE B", "bat": "B AE T", "nab": "N AE B",
        "kat": "K AE T", "kab": "K AE B", "kax": "K AE K S", "knab": "N AE B", "knat": "N AE T", "at": "AE T",
        "bb": "B IY B IY B IY",
    }  # fmt: skip
    pairs = paired([Pronounced(word, (tuple(way.split()),)) for word, way in spoken.items()])
    where, sizes = letters.aligned(pairs)
    assert (where[-1] == -1).all() and (sizes[-1] == -1).all()  # three phones a letter are too many
    for word, row in list(zip(spoken, sizes))[:-1]:
        expected = [0 if word[i:].startswith("kn") else 2 if word[i] == "x" else 1 for i in range(len(word))]
        assert row[: len(word)].tolist() == expected
        assert (row[len(word) :] == -1).all()
    alone, beside = (say(["knax", "xb"]) for say in letters.read_aloud(pairs).values())
    assert alone == [("K", "N", "AE", "K", "S"), ("K", "S", "B")]
    assert beside == [("N", "AE", "K", "S"), ("K", "S", "B")]


def test_the_commonest_of_each():
    keys, chunk = letters.commonest(np.array([5, 2, 5, 5, 2, 2]), np.array([1, 0, 3, 3, 4, 4]))
    assert keys.tolist() == [2, 5] and chunk.tolist() == [4, 3]


def test_widest_neighbours_first():
    """b is read as CH between two a, as B at an end; where neither is known it is what it mostly is."""
    a, b = LETTERS.index("a"), LETTERS.index("b")
    spelled = np.array([[a, b, a, -1], [b, a, -1, -1], [b, a, -1, -1], [b, b, -1, -1]])
    AA, B, CH = ((PHONES.index(phone) * letters.BASE) + letters.BLANK for phone in ("AA", "B", "CH"))
    said = np.array([[AA, CH, AA, 0], [B, AA, 0, 0], [B, AA, 0, 0], [B, B, 0, 0]])
    say = letters.reader(spelled, said, 1)
    assert say(["aba", "ba", "bbb"]) == [("AA", "CH", "AA"), ("B", "AA"), ("B", "B", "B")]


# the task

SPOKEN = dict(zip("abdefgik", ["AA", "B", "D", "EH", "F", "G", "IY", "K"]))


@pytest.fixture
def cipher(tmp_path):
    """A dictionary of 2 000 words of which each letter is one phone."""
    draw = np.random.default_rng(0)
    words = {"".join(draw.choice(list("abdefgik"), draw.integers(2, 7))) for _ in range(2000)}
    path = tmp_path / "cmudict.dict"
    path.write_text("".join(f"{word} {' '.join(map(SPOKEN.get, word))}\n" for word in sorted(words)))
    return str(path)


@pytest.mark.slow
def test_it_learns_a_cipher(cipher, tmp_path):
    """And then looks at each letter as it says its phone."""
    config = pronounce.Config(data=cipher, m=48, embed=16, dropout=0.0, batch=64, steps=200, lr=1e-2)
    recipe = pronounce.recipe(config)
    training = begin(recipe, recipe.optimizer, jax.random.key(0))
    first = recipe.measure(training.params, "valid")
    assert first[recipe.unit] == 100 and set(recipe.baselines("valid").values()) == {0.0}
    one_step = update(recipe.gradient, recipe.optimizer)
    *_, (training, _) = fit(one_step, training, lambda step: (recipe.batch_at(step),), config.steps)
    found = recipe.measure(training.params, "test")
    assert next(iter(found)) == recipe.unit and len(found) == 4
    assert all(rate <= 3 for rate in found.values())
    for weights, read, said in Speaker(translator(r.lstm, 48, 16, len(LETTERS), len(PHONES))).looked(
        training.params, ["bad", "fagde"]
    ):
        assert [said, len(said)] == [[*map(SPOKEN.get, read), "↵"], len(read) + 1]
        assert weights.shape == (len(said), len(read)) and (weights.argmax(1)[:-1] == range(len(read))).mean() > 0.6
    assert "  not " not in "\n".join(recipe.show(training.params).splitlines()[:6])


def test_pronounce_refuses(tmp_path):
    with pytest.raises(ValueError, match=r"cmudict: path must exist, but .*nowhere does not\. Check its spelling\."):
        pronounce.recipe(pronounce.Config(data=str(tmp_path / "nowhere")))


# the picture


def test_attention_is_drawn(tmp_path):
    """Each panel is of its own weights, dark at 0 and bright at 1."""
    one = np.eye(3), list("abc"), ["AH", "B", "↵"]
    pictures.attention(tmp_path / "one.png", [one])
    pictures.attention(tmp_path / "other.png", [(1 - np.eye(3), *one[1:])])
    first, second = (plt.imread(tmp_path / f"{name}.png") for name in ("one", "other"))
    assert first.shape == second.shape and np.abs(first - second).mean() > 0.1
    pictures.attention(tmp_path / "three.png", [one, one, (np.ones((1, 2)) / 2, "ab", ["K"])], title="three")
    with pytest.raises(ValueError, match=r"attention: there must be a sequence to draw, but there is none\. Give"):
        pictures.attention(tmp_path / "none.png", [])
    with pytest.raises(ValueError, match=r"weights must be \(3, 2\), .* but weights is \[3, 3\]\. Give those"):
        pictures.attention(tmp_path / "none.png", [(np.eye(3), "ab", one[2])])
