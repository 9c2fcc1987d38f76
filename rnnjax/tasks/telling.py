"""One thing in, a sequence out: an encoder of the one makes the first state of the network that writes the other."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import rnnjax
from rnnjax.cell import Cell
from rnnjax.data import Vocabulary

EDGE = "\n"


class Lines(NamedTuple):
    """Texts to be written, padded: what stands before each symbol, int32 (B, L), the symbols, (B, L), lengths (B,)."""

    before: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray


def lines(vocabulary: Vocabulary, texts, length: int) -> Lines:
    """Each text after an edge (a newline), up to and with another one, padded or cut to `length` symbols."""
    table = np.zeros((len(texts), length + 1), np.int32)
    for row, text in zip(table, texts):
        ids = vocabulary.encode(EDGE + text + EDGE)[: length + 1]
        row[: len(ids)] = ids
    lengths = np.array([min(len(text) + 1, length) for text in texts], np.int32)
    return Lines(table[:, :-1], table[:, 1:], lengths)


class Teller(NamedTuple):
    """An `encoder`, a cell without state, of one thing, and a `decoder` over whole sequences from symbols to logits.

    The encoder gives as many numbers as the state of the decoder holds. The params are a pair, one of each.

    Vinyals et al. 2015, Show and tell, https://arxiv.org/abs/1411.4555
    """

    encoder: Cell
    decoder: Cell

    def init(self, key):
        one, other = jax.random.split(key)
        return self.encoder.init(one), self.decoder.init(other)

    def start(self, params, given, key=None):
        """The decoder's state, made of what is given: (B, ...). `key` turns on the encoder's dropout."""
        encoder, decoder = (rnnjax.batch(cell, len(given)) for cell in self)
        silent = encoder.start(params[0])
        state = silent if key is None else rnnjax.seed(silent, key, len(given))
        _, features = encoder.step(params[0], state, given)
        leaves, tree = jax.tree.flatten(decoder.start(params[1]))
        ends = np.cumsum([leaf.shape[-1] for leaf in leaves])
        return jax.tree.unflatten(tree, jnp.split(features, ends[:-1].tolist(), -1))

    def nats(self, params, given, before, targets, lengths, key=None):
        """What each symbol costs, given those before it, and which are no padding, (B, L) both; `key` is of dropout."""
        one, other = (None, None) if key is None else jax.random.split(key)
        state = self.start(params, given, one)
        _, logits = rnnjax.apply(self.decoder, params[1], before, lengths=lengths, state=state, key=other)
        nats = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
        return nats, jnp.arange(before.shape[1]) < lengths[:, None]

    def loss(self, params, key, given, before, targets, lengths):
        """The mean over the symbols of a batch, with dropout."""
        nats, keep = self.nats(params, given, before, targets, lengths, key)
        return nats.mean(where=keep)

    def tell(self, params, given, vocabulary: Vocabulary, length: int, *, key=None, temperature=1.0, end=EDGE):
        """A text of each thing given, to its first `end`, at most `length` symbols: the likeliest symbol at each step.

        With a `key` symbols are drawn instead, from `softmax(logits / temperature)`.
        """
        edge = vocabulary.encode(EDGE)[0]
        drawn = key is not None
        ids = _told(self, params, given, edge, length, jax.random.key(0) if key is None else key, temperature, drawn)
        return [vocabulary.decode(row).split(end)[0] for row in np.asarray(ids)]


@functools.partial(jax.jit, static_argnums=(0, 4, 7))
def _told(teller, params, given, edge, length, key, temperature, drawn):
    cell = rnnjax.batch(teller.decoder.each, len(given))

    def step(carry, key):
        state, logits = cell.step(params[1], *carry)
        symbol = (jax.random.categorical(key, logits / temperature) if drawn else logits.argmax(-1)).astype(jnp.int32)
        return (state, symbol), symbol

    start = teller.start(params, given), jnp.full(len(given), edge, jnp.int32)
    _, symbols = jax.lax.scan(step, start, jax.random.split(key, length))
    return symbols.T


def writer(cell, symbols: int, embed: int, m: int, *, dropout: float = 0.0, layers: int = 1) -> Cell:
    """A decoder: an embedding, recurrent layers, logits of the next symbol; with dropout around the layers."""
    noise = [rnnjax.dropout(dropout)] if dropout else []
    deep = rnnjax.deep(cell, embed, m, layers=layers, dropout=dropout)
    return rnnjax.stack(rnnjax.embed(symbols, embed), *noise, deep, *noise, rnnjax.dense(m, symbols))
