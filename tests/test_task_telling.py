"""One thing in, a sequence out: what the recipes of that kind share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as r
from conftest import SINGLE
from rnnjax.data import characters
from rnnjax.data.numerals import in_english, in_korean
from rnnjax.tasks.pictures import convolved
from rnnjax.tasks.spelling import edits, spelled
from rnnjax.tasks.telling import Teller, lines, writer

VOCABULARY = characters("\nab" * 3)
TEXTS = ["ab", "", "bba"]


def teller(cell=r.lstm, leaves=2, dropout=0.0):
    return Teller(r.embed(3, leaves * 4), writer(cell, len(VOCABULARY), 5, 4, dropout=dropout))


def test_lines_are_padded_and_cut():
    before, targets, lengths = lines(VOCABULARY, TEXTS, 3)
    edge, a, b = VOCABULARY.encode("\nab")
    assert before.tolist() == [[edge, a, b], [edge, edge, 0], [edge, b, b]]
    assert targets.tolist() == [[a, b, edge], [edge, 0, 0], [b, b, a]]
    assert lengths.tolist() == [3, 1, 3]


@pytest.mark.parametrize("cell, leaves", [pytest.param(r.lstm, 2, marks=pytest.mark.slow), (r.gru, 1)])
def test_the_first_state_is_what_the_encoder_gives(cell, leaves):
    tell = teller(cell, leaves)
    params = tell.init(jax.random.key(0))
    state = tell.start(params, jnp.array([2, 0]))
    given = np.concatenate([np.asarray(leaf) for leaf in jax.tree.leaves(state)], 1)
    np.testing.assert_array_equal(given, params[0][np.array([2, 0])])


def test_nats_are_those_of_a_loop_and_do_not_know_the_padding():
    tell = teller()
    params = tell.init(jax.random.key(0))
    given = jnp.array([0, 1, 2])
    (long, kept), (short, exist) = (tell.nats(params, given, *lines(VOCABULARY, TEXTS, length)) for length in (7, 4))
    np.testing.assert_allclose(jnp.where(exist, long[:, :4], 0), jnp.where(exist, short, 0), **SINGLE)
    assert not kept[:, 4:].any() and (kept[:, :4] == exist).all()
    before, targets, lengths = lines(VOCABULARY, TEXTS, 4)
    for i, length in enumerate(lengths):
        state = jax.tree.map(lambda s: s[i], tell.start(params, given))
        for t in range(length):
            state, logits = tell.decoder.each.step(params[1], state, before[i, t])
            np.testing.assert_allclose(short[i, t], -jax.nn.log_softmax(logits)[targets[i, t]], **SINGLE)


def test_dropout_is_on_with_a_key_only():
    tell = teller(dropout=0.5)._replace(encoder=r.stack(r.embed(3, 8), r.dropout(0.5)))
    params = tell.init(jax.random.key(0))
    batch = jnp.array([0, 1, 2]), *lines(VOCABULARY, TEXTS, 4)
    silent, keep = tell.nats(params, *batch)
    np.testing.assert_array_equal(silent, tell.nats(params, *batch)[0])
    one, same, other = (tell.loss(params, jax.random.key(seed), *batch) for seed in (0, 0, 1))
    assert one == same != other != jnp.mean(silent, where=keep)
    one, other = (jax.tree.leaves(tell.start(params, batch[0], jax.random.key(seed))) for seed in (0, 1))
    assert all((a != b).any() for a, b in zip(one, other, strict=True))


def test_the_likeliest_symbols_are_told():
    """Each drawn from what the decoder gives after those before, in a Python loop; a small temperature is the same."""
    tell = teller()
    params = jax.tree.map(lambda p: 3 * p, tell.init(jax.random.key(3)))
    given = jnp.array([0, 1, 2])
    said = tell.tell(params, given, VOCABULARY, 6)
    cold = tell.tell(params, given, VOCABULARY, 6, key=jax.random.key(0), temperature=1e-4)
    assert said == cold
    for i, text in enumerate(said):
        state, ids = jax.tree.map(lambda s: s[i], tell.start(params, given)), [VOCABULARY.encode("\n")[0]]
        for _ in range(6):
            state, logits = tell.decoder.each.step(params[1], state, jnp.int32(ids[-1]))
            ids.append(int(logits.argmax()))
        assert VOCABULARY.decode(ids[1:]).split("\n")[0] == text
    drawn = [tell.tell(params, given, VOCABULARY, 6, key=jax.random.key(seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("stride", [1, 2])
def test_convolved_is_sums_of_windows(stride):
    cell = convolved(2, 3, stride)
    params = cell.init(jax.random.key(0))
    params = params._replace(b=jnp.array([0.1, -0.2, 0.3]))
    x = np.random.default_rng(0).normal(size=(4, 6, 2)).astype(np.float32)
    _, y = cell.step(params, (), x)
    left = 1 if stride == 1 else 0  # as XLA pads an even size by an even stride
    padded = np.pad(x, ((left, 2 - left), (left, 2 - left), (0, 0)))
    for i, j in np.ndindex(y.shape[:2]):
        window = padded[i * stride : i * stride + 3, j * stride : j * stride + 3]
        by_hand = np.einsum("ijn,ijnm->m", window, params.W) + params.b
        np.testing.assert_allclose(y[i, j], np.maximum(by_hand, 0), rtol=1e-4, atol=1e-5)
    assert y.shape == (4 // stride, 6 // stride, 3)


@pytest.mark.parametrize(
    "number, english, korean",
    [
        (0, "zero", "영"),
        (10, "ten", "십"),
        (19, "nineteen", "십구"),
        (40, "forty", "사십"),
        (100, "one hundred", "백"),
        (111, "one hundred and eleven", "백십일"),
        (1000, "one thousand", "천"),
        (2005, "two thousand and five", "이천오"),
        (3700, "three thousand seven hundred", "삼천칠백"),
        (9999, "nine thousand nine hundred and ninety-nine", "구천구백구십구"),
    ],
)
def test_numbers_in_words(number, english, korean):
    assert (in_english(number), in_korean(number)) == (english, korean)


@pytest.mark.parametrize("say", [in_english, in_korean])
def test_all_numbers_are_said_differently(say):
    assert len({say(number) for number in range(10_000)}) == 10_000
    with pytest.raises(ValueError, match=rf"{say.__name__}: number must be from 0 to 9999, but number is -1. Give"):
        say(-1)


def test_edits_are_a_distance():
    draw = np.random.default_rng(0)
    for _ in range(50):
        one, other, third = ("".join(draw.choice(list("abc"), draw.integers(0, 7))) for _ in range(3))
        assert edits(one, other) == edits(other, one) <= edits(one, third) + edits(third, other)
        assert edits(one, other) >= abs(len(one) - len(other))
    assert edits("abc", "bcd") == 2
    assert edits("", "abc") == 3


def test_spelled_counts_characters_not_texts():
    found = spelled(["a", "xyz1"], ["b", "xyz"])
    assert found == {"share right": 0.0, "character error rate": 2 / 4}
