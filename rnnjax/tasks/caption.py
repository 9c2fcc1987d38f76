"""From a picture to words: written digits side by side, read as a number, are told in English or Korean.

An encoder of the picture makes the first state of a decoder of characters, as of Vinyals et al. 2015, Show and tell,
https://arxiv.org/abs/1411.4555. Nothing is published on these strips.
"""

import functools
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

import rnnjax
from rnnjax.data import characters
from rnnjax.data.numerals import in_english, in_korean
from rnnjax.tasks.handwriting import handwriting, logistic, strips
from rnnjax.tasks.options import Options, adam
from rnnjax.tasks.pictures import convolved
from rnnjax.tasks.recipe import Recipe, whole
from rnnjax.tasks.spelling import spelled
from rnnjax.tasks.telling import Teller, lines, writer

SMOKE = dict(m=32, batch=8, longest=2, steps=20, every=20, most=50)
LANGUAGES = {"english": in_english, "korean": in_korean}


@dataclass(frozen=True)
class Config(Options):
    """Learn to say in words which number stands in a picture of written digits, character by character.

    Every update sees new strips of training digits. The digits of the strips it is tested on are in no other strip.
    """

    batch: int = 64
    steps: int = 3000
    lr: float = 3e-3
    dataset: Literal["digits", "mnist"] = "digits"
    """Scikit-learn's digits, or MNIST shrunk to the same 8 by 8 pixels."""
    data: str | None = None
    """Where they are, if not where the package puts them."""
    language: Literal["english", "korean"] = "english"
    """The language of the words."""
    longest: int = 4
    """Most digits side by side, up to 4."""
    cell: Literal["lstm", "gru"] = "lstm"
    """The recurrent cell."""
    m: int = 128
    """Size of its state."""
    embed: int = 16
    """Size of a character's vector."""
    dropout: float = 0.2
    """Share of activations dropped around the decoder, and at the end of the encoder."""
    most: int = 1000
    """Strips to validate with, and to test with."""

    def __post_init__(self):
        super().__post_init__()
        if self.longest > 4:
            raise ValueError(f"caption: longest must be at most 4, but longest is {self.longest}. Give less.")


def model(config: Config, symbols: int) -> Teller:
    """Convolutions down to a place a digit, and a dense layer, make the first state of a recurrent decoder."""
    cell, parts = {"lstm": (rnnjax.lstm, 2), "gru": (rnnjax.gru, 1)}[config.cell]
    encoder = rnnjax.stack(
        *(convolved(1, 16), convolved(16, 32, 2), convolved(32, 64, 2), convolved(64, 128, 2), rnnjax.lift(jnp.ravel)),
        *(rnnjax.dropout(config.dropout), rnnjax.dense(128 * config.longest, parts * config.m), rnnjax.lift(jnp.tanh)),
    )
    return Teller(encoder, writer(cell, symbols, config.embed, config.m, dropout=config.dropout))


def recipe(config: Config) -> Recipe:
    """Strips of digits, and what they say."""
    say = LANGUAGES[config.language]
    every = [say(number) for number in range(10**config.longest)]
    vocabulary, length = characters("\n".join(every)), max(map(len, every)) + 1
    digits = handwriting("caption", config.dataset, config.data)
    teller = model(config, len(vocabulary))

    def at(part, count, place):
        return strips(getattr(digits, part), count, config.longest, seed=[config.seed, place])

    def batch_at(step):
        pictures, numbers = at("train", config.batch, 2 + step)
        return pictures, *lines(vocabulary, [every[number] for number in numbers], length)

    held_out = {"valid": at("valid", config.most, 0), "test": at("test", config.most, 1)}
    tell = functools.partial(teller.tell, vocabulary=vocabulary, length=length)

    def measure(params, part):
        pictures, numbers = held_out[part]
        return spelled(tell(params, pictures), [every[number] for number in numbers])

    read = functools.cache(lambda: logistic(digits.train))

    def baselines(part):
        pictures, numbers = held_out[part]
        usual, _ = Counter(at("train", 100_000, 2)[1].tolist()).most_common(1)[0]
        guessed = read()(pictures)
        return {
            "the most common caption": float(np.mean(numbers == usual)),
            "logistic regression, then the rule": float(np.mean(numbers == guessed)),
        }

    def show(params):
        pictures, numbers = (a[:8] for a in held_out["test"])
        likeliest = tell(params, pictures)
        drawn = tell(params, pictures, key=jax.random.key(config.seed))
        rows = zip(numbers.tolist(), likeliest, drawn)
        return "\n".join(f"{number:>4}: {one} (drawn: {other})" for number, one, other in rows)

    return Recipe(
        about=f"{config.dataset}: {len(digits.train.labels):,} pictures of digits to learn, in strips of 1 to "
        f"{config.longest}, told in {config.language}; tested on {config.most:,} strips of {len(digits.test.labels):,}",
        model=f"four convolutions, {config.cell}({config.m})",
        unit="share right",
        better="higher",
        loss_unit="nats a character",
        init=teller.init,
        start=lambda params: jax.random.key(config.seed),
        gradient=whole(teller.loss),
        optimizer=adam(config),
        batch_at=batch_at,
        measure=measure,
        baselines=baselines,
        show=show,
    )
