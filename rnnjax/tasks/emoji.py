"""From a small picture to its name, character by character: what is this emoji called?

An encoder of the picture makes the first state of a decoder of characters, as of Vinyals et al. 2015, Show and tell,
https://arxiv.org/abs/1411.4555. With a thousand pictures to learn from, and no name in two parts, few new ones are
named rightly: the names cost fewer nats than without the picture, and that is what is measured. Nothing is published.
"""

import functools
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

import rnnjax
from rnnjax.data import Pictures, characters
from rnnjax.data import emoji as read
from rnnjax.tasks import ngram
from rnnjax.tasks.options import Options, adam
from rnnjax.tasks.pictures import convolved
from rnnjax.tasks.recipe import Recipe, mean, shuffled, whole
from rnnjax.tasks.spelling import spelled
from rnnjax.tasks.telling import EDGE, Teller, lines, writer

SMOKE = dict(m=16, batch=8, steps=10, every=10)


@dataclass(frozen=True)
class Config(Options):
    """Learn to name the picture of an emoji, character by character. Without the picture: --sees nothing."""

    steps: int = 1500
    lr: float = 6e-3
    every: int = 100
    data: str | None = None
    """The font NotoColorEmoji.ttf, if not where Debian puts it."""
    sees: Literal["picture", "nothing"] = "picture"
    """What the decoder is shown. The one that sees nothing is what the other is to be held against."""
    cell: Literal["lstm", "gru"] = "lstm"
    """The recurrent cell."""
    m: int = 128
    """Size of its state."""
    embed: int = 32
    """Size of a character's vector."""
    dropout: float = 0.5
    """Share of activations dropped around the decoder, and at the end of the encoder."""


def model(config: Config, symbols: int) -> Teller:
    """Convolutions down to 2 by 2 places, and a dense layer, make the first state of a recurrent decoder."""
    cell, leaves = {"lstm": (rnnjax.lstm, 2), "gru": (rnnjax.gru, 1)}[config.cell]
    halved = [convolved(n, m, 2) for n, m in ((3, 16), (16, 32), (32, 64), (64, 64))]
    last = rnnjax.dropout(config.dropout), rnnjax.dense(256, leaves * config.m), rnnjax.lift(jnp.tanh)
    decoder = writer(cell, symbols, config.embed, config.m, dropout=config.dropout)
    return Teller(rnnjax.stack(*halved, rnnjax.lift(jnp.ravel), *last), decoder)


def nearest(train: Pictures, xs) -> list[str]:
    """The name of the training picture that is nearest to each of `xs`, by the squared distance of their colours."""
    flat, others = (np.float32(pictures).reshape(len(pictures), -1) for pictures in (xs, train.xs))
    return [train.names[i] for i in ((others**2).sum(1) - 2 * flat @ others.T).argmin(1)]


def recipe(config: Config) -> Recipe:
    """Emoji, their names, and names without pictures."""
    parts = read(config.data)
    vocabulary = characters(EDGE.join(parts.train.names))
    length = 1 + max(len(name) for part in parts for name in part.names)
    teller = model(config, len(vocabulary))
    order = shuffled(len(parts.train.names), config.batch, config.seed)
    shown_as = np.float32(1 / 255 if config.sees == "picture" else 0)
    everything = {
        part: (np.float32(of.xs) * shown_as, *lines(vocabulary, of.names, length))
        for part, of in parts._asdict().items()
    }
    tell = functools.partial(teller.tell, vocabulary=vocabulary, length=length)

    def judge(params, *batch):
        return {"nats a character": teller.nats(params, *batch)}

    def measure(params, part):
        said = tell(params, everything[part][0])
        return mean(judge, params, [everything[part]]) | spelled(said, getattr(parts, part).names)

    def baselines(part):
        names = getattr(parts, part).names
        symbols = {of: vocabulary.encode(EDGE.join(getattr(parts, of).names) + EDGE) for of in ("train", part)}
        bits = ngram.bits(ngram.kneser_ney(symbols["train"], len(vocabulary), 5), symbols[part])
        right = spelled(nearest(parts.train, getattr(parts, part).xs), names)["share right"]
        return {f"5-gram Kneser-Ney (right, of the nearest picture's names: {right:.3f})": float(bits * np.log(2))}

    def show(params):
        names, (pictures, *_) = parts.test.names[:12], everything["test"]
        return "\n".join(f"{name}: {told}" for name, told in zip(names, tell(params, pictures[:12])))

    return Recipe(
        about=f"emoji: {len(parts.train.names):,} pictures of 32 x 32 pixels to learn the names of; tested on "
        f"{len(parts.test.names):,} others",
        model=f"four convolutions, {config.cell}({config.m}), which sees {'it' if shown_as else 'nothing'}",
        unit="nats a character",
        loss_unit="nats a character",
        init=teller.init,
        start=lambda params: jax.random.key(config.seed),
        gradient=whole(teller.loss),
        optimizer=adam(config),
        batch_at=lambda step: jax.tree.map(lambda a: a[order(step)], everything["train"]),
        measure=measure,
        baselines=baselines,
        show=show,
        fixed={"vocabulary": vocabulary.to_json()},
    )
