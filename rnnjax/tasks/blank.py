"""Filling in a missing word of real text: with what is on both sides of it, or only with what comes before.

"Exercise is very effective at [ ] belly fat": what comes after says more than what came before.

Mousa & Schuller 2017, Contextual bidirectional LSTM, predicts every word from both sides so:
https://aclanthology.org/E17-1096/
"""

import math
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

import rnnjax
from rnnjax.data import bible, penn_treebank, read, split, tokens, words
from rnnjax.tasks import ngram
from rnnjax.tasks.filled import filled
from rnnjax.tasks.gaps import beside, gap_of_bigrams, overlapping
from rnnjax.tasks.options import Options, adam
from rnnjax.tasks.recipe import Recipe, digest, mean, whole

SMOKE = dict(most=2000, vocabulary=300, m=8, embed=8, window=16, batch=8, steps=10, every=10)
SENTENCES = {
    False: "\nAnd the fat that [was] upon the belly the priest shall [ ] upon the altar.\n",
    True: "\nexercise is very effective at [ ] belly fat\n",
}


@dataclass(frozen=True)
class Config(Options):
    """Fill in a missing word of a text by a network that reads what is left of it forward, and what is right backward.

    Beside it, `--sees left` trains one that reads forward only, of no fewer parameters.
    """

    sees: Literal["both", "left"] = "both"
    """What the network knows of the text: both sides of the missing word, or only what comes before it."""
    penn: bool = False
    """Learn the Penn Treebank, its 10 000 words (give --vocabulary 10000), instead of a text."""
    data: str | None = None
    """A UTF-8 file to learn, by default the shipped King James text; of the Penn Treebank, its folder."""
    vocabulary: int = 4000
    """At most so many different words; rarer ones are read, and predicted, as unknown."""
    most: int = 10_000_000
    """At most so many words of each part."""
    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    """The recurrent cell."""
    m: int = 128
    """Size of the state in each direction; twice that where there is but one."""
    embed: int = 128
    """Size of a word's vector."""
    dropout: float = 0.4
    """Share of activations dropped before and after the recurrent layer."""
    window: int = 48
    """Words that the network sees at a time."""
    steps: int = 1200
    """Updates to make: 150 see as many words as the King James text has."""
    lr: float = 5e-3
    """Peak learning rate of Adam, after a warm-up and before a cosine to almost zero."""


def model(config: Config, symbols: int) -> rnnjax.Cell:
    """A vector for each word, what stands beside each, and a readout to the logits of the word itself."""
    constructor = {"lstm": rnnjax.lstm, "gru": rnnjax.gru, "rnn": rnnjax.rnn}[config.cell]
    layer = beside(constructor, config.embed, config.m, sees=config.sees)
    noise = [rnnjax.dropout(config.dropout)] if config.dropout else []
    return rnnjax.stack(rnnjax.embed(symbols, config.embed), *noise, layer, *noise, rnnjax.dense(2 * config.m, symbols))


def corpus(config: Config):
    """The vocabulary of the training part, and the ids of the three parts."""
    texts = penn_treebank(config.data) if config.penn else split(bible() if config.data is None else read(config.data))
    vocabulary = (tokens if config.penn else words)(texts[0], size=config.vocabulary)
    return vocabulary, dict(zip(("train", "valid", "test"), (vocabulary.encode(text)[: config.most] for text in texts)))


def recipe(config: Config) -> Recipe:
    """The text, the network, and n-grams beside it."""
    vocabulary, parts = corpus(config)
    for part, ids in parts.items():
        if len(ids) < config.window:
            raise ValueError(
                f"train: each part of the text must hold a window of {config.window} words, but {part} holds "
                f"{len(ids)}. Give a longer text or a smaller window."
            )
    network = model(config, len(vocabulary))

    def batch_at(step):
        draw, last = np.random.default_rng([config.seed, step]), len(parts["train"]) - config.window
        return (parts["train"][draw.integers(0, last + 1, config.batch)[:, None] + np.arange(config.window)],)

    def loss(params, key, ids):
        _, logits = rnnjax.apply(network, params, ids, key=key)
        return optax.softmax_cross_entropy_with_integer_labels(logits, ids).mean()

    def judge(params, ids, judged):
        _, logits = rnnjax.apply(network, params, ids)
        ahead = (logits > jnp.take_along_axis(logits, ids[..., None], -1)).sum(-1)
        nats = optax.softmax_cross_entropy_with_integer_labels(logits, ids)
        found = {"nats": nats, "share right": ahead < 1, "share in the first ten": ahead < 10}
        return {unit: (values, judged) for unit, values in found.items()}

    def measure(params, part):
        found = mean(judge, params, overlapping(parts[part], config.window, config.batch))
        return {"perplexity": math.exp(found.pop("nats")), **found}

    def baselines(part):
        levels = {"each word's frequency": 1, "2-gram Kneser-Ney": 2, "5-gram Kneser-Ney": 5}
        train, ids, symbols = parts["train"], parts[part], len(vocabulary)
        found = {n: 2 ** ngram.bits(ngram.kneser_ney(train, symbols, order=order), ids) for n, order in levels.items()}
        return found | {"2-gram Kneser-Ney of both neighbours": gap_of_bigrams(train, symbols, ids)}

    def show(params):
        return filled(network, params, vocabulary, parts["test"], SENTENCES[config.penn], config.window)

    return Recipe(
        about=f"{'the Penn Treebank' if config.penn else config.data or 'the King James Bible, Genesis to 1 Samuel'}: "
        f"{len(parts['train']):,} words to learn, {len(vocabulary):,} different; tested on {len(parts['test']):,}",
        model=f"{config.cell} from {'both ends' if config.sees == 'both' else 'the left'}, {2 * config.m} units",
        unit="perplexity",
        init=network.init,
        start=lambda params: jax.random.key(config.seed),
        gradient=whole(loss),
        optimizer=adam(config),
        batch_at=batch_at,
        measure=measure,
        baselines=baselines,
        show=show,
        fixed={"digest": digest(*parts.values())},
    )
