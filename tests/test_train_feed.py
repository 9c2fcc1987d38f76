"""Batches through Grain: the same as `batch_at` gives, from any step on, in shares, and no thread left behind."""

import json
import threading
import time

import jax
import numpy as np
import optax
import pytest

import rnnjax as r
from conftest import same
from rnnjax.data import windows
from rnnjax.train import begin, fit, update
from rnnjax.train.feed import feed, share

STEPS = 50
KINDS = {"no thread": {}, "a thread": dict(threads=1), "three threads": dict(threads=3, ahead=7)}


def batch_at(step):
    """Later steps are sooner made, so that threads would put them out of order if they could."""
    time.sleep(2e-3 / (1 + step % 4))
    draw = np.random.default_rng(step)
    return draw.normal(size=(5, 4)), {"targets": draw.integers(0, 9, 4), "step": np.full(4, step)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", [0, 1, 17, STEPS - 1, STEPS])
def test_the_same_batches_from_any_step_on(kind, start):
    with feed(batch_at, STEPS, start=start, **KINDS[kind]) as batches:
        found = list(batches)
    assert len(found) == STEPS - start
    for step, batch in enumerate(found, start):
        same(batch, batch_at(step), rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_goes_on_through_json_in_another_feed_and_in_the_same(kind):
    with feed(batch_at, STEPS, **KINDS[kind]) as batches, feed(batch_at, STEPS, **KINDS["a thread"]) as other:
        for step in range(9):
            assert batches.get_state() == {"next_index": step}, "what is made ahead is not given yet"
            next(batches)
        kept = json.dumps(batches.get_state())
        after = [next(batches)[1]["step"][0] for _ in range(3)]
        other.set_state(json.loads(kept))
        again = [next(other)[1]["step"][0] for _ in range(3)]
        batches.set_state(json.loads(kept))
        back = [next(batches)[1]["step"][0] for _ in range(3)]
    assert after == again == back == [9, 10, 11]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_shares_of_processes_are_the_batch(count):
    shares = []
    for index in range(count):
        with feed(batch_at, STEPS, part=(index, count), axis=(1, 0), start=3) as batches:
            shares.append(next(batches))
    joined = jax.tree.map(lambda axis, *x: jax.tree.map(lambda *x: np.concatenate(x, axis), *x), (1, 0), *shares)
    same(joined, batch_at(3), rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_what_batch_at_raises_comes_through_where_it_belongs(kind):
    def until_five(step):
        if step == 5:
            raise ValueError("read: page 5 must be there, but it is not. Look for it.")
        return step

    with feed(until_five, STEPS, **KINDS[kind]) as batches:
        assert [next(batches) for _ in range(5)] == [0, 1, 2, 3, 4]
        with pytest.raises(ValueError, match=r"^read: page 5 must be there, but it is not\. Look for it\."):
            next(batches)
        assert batches.get_state() == {"next_index": 5}


def threads():
    return [thread for thread in threading.enumerate() if "grain" in thread.name]


def end():
    """A closed feed's threads are gone once each has made its batch."""
    began = time.time()
    while threads():
        assert time.time() - began < 5
        time.sleep(1e-3)


def test_closing_leaves_no_thread():
    end()
    with feed(batch_at, STEPS, threads=3, ahead=9) as batches:
        next(batches)
        assert len(threads()) == 3
    end()
    with pytest.raises(ValueError, match="closed"):
        next(batches)


def test_training_is_the_same_bit_for_bit():
    V, B, length = 6, 4, 8
    streams = windows(np.random.default_rng(0).integers(0, V, 300), batch=B, length=length)
    cell = r.stack(r.embed(V, 5), r.scan(r.rnn(5, 7)), r.dense(7, V))
    cell = r.batch(r.with_loss(cell, optax.softmax_cross_entropy_with_integer_labels), B)
    optimizer = optax.adam(0.01)
    one_step = update(r.tbptt(cell, window=length), optimizer)

    def trained(batch_at):
        *_, (training, _) = fit(one_step, begin(cell, optimizer, jax.random.key(0)), batch_at, 20)
        return training

    with feed(streams.at, 20, threads=2) as batches:
        fed = trained(lambda step: (next(batches),))
    same(fed, trained(lambda step: (streams.at(step),)), rtol=0, atol=0)


ERRORS = {
    "steps": (r"^feed: steps must be at least 0, but steps is -1\. Give more", lambda: feed(batch_at, -1)),
    "threads": (r"^feed: threads must be at least 0, but threads is -1", lambda: feed(batch_at, 9, threads=-1)),
    "ahead": (r"^feed: ahead must be at least 3, but ahead is 2", lambda: feed(batch_at, 9, threads=3)),
    "part": (r"^feed: part must be \(index, count\) .* but part is \(2, 2\)", lambda: feed(batch_at, 9, part=(2, 2))),
    "start": (r"^feed: a state must hold next_index, from 0 to 9 steps", lambda: feed(batch_at, 9, start=10)),
    "state": (r"but state is \{\}\. Give what get_state gave", lambda: feed(batch_at, 9).set_state({})),
    "no dict": (r"but state is 3\. Give what get_state gave", lambda: feed(batch_at, 9).set_state(3)),
    "rows": (
        r"^feed: count must divide the rows of a batch, but count is 3 and a batch has 4 along axis 1\. Give a batch",
        lambda: share(batch_at(0), 0, 3, (1, 0)),
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_refuses(name):
    message, act = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        act()
