"""The n-gram against its formula in dictionaries, and as a model of real text."""

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from rnnjax.data import bible, characters, split, words
from rnnjax.tasks.ngram import bits, kneser_ney, probabilities


class Reference:
    """Chen & Goodman's interpolated modified Kneser-Ney, one n-gram at a time."""

    def __init__(self, ids, V, order):
        self.V, self.order, self.counts, self.discounts = V, order, {}, {}
        for k in range(1, order + 1):
            counts = Counter(tuple(ids[i : i + k]) for i in range(len(ids) - k + 1))
            if k < order:
                lefts = defaultdict(set)
                for i in range(len(ids) - k):
                    lefts[tuple(ids[i + 1 : i + 1 + k])].add(ids[i])
                counts = Counter({gram: len(left) for gram, left in lefts.items()})
            self.counts[k] = counts
            self.discounts[k] = self.estimate(counts)

    @staticmethod
    def estimate(counts):
        n = Counter(counts.values())
        try:
            Y = n[1] / (n[1] + 2 * n[2])
            D = [r - (r + 1) * Y * n[r + 1] / n[r] for r in (1, 2, 3)]
        except ZeroDivisionError:
            return 0.5, 1.0, 1.5
        return tuple(D) if n[4] and min(D) > 0 else (0.5, 1.0, 1.5)

    def p(self, w, h):
        h = tuple(h)[max(0, len(h) - self.order + 1) :]
        k = len(h) + 1
        lower = 1 / self.V if k == 1 else self.p(w, h[1:])
        after = {v: self.counts[k][(*h, v)] for v in range(self.V)}
        total = sum(after.values())
        if total == 0:
            return lower
        D1, D2, D3 = self.discounts[k]
        D = {v: 0 if c == 0 else D1 if c == 1 else D2 if c == 2 else D3 for v, c in after.items()}
        return (after[w] - D[w]) / total + sum(D.values()) / total * lower


