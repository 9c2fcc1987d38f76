"""A language model of any text: the next character, word or byte, by truncated BPTT with carried state."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import rnnjax
from rnnjax.data import windows
from rnnjax.tasks.config import Config
from rnnjax.tasks.corpus import corpus
from rnnjax.tasks.options import adam
from rnnjax.tasks.recipe import Recipe
from rnnjax.tasks.sampling import Taste, sample, stream
from rnnjax.tasks.scores import network_bits, ngram_bits, ngram_name, per_character, predicting

SMOKE = dict(m=32, steps=20, every=20)


def model(config: Config, symbols: int) -> rnnjax.Cell:
    """Embedding, recurrent layers, and a readout to the logits of the next symbol."""
    constructor = {"lstm": rnnjax.lstm, "gru": rnnjax.gru, "rnn": rnnjax.rnn}[config.cell]
    layers = rnnjax.deep(constructor, config.embed, config.m, layers=config.layers, dropout=config.dropout)
    noise = [rnnjax.dropout(config.dropout)] if config.dropout else []
    return rnnjax.stack(rnnjax.embed(symbols, config.embed), *noise, layers, *noise, rnnjax.dense(config.m, symbols))


def restart(config: Config, cell: rnnjax.Cell, epoch: int):
    """`(step, training) -> training`: all streams start afresh at each epoch, and a few before every window."""

    @jax.jit
    def renewed(step, state, params):
        noise, choice = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), step))
        fresh = start(config, cell, params, noise)
        stay = jax.random.bernoulli(choice, jnp.where(step % epoch, 1.0 - config.reset, 0.0), (config.batch,))
        return jax.tree.map(lambda s, f: jnp.where(stay.reshape(-1, *[1] * (s.ndim - 1)), s, f), state, fresh)

    return lambda step, training: training._replace(state=renewed(step, training.state, training.params))


def start(config: Config, cell: rnnjax.Cell, params, key):
    """The state of training before the first step: with dropout on."""
    fresh = cell.start(params)
    return rnnjax.seed(fresh, key, config.batch) if config.dropout else fresh


class Learner(NamedTuple):
    """What is trained, which takes no text to know; named as in a `Recipe`."""

    cell: rnnjax.Cell
    init: Callable
    start: Callable
    optimizer: optax.GradientTransformation


def learner(config: Config, symbols: int) -> Learner:
    """The network with its loss, on parallel streams."""
    cell, key = rnnjax.batch(predicting(model(config, symbols)), config.batch), jax.random.key(config.seed)
    return Learner(cell, cell.init, lambda params: start(config, cell, params, key), adam(config))


def recipe(config: Config) -> Recipe:
    """The text, the network, and n-grams beside it."""
    text = corpus(config)
    network = model(config, len(text.vocabulary))
    streams = windows(text.train, batch=config.batch, length=config.window)
    cell, init, start, optimizer = learner(config, len(text.vocabulary))

    def measure(params, part):
        bits = network_bits(network, params, text, part, streams=1 if part == "test" else 16)
        perplexity = float(np.exp2(bits * text.characters[part] / len(getattr(text, part))))
        return {"bits a character": bits} | ({"perplexity": perplexity} if config.unit in ("word", "token") else {})

    def baselines(part):
        orders = (5, 8) if part == "test" else (5,)
        return {ngram_name(text, order): ngram_bits(text, part, order=order) for order in orders}

    def show(params):
        written = "".join(sampled(network, text.vocabulary, params, "\n", Taste(), 300, 0))
        return f"A sample at temperature 1:\n{written}"

    return Recipe(
        about=f"text: {config.text or 'the King James Bible, Genesis to 1 Samuel'}, {len(text.train):,} {config.unit}s "
        f"to learn, {len(text.vocabulary):,} different; tested on the last {text.characters['test']:,} characters",
        model=f"{config.layers} x {config.cell}({config.m})",
        unit="bits a character",
        loss_unit="bits a character",
        scale=per_character(text, "train", 1.0),
        init=init,
        start=start,
        gradient=rnnjax.tbptt(rnnjax.batch(predicting(network), config.micro), window=config.window),
        optimizer=optimizer,
        batch_at=streams.at,
        batch_axis=1,
        restart=restart(config, cell, len(streams)),
        measure=measure,
        baselines=baselines,
        show=show,
        fixed={"digest": text.digest, "vocabulary": text.vocabulary.to_json()},
    )


def sampled(network, vocabulary, params, prompt, taste, length, seed):
    """The prompt, then `length` symbols of text in pieces."""
    ids = vocabulary.encode(prompt)
    unknown = () if vocabulary.unit == "byte" else (0,)
    if any(i in unknown for i in ids) and prompt.strip():
        raise ValueError(f"sample: the prompt must use {vocabulary.unit}s of the run's text, but one is new. Reword.")
    drawn = sample(network, params, ids, key=jax.random.key(seed), taste=taste, silent=unknown)
    new = itertools.islice(drawn, length)
    if vocabulary.unit == "jamo":  # a jamo drawn may complete the prompt's last syllable
        new, prompt = itertools.chain(vocabulary.encode(prompt.lstrip("\n")).tolist(), new), ""
    yield prompt.lstrip("\n")
    yield from stream(vocabulary, new, after=int(ids[-1]))
