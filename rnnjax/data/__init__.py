"""Data for recurrent networks: text, music, speech, pictures, vocabularies, windows of one long sequence, batches.

All of it is NumPy on the host and a pure function of its arguments, so a run resumes from its step number alone.
"""

from rnnjax.data.batches import Batch, batches, keep, pad
from rnnjax.data.chorales import chorales
from rnnjax.data.digits import digits, mnist
from rnnjax.data.emoji import Pictures, emoji
from rnnjax.data.memory import BLANK, MARKER, SILENT, adding, copying, delayed_xor
from rnnjax.data.parts import Labelled, Parts, divide
from rnnjax.data.records import Record, co2, monthly_sunspots, sunspots
from rnnjax.data.series import gunpoint, italy_power_demand, japanese_vowels, series
from rnnjax.data.text import bible, read, split
from rnnjax.data.tunes import Tune, tunes
from rnnjax.data.vocabulary import Vocabulary, byte_level, characters, words
from rnnjax.data.windows import Windows, windows

__all__ = [
    "BLANK",
    "MARKER",
    "SILENT",
    "Batch",
    "Labelled",
    "Parts",
    "Pictures",
    "Record",
    "Tune",
    "Vocabulary",
    "Windows",
    "adding",
    "batches",
    "bible",
    "byte_level",
    "characters",
    "chorales",
    "co2",
    "copying",
    "delayed_xor",
    "digits",
    "divide",
    "emoji",
    "gunpoint",
    "italy_power_demand",
    "japanese_vowels",
    "keep",
    "mnist",
    "monthly_sunspots",
    "pad",
    "read",
    "series",
    "split",
    "sunspots",
    "tunes",
    "windows",
    "words",
]
