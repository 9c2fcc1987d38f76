"""Data for recurrent networks: text, vocabularies, windows of one long sequence, batches of many short ones.

All of it is NumPy on the host and a pure function of its arguments, so a run resumes from its step number alone.
"""

from rnnjax.data.batches import Batch, batches, keep, pad
from rnnjax.data.memory import SILENT, delayed_xor
from rnnjax.data.text import bible, read, split
from rnnjax.data.vocabulary import Vocabulary, byte_level, characters, words
from rnnjax.data.windows import Windows, windows

__all__ = [
    "SILENT",
    "Batch",
    "Vocabulary",
    "Windows",
    "batches",
    "bible",
    "byte_level",
    "characters",
    "delayed_xor",
    "keep",
    "pad",
    "read",
    "split",
    "windows",
    "words",
]
