"""One label a step: sequences of their own lengths, learned and judged without their padding."""

import functools
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

import rnnjax
from rnnjax.data import batches, pad


class Aligned(NamedTuple):
    """N sequences `xs` of integers, each (T, ...), and their `labels`, each (T,); -1 is a label nobody can know."""

    xs: list
    labels: list


def ragged(part: Aligned, batch: int, buckets: int, seed: int) -> Callable[[int], tuple]:
    """`step -> (xs (B, T, ...), labels (B, T), lengths (B,))`: every sequence once an epoch, in `buckets` lengths T."""

    @functools.lru_cache(1)
    def epoch(number):
        return list(_batch_major(part, batch, buckets, seed, number))

    count = len(epoch(0))
    return lambda step: epoch(step // count)[step % count]


def _batch_major(part, batch, buckets, seed=0, epoch=0):
    for b in batches(part.xs, part.labels, batch=batch, buckets=buckets, seed=seed, epoch=epoch):
        yield b.xs.swapaxes(0, 1), b.targets.swapaxes(0, 1), b.lengths


class Labeller(NamedTuple):
    """How a network from xs to logits (T, labels) is trained, `loss` for `whole`, and judged, `judge` for `mean`."""

    loss: Callable
    judge: Callable


def labeller(network: rnnjax.Cell, step: str, sequence: str) -> Labeller:
    """Cross entropy a step, with the network's dropout on; the shares of `step`s and of whole `sequence`s right."""

    def loss(params, key, xs, labels, lengths):
        _, logits = rnnjax.apply(network, params, xs, lengths=lengths, key=key)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(where=real(labels, lengths))

    def judge(params, xs, labels, lengths):
        _, logits = rnnjax.apply(network, params, xs, lengths=lengths)
        right, exists = logits.argmax(-1) == labels, real(labels, lengths)
        return {
            f"share of {step}s right": (right, exists),
            f"share of {sequence}s right": ((right | ~exists).all(1), lengths > 0),
        }

    return Labeller(loss, judge)


def real(labels, lengths):
    """Which of `labels` (B, T) are no padding."""
    return jnp.arange(labels.shape[1]) < lengths[:, None]


def held_out(part: Aligned, batch: int, buckets: int) -> list[tuple]:
    """All of a part in batches as `ragged` gives them."""
    return list(_batch_major(part, batch, buckets))


def guesses(network: rnnjax.Cell, params, sequences: list) -> list:
    """The likeliest label of each step of each sequence, as arrays (T,)."""
    xs, lengths = pad(sequences)
    _, logits = rnnjax.apply(network, params, xs.swapaxes(0, 1), lengths=lengths)
    return [row[:length] for row, length in zip(np.asarray(logits.argmax(-1)), lengths)]


def commonest(pairs: Iterable[tuple]) -> dict:
    """Of (symbol, label) pairs, the label that each symbol has most often; of equals the one seen first.

    >>> commonest([("a", 1), ("a", 2), ("a", 2), ("b", 1)])
    {'a': 2, 'b': 1}
    """
    counts = {}
    for symbol, label in pairs:
        counts.setdefault(symbol, Counter())[label] += 1
    return {symbol: labels.most_common(1)[0][0] for symbol, labels in counts.items()}


def share_right(guess: Callable, pairs: Iterable[tuple]) -> float:
    """The share of (sequence, labels) pairs' labels that `guess(sequence)` has, one for one."""
    right = [given == label for sequence, labels in pairs for given, label in zip(guess(sequence), labels, strict=True)]
    return sum(right) / len(right)
