"""Text from a language model, symbol by symbol."""

import codecs
import functools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell
from rnnjax.data import Vocabulary, composed


class Taste(NamedTuple):
    """Which of the likely symbols may be drawn, and how boldly.

    - `temperature`: 1 draws from the model as it is, less is bolder towards the likely, 0 takes the likeliest.
    - `top_k`: only the k likeliest symbols; 0 for all.
    - `top_p`: only the fewest likeliest symbols that together have probability p (nucleus sampling); 1 for all.

    Holtzman et al. 2020, The curious case of neural text degeneration, https://arxiv.org/abs/1904.09751
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


AS_IT_IS = Taste()


def sample(network: Cell, params, prompt, *, key, taste: Taste = AS_IT_IS, silent=()) -> Iterator[int]:
    """Draw symbols without end from `softmax(logits / temperature)`, after reading the symbols `prompt` (N,).

    Args:
        network: a cell over whole sequences from symbols to logits; its single step (`each`) generates.
        taste: temperature, top-k, top-p.
        silent: symbols never to be drawn, as the unknown one.

    Raises `ValueError` for an empty prompt or an impossible taste.
    """
    if len(prompt) == 0:
        raise ValueError("sample: the prompt must hold a symbol, but it is empty. Give some text.")
    if not taste.temperature >= 0:
        raise ValueError(
            f"sample: temperature must be at least 0, but it is {taste.temperature}. 0 takes the likeliest."
        )
    if taste.top_k < 0:
        raise ValueError(f"sample: top_k must be at least 0, but it is {taste.top_k}. 0 allows all.")
    if not 0 < taste.top_p <= 1:
        raise ValueError(f"sample: top_p must be above 0 and at most 1, but it is {taste.top_p}. 1 allows all.")
    return _draws(network, params, prompt, key, taste, tuple(silent))


def _draws(network, params, prompt, key, taste, silent):
    state = network.start(params)
    for symbol in prompt:
        state, logits = _step(network.each, params, state, jnp.int32(symbol))
    while True:
        key, draw = jax.random.split(key)
        symbol = _draw(draw, logits, taste, silent)
        yield int(symbol)
        state, logits = _step(network.each, params, state, symbol)


@functools.partial(jax.jit, static_argnums=0)
def _step(cell, params, state, symbol):
    return cell.step(params, state, symbol)


@functools.partial(jax.jit, static_argnums=3)
def _draw(key, logits, taste, silent):
    logits = logits.at[jnp.array(silent, int)].set(-jnp.inf)
    logits = allowed(logits / jnp.maximum(taste.temperature, 1e-6), taste.top_k, taste.top_p)
    drawn = jax.random.categorical(key, logits)
    return jnp.where(taste.temperature > 0, drawn, logits.argmax()).astype(jnp.int32)


def allowed(logits, top_k, top_p):
    """The logits (V,) with -inf for what is neither among the `top_k` likeliest nor in the nucleus of mass `top_p`.

    >>> allowed(jnp.log(jnp.array([0.5, 0.2, 0.3])), 0, 0.7)
    Array([-0.6931472,       -inf, -1.2039728], dtype=float32)
    """
    order = jnp.argsort(-logits, stable=True)
    before = jnp.cumsum(jax.nn.softmax(logits)[order]) - jax.nn.softmax(logits)[order]
    rank = jnp.arange(len(logits))
    kept = ((rank < top_k) | (top_k == 0)) & ((before < top_p) | (top_p == 1))
    return jnp.where(jnp.zeros_like(kept).at[order].set(kept), logits, -jnp.inf)


def stream(vocabulary: Vocabulary, symbols: Iterable[int], after: int) -> Iterator[str]:
    """The text of `symbols` piece by piece as they come, spaced as it follows the symbol `after`."""
    if vocabulary.unit == "jamo":
        yield from composed(vocabulary.symbols[symbol] for symbol in symbols)
        return
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for symbol in symbols:
        if vocabulary.unit == "byte":
            yield decoder.decode(bytes([symbol]))
        else:
            yield vocabulary.decode([after, symbol])[len(vocabulary.decode([after])) :]
        after = symbol
