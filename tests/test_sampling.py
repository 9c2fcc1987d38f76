"""Text from a language model: the right distribution, the same text for the same seed, and piece by piece."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from running import quick
from scipy import stats

import rnnjax as r
from rnnjax.data import byte_level, characters, words
from rnnjax.tasks import sampling

V = 7
KEY = jax.random.key(3)


@pytest.fixture(autouse=True, scope="module")
def exact():
    """In place of conftest's float64: sampling is part of the programs."""
    with quick():
        yield


def network_and_params(scale=2.0):
    network = r.stack(r.embed(V, 4), r.scan(r.gru(4, 6)), r.scan(r.gru(6, 6)), r.dense(6, V))
    draw = np.random.default_rng(1)
    like = jax.eval_shape(network.init, KEY)
    return network, jax.tree.map(lambda p: jnp.asarray(scale * draw.normal(size=p.shape), p.dtype), like)


def take(n, *args, **options):
    return list(itertools.islice(sampling.sample(*args, **options), n))


def test_temperature_0_is_the_argmax_of_the_whole_text_read_again():
    network, params = network_and_params()
    prompt = [1, 5, 2]
    text = list(prompt)
    whole = jax.jit(lambda xs: network.step(params, network.start(params), xs)[1])
    while len(text) < len(prompt) + 12:
        padded = jnp.array(text + [0] * (20 - len(text)))  # what comes after a step cannot change it
        text.append(int(whole(padded)[len(text) - 1].argmax()))
    assert len(set(text[3:])) > 2, "a text of one symbol would test nothing"
    for seed in (0, 1):
        assert take(12, network, params, prompt, key=jax.random.key(seed), taste=sampling.Taste(0)) == text[3:]
    assert take(12, network, params, np.array(prompt, np.int32), key=KEY, taste=sampling.Taste(1e-9)) == text[3:]


