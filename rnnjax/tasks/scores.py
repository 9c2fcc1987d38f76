"""How well a text is predicted, in bits a character, whatever the model's symbols are."""

import math

import optax

from rnnjax.cell import Cell
from rnnjax.compose.batch import batch
from rnnjax.compose.with_loss import with_loss
from rnnjax.tasks import ngram
from rnnjax.tasks.corpus import Corpus, held_out
from rnnjax.train.evaluate import evaluate

MOST = 2_000_000


def predicting(network: Cell) -> Cell:
    """The network with cross entropy, in nats a symbol."""
    return with_loss(network, optax.softmax_cross_entropy_with_integer_labels)


def per_character(corpus: Corpus, part: str, nats: float) -> float:
    """Nats a symbol as bits a character, on the `part` "train", "valid" or "test" of the corpus."""
    return nats / math.log(2) * len(getattr(corpus, part)) / corpus.characters[part]


def network_bits(network: Cell, params, corpus: Corpus, part: str, *, streams: int = 1) -> float:
    """Bits a character of a network from a fresh state, in one pass, or in several `streams` at once (faster)."""
    ids = getattr(corpus, part)
    streams = max(1, min(streams, len(ids) // 32))
    return per_character(corpus, part, evaluate(batch(predicting(network), streams), params, held_out(ids, streams)))


def ngram_bits(corpus: Corpus, part: str, *, order: int) -> float:
    """Bits a character of a Kneser-Ney n-gram model of the same training symbols, the last `MOST` of a long text."""
    train = corpus.train[-MOST:]
    model = ngram.kneser_ney(train, len(corpus.vocabulary), order=min(order, len(train)))
    return per_character(corpus, part, ngram.bits(model, getattr(corpus, part)) * math.log(2))


def ngram_name(corpus: Corpus, order: int) -> str:
    """What that model is called, and what it was given to learn where that is not all."""
    given = f" of the last {MOST:,} symbols" if len(corpus.train) > MOST else ""
    return f"{order}-gram Kneser-Ney{given}"
