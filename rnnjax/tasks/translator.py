"""From one sequence of symbols to another of its own length: an encoder, and a decoder that attends to what it said."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import rnnjax
from rnnjax.tasks.beam import Beams, beam


class Translator(NamedTuple):
    """Two cells, `translator` makes them; `end` is the symbol that ends a target, and stands before its first.

    The methods are of a batch. `sources` (B, S) and `targets` (B, U) are integer symbols, `lengths` (B,) and `ends`
    (B,) how many of them are real. Params: (the encoder's, the decoder's).
    """

    encoder: rnnjax.Cell
    decoder: rnnjax.Cell
    at: int
    end: int

    def init(self, key):
        """The params of both."""
        first, second = jax.random.split(key)
        return self.encoder.init(first), self.decoder.init(second)

    def begun(self, params, sources, lengths, key=None):
        """The decoder's state before its first step: it has the encoder's outputs to look at, and its last state."""
        final, said = rnnjax.apply(self.encoder, params[0], sources, lengths=lengths, key=key)
        state = rnnjax.attend_to(rnnjax.batch(self.decoder, len(sources)).start(params[1]), said, lengths=lengths)
        attending, fed = state[self.at]
        both = jax.tree.map(lambda forward, backward: jnp.concatenate([forward, backward], 1), *final[-1][-1])
        return *state[: self.at], (attending._replace(cell=both), fed), *state[self.at + 1 :]

    def losses(self, params, key, sources, targets, lengths, ends):
        """-log p of each target symbol and of the end, given those before it, and which there are, (B, U + 1) both."""
        noise = (None, None) if key is None else jax.random.split(key)
        state = self.begun(params, sources, lengths, noise[0])
        before = jnp.pad(targets, ((0, 0), (1, 0)), constant_values=self.end)
        _, logits = rnnjax.apply(self.decoder, params[1], before, state=state, key=noise[1])
        at, ends = jnp.arange(before.shape[1])[None], jnp.asarray(ends)[:, None]
        wanted = jnp.where(at < ends, jnp.pad(targets, ((0, 0), (0, 1))), self.end)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, wanted)
        return losses, at <= ends

    def translated(self, params, sources, lengths, *, width: int, longest: int, normalise=0.0) -> Beams:
        """The `width` best targets of each source that `beam` finds."""
        state = self.begun(params, sources, lengths)
        return beam(
            self.decoder, params[1], state, begin=self.end, end=self.end, width=width, longest=longest,
            normalise=normalise,
        )  # fmt: skip

    def looked(self, params, sources, targets, lengths) -> jax.Array:
        """Where the decoder looks before each symbol of a target and its end: weights (B, U + 1, S)."""
        decoder = rnnjax.batch(self.decoder, len(sources))

        def step(state, symbols):
            state, _ = decoder.step(params[1], state, symbols)
            return state, state[self.at][0].memory.weights

        before = jnp.pad(targets, ((0, 0), (1, 0)), constant_values=self.end)
        _, weights = jax.lax.scan(step, self.begun(params, sources, lengths), before.T)
        return weights.swapaxes(0, 1)


def translator(cell: Any, m: int, embed: int, sources: int, targets: int, *, layers=1, dropout=0.0) -> Translator:
    """An encoder of both directions, and a decoder with Luong et al.'s attention and input feeding.

    Args:
        cell: a constructor `(n, m) -> Cell`, as `lstm`.
        m: size of the decoder's state; each direction of the encoder has half of it, so that the last states of both,
            joined, begin the decoder.
        embed: size of a symbol's vector.
        sources, targets: how many symbols there are; another one, the last, is the end of a target.
        layers: of the encoder.
        dropout: on embedded symbols, between layers, and before the readout.

    Raises `ValueError` for an odd m.

    Luong et al. 2015, https://arxiv.org/abs/1508.04025
    """
    if m % 2:
        raise ValueError(f"translator: m must be even, but m is {m}. Each direction of the encoder has half of it.")
    noise = [rnnjax.dropout(dropout)] if dropout else []
    encoder = rnnjax.stack(
        rnnjax.embed(sources, embed), *noise,
        rnnjax.deep(cell, embed, m // 2, layers=layers, bidirectional=True, dropout=dropout),
    )  # fmt: skip
    attending = rnnjax.fed_back(rnnjax.luong(cell(embed + m, m), m, m, rnnjax.general), m)
    decoder = rnnjax.stack(rnnjax.embed(targets + 1, embed), *noise, attending, *noise, rnnjax.dense(m, targets + 1))
    return Translator(encoder, decoder, 1 + len(noise), targets)
