"""One label for a sequence: what the tasks that give one have in common."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import rnnjax
from rnnjax.data import batches

FILLED = -1
"""The label of a column that only fills up a batch."""


def last(state, ys, lengths):
    """What the network says at each sequence's last step: (B, n) of ys (B, T, n)."""
    if lengths is None:
        return ys[:, -1]
    return jnp.take_along_axis(ys, jnp.maximum(lengths, 1)[:, None, None] - 1, 1)[:, 0]


def average(state, ys, lengths):
    """The mean over each sequence's own steps of what the network says: (B, n) of ys (B, T, n), zero on padding."""
    if lengths is None:
        return ys.mean(1)
    return ys.sum(1) / jnp.maximum(lengths, 1)[:, None].astype(ys.dtype)


def summary(state, ys, lengths):
    """All numbers of the state after the last step: (B, n), of a complex one its real and imaginary parts."""
    leaves = [s for s in jax.tree.leaves(state) if jnp.issubdtype(s.dtype, jnp.inexact)]
    pieces = [p for s in leaves for p in ((s.real, s.imag) if jnp.iscomplexobj(s) else (s,))]
    return jnp.concatenate([p.reshape(len(p), -1) for p in pieces], 1)


def settled(state, ys, lengths):
    """What each of two directions says at its end: of ys (B, T, 2m) the first half at the last step, then the rest."""
    ahead, behind = jnp.split(ys, 2, -1)
    return jnp.concatenate([last(state, ahead, lengths), behind[:, 0]], 1)


class Classifier(NamedTuple):
    """A network over whole sequences, what is read of it, and the layers from that to the logits of the classes.

    `read: state, ys, lengths -> (B, n)`, as `last`, `average` or `summary`; `head` is a cell of one step.
    """

    body: rnnjax.Cell
    read: Callable
    head: rnnjax.Cell

    def init(self, key):
        """Params: those of the body and of the head."""
        body, head = jax.random.split(key)
        return self.body.init(body), self.head.init(head)

    def logits(self, params, xs, lengths=None, *, key=None):
        """(B, classes) of sequences xs (B, T, ...); a key turns on dropout."""
        body, head = (None, None) if key is None else jax.random.split(key)
        read = self.read(*rnnjax.apply(self.body, params[0], xs, lengths=lengths, key=body), lengths)
        return rnnjax.apply(self.head, params[1], read[:, None], key=head)[1][:, 0]

    def loss(self, params, key, xs, lengths, labels):
        """The mean cross entropy of the labels (B,) that are not `FILLED`."""
        logits = self.logits(params, xs, lengths, key=key)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(labels, 0))
        return jnp.mean(losses, where=labels != FILLED)

    def judge(self, params, xs, lengths, labels):
        """Of each sequence whether its label is found, to be averaged by `mean`."""
        return {"accuracy": (self.logits(params, xs, lengths).argmax(-1) == labels, labels != FILLED)}


class Packed(NamedTuple):
    """Sequences of different lengths as batches (xs (B, T, ...), lengths (B,), labels (B,)) of few shapes.

    `epoch: number -> the batches of that epoch`, in an order of its own; `at: step -> batch`, epoch after epoch.
    """

    epoch: Callable[[int], list[tuple]]
    at: Callable[[int], tuple]


def packed(sequences, labels, *, batch: int, buckets: int, seed: int) -> Packed:
    """Every sequence once an epoch, by `rnnjax.data.batches`; a column that fills up a batch is labelled `FILLED`."""

    @functools.lru_cache(1)
    def epoch(number):
        drawn = batches(sequences, labels, batch=batch, buckets=buckets, seed=seed, epoch=number)
        return [(b.xs.swapaxes(0, 1), b.lengths, np.where(b.indices < 0, FILLED, b.targets)) for b in drawn]

    count = len(epoch(0))
    return Packed(epoch, lambda step: epoch(step // count)[step % count])
