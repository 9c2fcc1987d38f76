"""From a kind of dance to a tune, character by character in ABC notation.

As of Sturm et al. 2016, Music transcription modelling and composition using deep learning,
https://arxiv.org/abs/1604.08723, who give their network no kind. Nothing is published on these tunes.
"""

import functools
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

import rnnjax
from rnnjax.data import Parts, batches, characters
from rnnjax.data import tunes as read
from rnnjax.tasks import ngram
from rnnjax.tasks.options import Options, adam
from rnnjax.tasks.recipe import Recipe, mean, whole
from rnnjax.tasks.telling import EDGE, Teller, writer

SMOKE = dict(m=16, batch=4, steps=10, every=10, most=24, longest=100)
KINDS = "reel", "hornpipe", "jig"


@dataclass(frozen=True)
class Config(Options):
    """Learn to write a reel, a hornpipe or a jig in ABC notation. By Bayes' rule the model also says which it sees.

    Reads the tunes of the package music21.
    """

    batch: int = 16
    steps: int = 1400
    lr: float = 4e-3
    data: str | None = None
    """A folder of .abc files, if not that of music21."""
    cell: Literal["lstm", "gru"] = "lstm"
    """The recurrent cell."""
    m: int = 256
    """Size of its state."""
    embed: int = 32
    """Size of a character's vector."""
    dropout: float = 0.4
    """Share of activations dropped around the cell."""
    longest: int = 400
    """Characters of a tune that are learned from, from its start. It is judged by all."""
    most: int = 10_000
    """At most so many tunes of a part."""


def chosen(config: Config) -> Parts:
    """The tunes whose kind is one of `KINDS`. Raises `ValueError` if there are none to learn of one, or to test."""
    parts = Parts(*([tune for tune in part if tune.kind in KINDS] for part in read(config.data)))
    parts = Parts(*(part[:: max(1, len(part) // config.most)][: config.most] for part in parts))
    for kind in KINDS:
        if not any(tune.kind == kind for tune in parts.train):
            raise ValueError(f"tunes: there must be a {kind} to learn from, but there is none. Give a larger folder.")
    for name, part in (("valid", parts.valid), ("test", parts.test)):
        if not part:
            raise ValueError(f"tunes: {name} must hold a {', '.join(KINDS)}, but it has none. Give a larger folder.")
    return parts


def model(config: Config, symbols: int) -> Teller:
    """A vector of each kind, as the first state of a recurrent decoder."""
    cell, leaves = {"lstm": (rnnjax.lstm, 2), "gru": (rnnjax.gru, 1)}[config.cell]
    decoder = writer(cell, symbols, config.embed, config.m, dropout=config.dropout)
    return Teller(rnnjax.embed(len(KINDS), leaves * config.m), decoder)


def padded(vocabulary, tunes, longest: int | None, batch: int, *, seed=0, epoch=0) -> list[tuple]:
    """An epoch of `(kinds, *lines)` of few lengths; an empty one fills up a batch."""
    ids = [vocabulary.encode(EDGE + tune.abc + EDGE)[: longest and longest + 1] for tune in tunes]
    kinds = np.array([KINDS.index(tune.kind) for tune in tunes], np.int32)
    before, after = [row[:-1] for row in ids], [row[1:] for row in ids]
    epoch = batches(before, after, batch=batch, buckets=4, seed=seed, epoch=epoch)
    return [(kinds[b.indices], b.xs.T, b.targets.T, b.lengths) for b in epoch]


def counted(parts: Parts, vocabulary, part: str, order: int = 5) -> dict[str, float]:
    """Bits a character of n-grams: one of all tunes, and one of each kind."""
    symbols = [vocabulary.encode(tune.abc + EDGE) for tune in parts.train]
    kinds = np.array([tune.kind for tune in parts.train])
    given = [vocabulary.encode(tune.abc + EDGE) for tune in getattr(parts, part)]

    def bits(which):
        fitted = ngram.kneser_ney(np.concatenate([symbols[i] for i in which]), len(vocabulary), order)
        return np.array([ngram.bits(fitted, ids) * len(ids) for ids in given])

    each = np.stack([bits(np.flatnonzero(kinds == kind)) for kind in KINDS], 1)
    true = np.array([KINDS.index(tune.kind) for tune in getattr(parts, part)])
    size = sum(map(len, given))
    right = np.mean(each.argmin(1) == true)
    return {
        f"{order}-gram Kneser-Ney of all tunes": float(bits(range(len(symbols))).sum() / size),
        f"{order}-gram of each kind (right: {right:.3f})": float(each[np.arange(len(true)), true].sum() / size),
    }


def recipe(config: Config) -> Recipe:
    """Three kinds of tunes, the network, and n-grams beside it."""
    parts = chosen(config)
    vocabulary = characters("".join(tune.abc for tune in parts.train))
    teller = model(config, len(vocabulary))
    epoch = functools.lru_cache(2)(
        lambda n: padded(vocabulary, parts.train, config.longest, config.batch, seed=config.seed, epoch=n)
    )
    held_out = {part: padded(vocabulary, getattr(parts, part), None, config.batch) for part in ("valid", "test")}

    def judge(params, kinds, *given):
        def as_if(kind):
            return teller.nats(params, jnp.full(len(kinds), kind), *given)

        each, (keep, *_) = jax.lax.map(as_if, jnp.arange(len(KINDS)))
        own = jnp.take_along_axis(each, kinds[None, :, None], 0)[0]
        right = each.sum(2, where=keep).argmin(0) == kinds
        return {"bits a character": (own / jnp.log(2), keep), "share right by Bayes' rule": (right, given[-1] > 0)}

    def show(params):
        key, kinds = jax.random.key(config.seed), np.arange(len(KINDS))
        written = teller.tell(params, kinds, vocabulary, 600, key=key, end=2 * EDGE)
        return "\n\n".join(f"a {kind}:\n{tune}" for kind, tune in zip(KINDS, written))

    return Recipe(
        about=f"{len(parts.train):,} reels, hornpipes and jigs to learn, {len(vocabulary)} different characters; "
        f"tested on {len(parts.test):,}",
        model=f"{config.cell}({config.m})",
        unit="bits a character",
        loss_unit="bits a character",
        scale=float(1 / np.log(2)),
        init=teller.init,
        start=lambda params: jax.random.key(config.seed),
        gradient=whole(teller.loss),
        optimizer=adam(config),
        batch_at=lambda step: epoch(step // len(epoch(0)))[step % len(epoch(0))],
        measure=lambda params, part: mean(judge, params, held_out[part]),
        baselines=lambda part: counted(parts, vocabulary, part),
        show=show,
        fixed={"vocabulary": vocabulary.to_json()},
    )