def zipf(seed, V, size):
    random = np.random.default_rng(seed)
    weights = 1 / np.arange(1, V + 1)
    fresh = random.choice(V, size, p=weights / weights.sum())
    copied = random.random(size) < 0.5
    for i in range(5, size):
        if copied[i]:
            fresh[i] = (fresh[i - 1] * 3 + fresh[i - 2]) % V
    return fresh


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("V, size", [(3, 12), (8, 300), (40, 800)])
def test_equals_the_formula(V, size, order):
    ids = zipf(order, V, size)
    train, test = ids[: size * 3 // 4], ids[size * 3 // 4 :]
    model, reference = kneser_ney(train, V, order), Reference(train.tolist(), V, order)
    expected = [reference.p(w, test[:i].tolist()) for i, w in enumerate(test.tolist())]
    assert bits(model, test) == pytest.approx(-np.mean(np.log2(expected)), rel=1e-12)
    for i in range(0, len(test), 7):
        got = probabilities(model, test[:i])
        np.testing.assert_allclose(got[test[i]], expected[i], rtol=1e-12)


def test_both_kinds_of_discount_are_met():
    zipfian = zipf(5, 40, 800).tolist()
    assert Reference(zipfian, 40, 3).discounts[3] != (0.5, 1.0, 1.5)
    assert Reference([0, 1] * 6, 3, 3).discounts[3] == (0.5, 1.0, 1.5)


def test_worked_by_hand():
    # a b a b a c: no n-gram occurs 3 or 4 times, so D = 0.5, 1, 1.5. Seen left of a: b; of b: a; of c: a.
    order1 = np.array([0.5, 0.5, 0.5, 0]) / 3 + 1.5 / 3 / 4
    after_a = np.array([0, 2 - 1, 1 - 0.5, 0]) / 3 + (1 + 0.5) / 3 * order1
    model = kneser_ney([0, 1, 0, 1, 0, 2], 4, order=2)
    np.testing.assert_allclose(probabilities(model, []), order1, rtol=1e-12)
    np.testing.assert_allclose(probabilities(model, [0]), after_a, rtol=1e-12)
    np.testing.assert_allclose(probabilities(model, [3]), order1, rtol=1e-12)
    np.testing.assert_allclose(bits(model, [0, 1]), -np.log2([order1[0], after_a[1]]).mean(), rtol=1e-12)


def test_distributions_sum_to_one_and_are_positive():
    text = bible()[:50_000]
    v = words(text)
    ids = v.encode(text)
    model = kneser_ney(ids, len(v), order=4)
    random = np.random.default_rng(0)
    contexts = [ids[i : i + k] for i in random.integers(0, len(ids) - 6, 20) for k in range(6)]
    for context in contexts + [random.integers(0, len(v), 4) for _ in range(10)]:
        p = probabilities(model, context)
        assert p.shape == (len(v),) and (p > 0).all()
        assert p.sum() == pytest.approx(1, abs=1e-12)


def test_the_names_of_symbols_do_not_matter_in_a_huge_vocabulary():
    V = 2**40
    ids = zipf(0, 300, 4000)
    train, test = ids[:3000], ids[3000:]
    expected = bits(kneser_ney(train, V, order=8), test)
    for rename in (lambda i: i * 2**31, lambda i: V - 1 - i, lambda i: i * i):
        assert bits(kneser_ney(rename(train), V, order=8), rename(test)) == pytest.approx(expected, rel=1e-12)


@pytest.fixture(scope="module")
def text():
    whole = bible()
    v = characters(whole)
    return v, *split(v.encode(whole))


def test_higher_orders_know_more(text):
    v, train, valid, _ = text
    scores = [bits(kneser_ney(train, len(v), order), valid) for order in (1, 2, 3, 4, 5, 6)]
    assert all(a > b + 0.05 for a, b in pairwise(scores))


def test_more_text_helps(text):
    v, train, valid, _ = text
    scores = [bits(kneser_ney(train[-size:], len(v)), valid) for size in (1_000, 10_000, 100_000, len(train))]
    assert all(a > b + 0.05 for a, b in pairwise(scores))


def test_the_baseline_of_the_shipped_text(text):
    v, train, _, test = text
    assert bits(kneser_ney(train, len(v), order=5), test) == pytest.approx(1.785946, abs=1e-6)


MODEL = kneser_ney([0, 1, 0, 2], 3, order=2)


@pytest.mark.parametrize(
    "act, error, message",
    [
        (lambda: kneser_ney([0, 3], 3), ValueError, r"ids must be from 0 to 2, but train_ids\[1\] is 3. Use the"),
        (lambda: kneser_ney([0, -1], 3), ValueError, r"ids must be from 0 to 2, but train_ids\[1\] is -1"),
        (lambda: kneser_ney([0, 1], 3, order=3), ValueError, "from 1 to the 2 symbols of train_ids, but order is 3"),
        (lambda: kneser_ney([0, 1], 3, order=0), ValueError, "from 1 to the 2 symbols of train_ids, but order is 0"),
        (lambda: kneser_ney([], 3), ValueError, "kneser_ney: train_ids must hold a symbol, but train_ids is empty"),
        (lambda: kneser_ney("text", 3), TypeError, r"must be one sequence of integers, but train_ids is <U4\[\]. Enc"),
        (lambda: bits(MODEL, []), ValueError, "bits: ids must hold a symbol, but ids is empty. Give"),
        (lambda: bits(MODEL, [5]), ValueError, r"bits: ids must be from 0 to 2, but ids\[0\] is 5"),
        (lambda: bits(MODEL, [[1]]), TypeError, r"one sequence of integers, but ids is int64\[1, 1\]"),
        (lambda: probabilities(MODEL, [9]), ValueError, r"ids must be from 0 to 2, but context\[0\] is 9"),
        (lambda: probabilities(MODEL, [0.5]), TypeError, r"one sequence of integers, but context is float64\[1\]"),
    ],
)
def test_errors(act, error, message):
    with pytest.raises(error, match=message):
        act()
