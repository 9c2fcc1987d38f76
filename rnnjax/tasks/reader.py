"""A picture as a sequence, and the network that reads it."""

import functools
import math

import jax
import numpy as np

import rnnjax
from rnnjax.tasks.classify import Classifier, average, last, summary

CELLS = {"lstm": rnnjax.lstm, "gru": rnnjax.gru, "rnn": rnnjax.rnn, "cornn": rnnjax.cornn, "mingru": rnnjax.mingru}
HIDDEN = 256
RELU = rnnjax.lift(jax.nn.relu)
KEY = jax.eval_shape(jax.random.key, 0)


def shown(pictures, model: str, order: str):
    """uint8 (N, h, w) as the steps (N, T, n) that a network sees, still of bytes."""
    if model == "feedforward":
        return pictures.reshape(len(pictures), 1, -1)
    if order == "rows":
        return pictures
    pixels = pictures.reshape(len(pictures), -1, 1)
    if order == "permuted":  # NumPy promises to draw the same from a RandomState for ever
        return pixels[:, np.random.RandomState(0).permutation(pixels.shape[1])]
    return pixels


def lru(order: str):
    """The constructor of an `lru` that remembers hundreds of steps and turns slowly, as pixels beside another do."""
    phase = math.pi if order == "permuted" else math.pi / 2
    return functools.partial(rnnjax.lru, r_min=0.996, max_phase=phase)


def model(config, n: int) -> Classifier:
    """From steps of n numbers to the logits of ten digits, as the `Config` of the task images says."""
    m, noise = config.m, [rnnjax.dropout(config.dropout)] if config.dropout else []
    read = {"last": last, "mean": average, "state": summary}[config.readout]
    if config.model == "feedforward":
        layers = [layer for k in range(config.layers) for layer in (rnnjax.dense(m if k else n, m), RELU, *noise)]
        return Classifier(rnnjax.scan(rnnjax.stack(*layers)), last, rnnjax.dense(m, 10))
    cell, loop = CELLS.get(config.model) or lru(config.order), rnnjax.deferred
    if config.model == "lru":  # it has so little to compute that what is kept for the way back costs more
        loop = rnnjax.checkpointed
    body = rnnjax.deep(cell, n, m, layers=config.layers, dropout=config.dropout, loop=loop)
    seen = jax.eval_shape(lambda key: read(*rnnjax.apply(body, body.init(key), np.zeros((1, 1, n))), None), KEY)
    hidden = [rnnjax.dense(seen.shape[1], HIDDEN), RELU] if config.readout == "state" else []
    return Classifier(body, read, rnnjax.stack(*hidden, *noise, rnnjax.dense(HIDDEN if hidden else seen.shape[1], 10)))
