"""Data for recurrent networks: text, music, speech, pictures, vocabularies, windows of one long sequence, batches.

All of it is NumPy on the host and a pure function of its arguments, so a run resumes from its step number alone.
"""

from rnnjax.data.batches import Batch, batches, keep, pad
from rnnjax.data.chorales import chorales
from rnnjax.data.digits import digits, mnist
from rnnjax.data.emoji import Pictures, emoji
from rnnjax.data.hanja import Reading, hanja
from rnnjax.data.jamo import composed, jamo, syllables
from rnnjax.data.korean import korean
from rnnjax.data.memory import BLANK, MARKER, SILENT, adding, copying, delayed_xor
from rnnjax.data.parts import Labelled, Parts, divide, hashed
from rnnjax.data.penn import penn_treebank
from rnnjax.data.pronounced import PHONES, Pronounced, cmudict
from rnnjax.data.records import Record, co2, monthly_sunspots, sunspots
from rnnjax.data.reviews import Reviews, movie_reviews
from rnnjax.data.series import gunpoint, italy_power_demand, japanese_vowels, series
from rnnjax.data.symbols import byte_level, characters, jamo_level, tokens, words
from rnnjax.data.text import bible, read, split
from rnnjax.data.treebanks import TAGS, Sentence, conllu, tagged
from rnnjax.data.tunes import Tune, tunes
from rnnjax.data.vocabulary import Vocabulary
from rnnjax.data.windows import Windows, windows

__all__ = [
    "BLANK",
    "Batch",
    "Labelled",
    "MARKER",
    "PHONES",
    "Parts",
    "Pictures",
    "Pronounced",
    "Reading",
    "Record",
    "Reviews",
    "SILENT",
    "Sentence",
    "TAGS",
    "Tune",
    "Vocabulary",
    "Windows",
    "adding",
    "batches",
    "bible",
    "byte_level",
    "characters",
    "chorales",
    "cmudict",
    "co2",
    "composed",
    "conllu",
    "copying",
    "delayed_xor",
    "digits",
    "divide",
    "emoji",
    "gunpoint",
    "hanja",
    "hashed",
    "italy_power_demand",
    "jamo",
    "jamo_level",
    "japanese_vowels",
    "keep",
    "korean",
    "mnist",
    "monthly_sunspots",
    "movie_reviews",
    "pad",
    "penn_treebank",
    "read",
    "series",
    "split",
    "sunspots",
    "syllables",
    "tagged",
    "tokens",
    "tunes",
    "windows",
    "words",
]
