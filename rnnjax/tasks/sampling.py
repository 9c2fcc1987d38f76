"""Text from a language model, symbol by symbol."""

import codecs
import functools
from collections.abc import Iterable, Iterator

import jax
import jax.numpy as jnp

from rnnjax.cell import Cell
from rnnjax.data import Vocabulary, composed


def sample(network: Cell, params, prompt, *, key, temperature: float = 1.0, silent=()) -> Iterator[int]:
    """Draw symbols without end from `softmax(logits / temperature)`, after reading the symbols `prompt` (N,).

    Args:
        network: a cell over whole sequences from symbols to logits; its single step (`each`) generates.
        temperature: 1 draws from the model as it is, less is bolder towards the likely, 0 takes the likeliest.
        silent: symbols never to be drawn, as the unknown one.

    Raises `ValueError` for an empty prompt or a negative temperature.
    """
    if len(prompt) == 0:
        raise ValueError("sample: the prompt must hold a symbol, but it is empty. Give some text.")
    if not temperature >= 0:
        raise ValueError(f"sample: temperature must be at least 0, but it is {temperature}. 0 takes the likeliest.")
    return _draws(network, params, prompt, key, temperature, tuple(silent))


def _draws(network, params, prompt, key, temperature, silent):
    state = network.start(params)
    for symbol in prompt:
        state, logits = _step(network.each, params, state, jnp.int32(symbol))
    while True:
        key, draw = jax.random.split(key)
        symbol = _draw(draw, logits, temperature, silent)
        yield int(symbol)
        state, logits = _step(network.each, params, state, symbol)


@functools.partial(jax.jit, static_argnums=0)
def _step(cell, params, state, symbol):
    return cell.step(params, state, symbol)


@functools.partial(jax.jit, static_argnums=3)
def _draw(key, logits, temperature, silent):
    logits = logits.at[jnp.array(silent, int)].set(-jnp.inf)
    drawn = jax.random.categorical(key, logits / jnp.maximum(temperature, 1e-6))
    return jnp.where(temperature > 0, drawn, logits.argmax()).astype(jnp.int32)


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
