"""Does a film review praise? Words in, one label out.

Maas et al. 2011, https://aclanthology.org/P11-1015/. The published are of the set's own test part of 25 000, which is
not here: the bag of words of Wang & Manning 2012, https://aclanthology.org/P12-2018/, and the LSTM of Dai & Le 2015,
https://arxiv.org/abs/1511.01432, without pretraining and with. The feedforward network is that of Joulin et al. 2016,
https://arxiv.org/abs/1607.01759, without its pairs of words.
"""

import functools
from dataclasses import dataclass
from typing import Literal

import jax

import rnnjax
from rnnjax.data import Parts, Vocabulary, movie_reviews, words
from rnnjax.tasks.classify import Classifier, average, packed, settled
from rnnjax.tasks.options import Options, adam
from rnnjax.tasks.recipe import Recipe, digest, mean, whole
from rnnjax.tasks.simple import bag, majority, share, softmax_regression

SMOKE = dict(most=256, longest=40, vocabulary=500, embed=8, m=8, batch=16, steps=20, every=20)
CELLS = {"lstm": rnnjax.lstm, "gru": rnnjax.gru, "rnn": rnnjax.rnn}
BUCKETS = 3
DECAY = 3e-3  # by the validation part
PUBLISHED = {
    "bag of words (2012), other test part": 0.870,
    "LSTM (2015), other test part": 0.865,
    "LSTM pretrained (2015), other test part": 0.928,
}


@dataclass(frozen=True)
class Config(Options):
    """Tell film reviews that praise from those that do not.

    By a recurrent network that reads words in both directions (many to one), or, for comparison, by the mean of the
    words' vectors.
    """

    data: str | None = None
    """The CSV file of the package movie-reviews; without it, that of the installed package."""
    model: Literal["lstm", "gru", "rnn", "feedforward"] = "lstm"
    """The recurrent cell; feedforward is the mean of the words' vectors."""
    readout: Literal["mean", "last"] = "mean"
    """Whether the answer is made of the mean output, or of what each direction says at its end."""
    vocabulary: int = 10_000
    """At most so many different words, in lower case; rarer ones are read as unknown."""
    longest: int = 250
    """Of longer reviews only so many of the last words are read."""
    embed: int = 64
    """Size of a word's vector."""
    m: int = 64
    """Size of each direction's state."""
    dropout: float = 0.5
    """Share of numbers dropped in the words' vectors and before the readout."""
    most: int = 25_000
    """At most so many reviews of each part; 25 000 takes all."""
    batch: int = 64
    steps: int = 1500
    lr: float = 3e-3
    every: int = 250


def model(config: Config, symbols: int) -> Classifier:
    """From words to the logits of blame and praise."""
    noise = [rnnjax.dropout(config.dropout)] if config.dropout else []
    body = [rnnjax.embed(symbols, config.embed), *noise]
    if config.model == "feedforward":
        return Classifier(rnnjax.scan(rnnjax.stack(*body)), average, rnnjax.dense(config.embed, 2))
    layer = rnnjax.deep(CELLS[config.model], config.embed, config.m, bidirectional=True)
    read = {"mean": average, "last": settled}[config.readout]
    return Classifier(rnnjax.stack(*body, layer), read, rnnjax.stack(*noise, rnnjax.dense(2 * config.m, 2)))


def recipe(config: Config) -> Recipe:
    """Reviews as words, a network, and a logistic regression of the words beside it."""
    parts = Parts(*(type(part)(*(a[: config.most] for a in part)) for part in movie_reviews(config.data)))
    vocabulary = words("\n".join(parts.train.texts).lower(), size=config.vocabulary)
    ids = Parts(*([vocabulary.encode(text.lower()) for text in part.texts] for part in parts))
    labels = Parts(*(part.labels for part in parts))
    network = model(config, len(vocabulary))

    def batches(part):
        ends = [i[-config.longest :] for i in getattr(ids, part)]
        return packed(ends, getattr(labels, part), batch=config.batch, buckets=BUCKETS, seed=config.seed)

    @functools.cache
    def regression():
        return softmax_regression(bag(ids.train, len(vocabulary)), labels.train, 2, decay=DECAY)

    def baselines(part):
        bags, right = bag(getattr(ids, part), len(vocabulary)), getattr(labels, part)
        return {
            "always the same": share(majority(labels.train), right),
            "logistic regression of the bag of words": share(regression()(bags), right),
        }

    learned = batches("train")
    return Recipe(
        about=f"reviews: {len(ids.train):,} to learn, {len(ids.test):,} to be tested; {len(vocabulary):,} words",
        model="mean of the words' vectors"
        if config.model == "feedforward"
        else f"bidirectional {config.model}({config.m}), {config.readout}",
        unit="accuracy",
        better="higher",
        init=network.init,
        start=lambda params: jax.random.key(config.seed),
        gradient=whole(network.loss),
        optimizer=adam(config),
        batch_at=learned.at,
        measure=lambda params, part: mean(network.judge, params, batches(part).epoch(0)),
        baselines=baselines,
        published=PUBLISHED,
        show=lambda params: told(network, params, vocabulary, ids.test, labels.test),
        fixed={"digest": digest(*(a for part in (*ids, *labels) for a in part))},
    )


def told(network: Classifier, params, vocabulary: Vocabulary, ids, labels, count: int = 3, length: int = 40) -> str:
    """The ends of a few reviews, and what the network thinks of them."""
    lines = []
    for sequence, label in zip(ids[:count], labels):
        end = sequence[-length:]
        praise = jax.nn.softmax(network.logits(params, end[None])[0])[1]
        lines.append(f"praise {float(praise):.2f}, is {label}: ... {vocabulary.decode(end)}".replace("\n", " "))
    return "\n".join(lines)
