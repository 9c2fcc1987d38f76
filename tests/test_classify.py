"""What tasks that give a sequence one label share: readouts, loss, accuracy, packing, and simple models."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import csr_matrix

import rnnjax as r
from rnnjax.tasks.classify import FILLED, Classifier, average, last, packed, settled, summary
from rnnjax.tasks.recipe import digest, mean
from rnnjax.tasks.simple import bag, confusions, majority, share, softmax_regression

LENGTHS = np.array([4, 1, 3], np.int32)
XS = np.random.default_rng(0).normal(size=(3, 4, 2))


def classifier(read, body=None, width=5):
    body = r.deep(r.gru, 2, 5) if body is None else body
    return Classifier(body, read, r.dense(width, 3))


def test_readouts_by_hand():
    ys = np.arange(24.0).reshape(3, 4, 2) * (np.arange(4)[None, :, None] < LENGTHS[:, None, None])
    np.testing.assert_array_equal(last((), ys, jnp.asarray(LENGTHS)), [ys[0, 3], ys[1, 0], ys[2, 2]])
    np.testing.assert_array_equal(last((), ys, None), ys[:, 3])
    np.testing.assert_allclose(average((), ys, jnp.asarray(LENGTHS))[2], (ys[2, 0] + ys[2, 1] + ys[2, 2]) / 3)
    np.testing.assert_allclose(average((), ys, None), ys.mean(1))
    np.testing.assert_array_equal(settled((), ys, jnp.asarray(LENGTHS))[2], [ys[2, 2, 0], ys[2, 0, 1]])
    state = jnp.array([[1 + 2j, 3 + 4j]]), jnp.array([[5.0]]), jnp.array([7])
    np.testing.assert_array_equal(summary(state, ys, None), [[1, 3, 2, 4, 5]])


@pytest.mark.parametrize("read", [last, average, settled, summary])
def test_padding_says_nothing(read):
    """A sequence among longer ones, with anything in its padding, has the logits that it has alone."""
    body = r.deep(r.gru, 2, 5, bidirectional=True)
    network = classifier(read, body, width=10)
    params = network.init(jax.random.key(0))
    together = network.logits(params, jnp.asarray(XS), jnp.asarray(LENGTHS))
    for x, length, logits in zip(XS, LENGTHS, together):
        np.testing.assert_allclose(network.logits(params, x[None, :length])[0], logits, rtol=1e-10)


def test_filled_columns_count_for_nothing():
    """Neither in the loss, which is the mean of the real ones, nor in the accuracy."""
    network, labels = classifier(last), jnp.array([2, 0, FILLED])
    params = network.init(jax.random.key(0))
    logits = np.asarray(network.logits(params, XS, LENGTHS))
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    loss = network.loss(params, None, XS, LENGTHS, labels)
    np.testing.assert_allclose(loss, -(logs[0, 2] + logs[1, 0]) / 2, rtol=1e-10)
    found = mean(network.judge, params, [(XS, LENGTHS, labels)])
    assert found == {"accuracy": ((logits[0].argmax() == 2) + (logits[1].argmax() == 0)) / 2}


def test_key_turns_on_dropout_of_body_and_head():
    body = r.stack(r.deep(r.gru, 2, 5), r.dropout(0.5))
    for network in (
        classifier(last, body),
        Classifier(r.deep(r.gru, 2, 5), last, r.stack(r.dropout(0.5), r.dense(5, 3))),
    ):
        params = network.init(jax.random.key(0))
        silent, again, noisy = (network.logits(params, XS, key=key) for key in (None, None, jax.random.key(1)))
        np.testing.assert_array_equal(silent, again)
        assert not np.allclose(silent, noisy)


def test_packed_is_a_function_of_the_step():
    """Each sequence once an epoch, in few shapes, whatever was asked before."""
    sequences, labels = [np.full((k % 5 + 1, 1), k) for k in range(11)], np.arange(11)
    first = packed(sequences, labels, batch=4, buckets=2, seed=1)
    count = len(first.epoch(0))
    for epoch in (0, 1):
        seen = [label for step in range(count) for label in first.at(epoch * count + step)[2] if label != FILLED]
        assert sorted(seen) == list(range(11))
    assert len({xs.shape for xs, _, _ in first.epoch(0) + first.epoch(3)}) <= 2
    for xs, lengths, named in first.epoch(0):
        for x, length, label in zip(xs, lengths, named):
            if label != FILLED:
                np.testing.assert_array_equal(x[:length], sequences[label])
    later = packed(sequences, labels, batch=4, buckets=2, seed=1).at(count + 1)
    assert all(np.array_equal(a, b) for a, b in zip(later, first.at(count + 1)))
    assert any(not np.array_equal(a[2], b[2]) for a, b in zip(first.epoch(0), first.epoch(1)))


@pytest.mark.parametrize("form", [np.asarray, csr_matrix])
def test_softmax_regression(form):
    """What is linear is learned; under a great decay only how frequent each label is."""
    draw = np.random.default_rng(0)
    xs, W = draw.normal(size=(200, 3)), draw.normal(size=(3, 4))
    labels = (xs @ W).argmax(1)
    assert share(softmax_regression(form(xs), labels, 4, decay=1e-6)(form(xs)), labels) > 0.97
    strong = softmax_regression(form(xs), labels, 4, decay=1e6)(form(xs))
    assert (strong == majority(labels)).all()


def test_simple_models_by_hand():
    assert majority([2, 1, 2, 0]) == 2
    assert majority([1, 0]) == 0
    assert share(2, np.array([2, 1, 2, 0])) == 0.5
    assert share(np.array([2, 1, 0, 1]), np.array([2, 1, 2, 0])) == 0.5
    told = confusions(np.array([0, 1, 1, 1]), np.array([0, 0, 0, 2]), "abc")
    assert told == "3 of 4 wrong. Taken most often: a for b 2x, c for b 1x"
    assert confusions(np.array([0]), np.array([0]), "a") == "0 of 1 wrong. Taken most often: none"


def test_bag_holds_each_word_once():
    assert bag([np.array([3, 1, 3]), np.array([], int), np.array([0])], 4).toarray().tolist() == [
        [0, 1, 0, 1],
        [0, 0, 0, 0],
        [1, 0, 0, 0],
    ]


def test_digest_is_of_the_numbers():
    a = np.arange(6).reshape(2, 3)
    assert digest(a) == digest(a.copy()) == digest(np.asfortranarray(a))
    assert digest(a) != digest(a + 1)