def test_a_seed_is_a_text():
    network, params = network_and_params(1.0)
    texts = [take(100, network, params, [1], key=jax.random.key(seed)) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert take(10, network, params, [1], key=jax.random.key(0)) == texts[0][:10]
    other = take(100, network, params, [2, 3, 1], key=jax.random.key(0))
    assert other != texts[0], "the prompt must matter"


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("silent", [(), (0, 4)], ids=["all", "some silent"])
def test_draws_follow_the_softmax(temperature, silent):
    """Independent draws from one distribution, by a network whose logits never change: chi-square."""
    logits = np.array([2.0, 1.0, 0.5, 0.0, -0.5, -1.0, -3.0])
    network = r.stack(r.embed(V, 2), r.scan(r.rnn(2, 2)), r.dense(2, V))
    params = jax.tree.map(jnp.zeros_like, network.init(KEY))
    params = (*params[:-1], params[-1]._replace(b=jnp.asarray(logits, jnp.float32)))
    draws = 3000
    counts = np.bincount(
        take(draws, network, params, [0], key=KEY, taste=sampling.Taste(temperature), silent=silent), minlength=V
    )
    logits[list(silent)] = -np.inf
    p = np.exp(logits / temperature) / np.exp(logits / temperature).sum()
    assert (counts[p == 0] == 0).all()
    expected, seen = draws * p[p > 0], counts[p > 0]
    statistic = ((seen - expected) ** 2 / expected).sum()
    assert statistic < stats.chi2.ppf(1 - 1e-5, len(seen) - 1)
    wrong = np.exp(logits) / np.exp(logits).sum() if temperature != 1 else np.where(p > 0, 1 / (p > 0).sum(), 0)
    expected = draws * wrong[p > 0]
    assert ((seen - expected) ** 2 / expected).sum() > stats.chi2.ppf(1 - 1e-5, len(seen) - 1), (
        "it must be able to fail"
    )


def test_draws_are_independent():
    """Neighbours in a text from a memoryless network do not depend on one another."""
    network = r.stack(r.embed(V, 2), r.scan(r.rnn(2, 2)), r.dense(2, V))
    params = jax.tree.map(jnp.zeros_like, network.init(KEY))
    drawn = np.array(take(3000, network, params, [0], key=jax.random.key(9)))
    pairs = np.zeros((V, V))
    np.add.at(pairs, (drawn[:-1], drawn[1:]), 1)
    assert stats.chi2_contingency(pairs).pvalue > 1e-5


def test_silent_symbols_may_be_the_likeliest():
    network, params = network_and_params()
    likeliest = take(1, network, params, [1], key=KEY, taste=sampling.Taste(0))
    assert take(1, network, params, [1], key=KEY, taste=sampling.Taste(0), silent=likeliest) != likeliest


@pytest.mark.parametrize(
    "prompt, taste, message",
    [
        ([], (), r"sample: the prompt must hold a symbol, but it is empty\. Give some text"),
        ([1], (-0.5,), r"sample: temperature must be at least 0, but it is -0.5\. 0 takes the likeliest"),
        ([1], (float("nan"),), "temperature must be at least 0, but it is nan"),
        ([1], (1.0, -1), r"sample: top_k must be at least 0, but it is -1\. 0 allows all"),
        ([1], (1.0, 0, 0.0), r"sample: top_p must be above 0 and at most 1, but it is 0.0\. 1 allows all"),
        ([1], (1.0, 0, 1.5), "top_p must be above 0 and at most 1, but it is 1.5"),
    ],
)
def test_sample_refuses_before_the_first_symbol_is_asked_for(prompt, taste, message):
    network, params = network_and_params()
    with pytest.raises(ValueError, match=message):
        sampling.sample(network, params, prompt, key=KEY, taste=sampling.Taste(*taste))


def kept(p, top_k, top_p):
    """Which symbols may be drawn, by the definitions: one symbol after another from the likeliest on."""
    allowed, mass = set(), 0.0
    for rank, symbol in enumerate(sorted(range(len(p)), key=lambda i: -p[i])):
        if (top_k and rank >= top_k) or mass >= top_p:
            break
        allowed.add(symbol)
        mass += p[symbol]
    return allowed


@pytest.mark.parametrize(
    "top_k, top_p", [(0, 1.0), (1, 1.0), (3, 1.0), (99, 1.0), (0, 0.05), (0, 0.6), (0, 0.95), (2, 0.9)]
)
def test_top_k_and_the_nucleus(top_k, top_p):
    for seed in range(20):
        logits = np.random.default_rng(seed).normal(scale=2, size=9).astype(np.float32)
        p = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum()
        left = np.asarray(sampling.allowed(jnp.asarray(logits), top_k, top_p))
        inside = sorted(kept(p, top_k, top_p))
        assert np.flatnonzero(np.isfinite(left)).tolist() == inside
        assert (left[inside] == logits[inside]).all()


def test_the_nucleus_is_of_the_tempered_model_and_never_of_silent_symbols():
    network = r.stack(r.embed(4, 2), r.scan(r.rnn(2, 2)), r.dense(2, 4))
    params = jax.tree.map(jnp.zeros_like, network.init(KEY))
    params = (*params[:-1], params[-1]._replace(b=jnp.log(jnp.array([0.5, 0.25, 0.15, 0.1]))))

    def drawn(**options):
        return set(take(300, network, params, [0], key=KEY, **options))

    assert drawn(taste=sampling.Taste(top_p=0.6)) == {0, 1}
    assert drawn(taste=sampling.Taste(temperature=0.3, top_p=0.6)) == {0}
    assert drawn(taste=sampling.Taste(top_p=0.6), silent=[0]) == {1, 2}
    assert drawn(taste=sampling.Taste(top_k=3), silent=[1]) == {0, 2, 3}


# pieces of text


def pulled(vocabulary, ids, after):
    """Pairs (how many symbols had been taken, the piece) as they come."""
    taken = []
    symbols = (taken.append(i) or i for i in ids)
    return [(len(taken), piece) for piece in sampling.stream(vocabulary, symbols, after)]


@pytest.mark.parametrize("text", ["In the beginning", "태초에 하나님이 👩‍👩‍👧\r\n“천지를”"])
def test_characters_stream_one_by_one(text):
    vocabulary = characters(text)
    ids = vocabulary.encode(text).tolist()
    assert pulled(vocabulary, ids[1:], ids[0]) == [(k + 1, letter) for k, letter in enumerate(text[1:])]


def test_bytes_stream_whole_characters():
    text = "a봄é👧z"
    ids = byte_level().encode(text).tolist()
    pieces = [(taken, piece) for taken, piece in pulled(byte_level(), ids, ids[0]) if piece]
    assert pieces == [(1, "a"), (4, "봄"), (6, "é"), (10, "👧"), (11, "z")]
    spoiled = "".join(piece for _, piece in pulled(byte_level(), [0xEB, 0xB4, 0x61, 0xFF, 0x62], 0))
    assert spoiled == "\ufffda\ufffdb"


def test_words_stream_with_the_spaces_of_print():
    text = 'And God said: (Let there be light), and "there" was light!\nAnd it was so [indeed].\n\nNext.'
    vocabulary = words(text)
    ids = vocabulary.encode(text).tolist()
    for at in range(1, len(ids) - 1):
        pieces = pulled(vocabulary, ids[at:], ids[at - 1])
        assert [taken for taken, _ in pieces] == list(range(1, len(ids) - at + 1))
        whole, before = vocabulary.decode(ids), vocabulary.decode(ids[:at])
        assert before + "".join(piece for _, piece in pieces) == whole
