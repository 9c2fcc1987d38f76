"""Reading Hanja: a Korean word in Chinese characters, a Hangul syllable for each of them.

How a character is read can hang on its company: 樂 is 악 in 音樂, 락 in 娛樂 and 낙 at the beginning of a word (樂園).
"""

from dataclasses import dataclass
from typing import Literal

import jax
import numpy as np

import rnnjax
from rnnjax.data import hanja
from rnnjax.tasks.aligned import Aligned, commonest, guesses, held_out, labeller, ragged, share_right
from rnnjax.tasks.options import Options, adam
from rnnjax.tasks.recipe import Recipe, digest, mean, whole

SMOKE = dict(most=300, m=8, embed=8, buckets=1, batch=64, steps=8, every=8)


@dataclass(frozen=True)
class Config(Options):
    """Read Korean words written in Chinese characters, by a recurrent network that sees a word from both ends."""

    data: str | None = None
    """libhangul's whole hanja.txt (Debian: libhangul-data); without it, the shipped slice, a twelfth of it."""
    most: int = 1_000_000
    """At most so many words of each part."""
    cell: Literal["lstm", "gru", "rnn"] = "gru"
    """The recurrent cell."""
    bidirectional: bool = True
    """Read every word from both ends; otherwise from its beginning only."""
    m: int = 128
    """Size of its state, in each direction."""
    embed: int = 128
    """Size of a character's vector."""
    dropout: float = 0.3
    """Share of activations dropped before and after the recurrent layer."""
    buckets: int = 3
    """How many lengths words are padded to, each compiled once."""
    batch: int = 64
    """Words in an update."""
    steps: int = 3000
    """Updates to make: 260 are an epoch of the shipped words."""
    lr: float = 5e-3
    """Peak learning rate of Adam, after a warm-up and before a cosine to almost zero."""


def model(config: Config, characters: int, syllables: int) -> rnnjax.Cell:
    """A vector for each character, one recurrent layer and, read with the character itself, the logits of syllables."""
    constructor = {"lstm": rnnjax.lstm, "gru": rnnjax.gru, "rnn": rnnjax.rnn}[config.cell]
    layer = rnnjax.deep(constructor, config.embed, config.m, bidirectional=config.bidirectional)
    noise = [rnnjax.dropout(config.dropout)] if config.dropout else []
    read = rnnjax.dense(config.embed + (1 + config.bidirectional) * config.m, syllables)
    return rnnjax.stack(rnnjax.embed(characters, config.embed), *noise, rnnjax.skip(layer), *noise, read)


def numbered(texts) -> dict[str, int]:
    """The characters of texts, from 1 on, as they come."""
    return {character: i for i, character in enumerate(dict.fromkeys("".join(texts)), 1)}


def aligned(readings, characters, syllables) -> Aligned:
    """Words as characters (T,), 0 where new, and syllables (T,), -1 where never heard in training."""
    xs = [np.array([characters.get(c, 0) for c in reading.characters], np.int32) for reading in readings]
    return Aligned(xs, [np.array([syllables.get(s, 0) - 1 for s in r.syllables], np.int32) for r in readings])


def places(word: str) -> list[tuple[str, bool]]:
    """Each character, and whether it is the first.

    >>> places("樂園")
    [('樂', True), ('園', False)]
    """
    return [(character, place == 0) for place, character in enumerate(word)]


def by_character(train):
    """`word -> syllables`: each character's commonest reading."""
    readings = commonest(pair for word, syllables in train for pair in zip(word, syllables))
    return lambda word: [readings.get(character) for character in word]


def by_place(train):
    """`word -> syllables`: each character's commonest reading at the beginning of a word, or after it."""
    anywhere = by_character(train)
    readings = commonest(pair for word, syllables in train for pair in zip(places(word), syllables))
    return lambda word: [readings.get(at, there) for at, there in zip(places(word), anywhere(word))]


def recipe(config: Config) -> Recipe:
    """The words, the network, and each character's commonest reading."""
    words = hanja(config.data)
    words = words._replace(**{part: found[: config.most] for part, found in words._asdict().items()})
    characters = numbered(reading.characters for reading in words.train)
    syllables = numbered(reading.syllables for reading in words.train)
    parts = words._replace(**{part: aligned(found, characters, syllables) for part, found in words._asdict().items()})
    network = model(config, 1 + len(characters), len(syllables))
    loss, judge = labeller(network, "character", "word")

    def measure(params, part):
        return mean(judge, params, held_out(getattr(parts, part), 128, config.buckets))

    def baselines(part):
        simple = {"each character's commonest reading": by_character, "the same, of first ones and others": by_place}
        return {label: share_right(fitted(words.train), getattr(words, part)) for label, fitted in simple.items()}

    def show(params):
        plain, known = by_character(words.train), list(syllables)
        hard = [i for i, (word, right) in enumerate(words.test) if plain(word) != list(right)][:16]
        found = guesses(network, params, [parts.test.xs[i] for i in hard])
        rows = [(words.test[i], "".join(known[k] for k in guess)) for i, guess in zip(hard, found)]
        lines = ["The first test words that commonest readings get wrong: as read by the network, and as is right."]
        return "\n".join(
            lines + [f"{word}  {read}  {right}{'' if read == right else '  wrong'}" for (word, right), read in rows]
        )

    return Recipe(
        about=f"Hanja: {len(words.train):,} Korean words to learn, {len(characters):,} characters, {len(syllables):,} "
        f"syllables; tested on {len(words.test):,} words",
        model=f"{'bidirectional ' * config.bidirectional}{config.cell}({config.m})",
        unit="share of characters right",
        better="higher",
        init=network.init,
        start=lambda params: jax.random.key(config.seed),
        gradient=whole(loss),
        optimizer=adam(config),
        batch_at=ragged(parts.train, config.batch, config.buckets, config.seed),
        measure=measure,
        baselines=baselines,
        show=show,
        fixed={"digest": digest(*(a for part in parts for a in (*part.xs, *part.labels)))},
    )
