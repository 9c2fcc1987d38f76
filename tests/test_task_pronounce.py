"""Letters to phones: the search, the error rates, what is said of padding, the simple models, and that it learns."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import params_of

import rnnjax as r
from rnnjax.data import PHONES
from rnnjax.diagnostics import pictures
from rnnjax.tasks import letters, pronounce
from rnnjax.tasks.beam import beam
from rnnjax.tasks.distance import edit_distance, error_rates
from rnnjax.tasks.spelled import LETTERS, Pairs, batches_of, chunks, paired
from rnnjax.tasks.translator import translator

V, M, END, LONG = 3, 4, 2, 4


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
    """Every sequence that can be said in LONG steps, its symbols padded by ends, and its score, the best first."""
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
    return sorted(found, reverse=True)


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
        scores, said = zip(*enumerated(cell, params, one(state, b), normalise))
        assert len(said) == count
        padded = [(*s, *[END] * (LONG - len(s))) for s in said]
        np.testing.assert_allclose(found.scores[b, :count], scores, rtol=1e-4, atol=1e-5)
        assert {*map(tuple, found.symbols[b, :count].tolist())} == {*padded}
        by_said = dict(zip(padded, scores))
        np.testing.assert_allclose(
            [by_said[tuple(s)] for s in found.symbols[b, :count].tolist()],
            found.scores[b, :count],
            rtol=1e-4,
            atol=1e-5,
        )
        lengths = [len([symbol for symbol in s if symbol != END]) for s in found.symbols[b, :count].tolist()]
        assert found.lengths[b, :count].tolist() == lengths
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
