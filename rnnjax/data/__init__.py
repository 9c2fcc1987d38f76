"""Data for recurrent networks: text, vocabularies, windows of one long sequence, batches of many short ones.

All of it is NumPy on the host and a pure function of its arguments, so a run resumes from its step number alone.
"""

from rnnjax.data.batches import Batch, batches, keep, pad
from rnnjax.data.hanja import Reading, hanja
from rnnjax.data.jamo import composed, jamo, syllables
from rnnjax.data.korean import korean
from rnnjax.data.memory import SILENT, delayed_xor
from rnnjax.data.parts import Parts, hashed
from rnnjax.data.penn import penn_treebank
from rnnjax.data.pronounced import PHONES, Pronounced, cmudict
from rnnjax.data.reviews import Reviews, movie_reviews
from rnnjax.data.symbols import byte_level, characters, jamo_level, tokens, words
from rnnjax.data.text import bible, read, split
from rnnjax.data.treebanks import TAGS, Sentence, conllu, tagged
from rnnjax.data.vocabulary import Vocabulary
from rnnjax.data.windows import Windows, windows

__all__ = [
    "PHONES",
    "SILENT",
    "TAGS",
    "Batch",
    "Parts",
    "Pronounced",
    "Reading",
    "Reviews",
    "Sentence",
    "Vocabulary",
    "Windows",
    "batches",
    "bible",
    "byte_level",
    "characters",
    "cmudict",
    "composed",
    "conllu",
    "delayed_xor",
    "hanja",
    "hashed",
    "jamo",
    "jamo_level",
    "keep",
    "korean",
    "movie_reviews",
    "pad",
    "penn_treebank",
    "read",
    "split",
    "syllables",
    "tagged",
    "tokens",
    "windows",
    "words",
]
