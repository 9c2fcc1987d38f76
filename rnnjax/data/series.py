"""Sequences of measurements with a class each, in the .ts format of the UCR and UEA archives."""

from pathlib import Path

import numpy as np

from rnnjax.data.parts import Labelled, Parts
from rnnjax.data.source import source, text
from rnnjax.types import Location

PACKAGE = "aeon==1.6.0"


def series(path: Location) -> Labelled:
    """The sequences of one .ts file, and their classes.

    xs is a list of N arrays float32 (T_i, features), time leading, of lengths of their own; labels are int32 (N,), the
    places of the classes in the file's @classLabel line. A missing value, written as ?, is NaN. Of the format, what
    has time stamps or no classes is refused.

    Raises ValueError if `path` does not exist, or for a line that is not of the format.

    The format: https://www.aeon-toolkit.org/en/stable/api_reference/data_format.html
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"series: path must exist, but {path} does not. Check its spelling.")
    lines = list(enumerate(text("series", path).splitlines(), 1))
    header = {}
    for _, line in lines:
        if line.startswith("@"):
            name, _, value = line[1:].partition(" ")
            header[name.lower()] = value.split()
    if (header.get("timestamps") or ["false"])[0].lower() != "false":
        raise ValueError(f"series: sequences must be without time stamps, but {path} has them. Remove them.")
    if (header.get("classlabel") or ["false"])[0].lower() != "true":
        raise ValueError(f"series: sequences must have classes, but {path} has no @classLabel true. Use another file.")
    classes = {name: i for i, name in enumerate(header["classlabel"][1:])}
    rows = [_row(path, at, line, classes) for at, line in lines if line.strip() and line[0] not in "#@"]
    return Labelled([x for x, _ in rows], np.array([label for _, label in rows], np.int32))


def _row(path, at, line, classes):
    *columns, label = line.strip().split(":")
    try:
        x = np.array([[np.nan if v == "?" else _finite(v) for v in c.split(",")] for c in columns], np.float32)
        return x.T.reshape(-1, len(columns)), classes[label.strip()]
    except (ValueError, KeyError):
        raise ValueError(
            f"series: a line must be columns of numbers as long as each other and a class of {list(classes)}, but line "
            f"{at} of {path} is {line[:30]!r}. Check the file."
        ) from None


def _finite(value):
    number = float(value)
    if not abs(number) < 3e38:
        raise ValueError(value)
    return number


def japanese_vowels(path: Location | None = None) -> Parts:
    """Nine men say the vowels /ae/: which one is it? Real speech of 7 to 29 steps.

    `Parts` of `Labelled`: xs a list of arrays float32 (T, 12), cepstral coefficients of each frame; labels int32 (N,)
    of 0..8. The archive's test part has 370; of its 270 others every fifth, 6 of each speaker, is the validation part.

    `path` is a folder with JapaneseVowels_TRAIN.ts and _TEST.ts, by default that of the installed aeon, which is not
    imported. Raises ValueError as `series` does.

    Kudo, Toyama & Shimbo 1999, https://doi.org/10.1016/S0167-8655(99)00077-X. Accuracy as reported by
    Karim et al. 2019, https://arxiv.org/abs/1801.04503, trained on all 270: MLSTM-FCN 0.976, and nearest neighbour
    under dynamic time warping 0.949.
    """
    return _archived("japanese_vowels", "JapaneseVowels", path)


def italy_power_demand(path: Location | None = None) -> Parts:
    """A day's demand for electricity, hour by hour: is it from October to March, or from April to September?

    `Parts` of `Labelled` as in `japanese_vowels`: 54, 13 and 1 029 arrays float32 (24, 1), each of mean 0 and variance
    1, and labels of 0..1.

    Keogh et al. 2006, Intelligent icons; https://www.timeseriesclassification.com/description.php?Dataset=ItalyPowerDemand
    """
    return _archived("italy_power_demand", "ItalyPowerDemand", path)


def gunpoint(path: Location | None = None) -> Parts:
    """The place of a hand over five seconds: does it draw a gun, or point a finger?

    `Parts` of `Labelled` as in `japanese_vowels`: 40, 10 and 150 arrays float32 (150, 1), each of mean 0 and variance
    1, and labels of 0..1.

    Ratanamahatana & Keogh 2005, https://doi.org/10.1137/1.9781611972757.50
    """
    return _archived("gunpoint", "GunPoint", path)


def _archived(where, name, path):
    terms = f"{name} of the UCR and UEA archives; its terms are those of its donors."
    folder = source(where, path, package=PACKAGE, inside=f"aeon/datasets/data/{name}", terms=terms)
    xs, labels = series(folder / f"{name}_TRAIN.ts")
    held = np.arange(len(xs)) % 5 == 4
    train, valid = (Labelled([xs[i] for i in np.flatnonzero(part)], labels[part]) for part in (~held, held))
    return Parts(train, valid, series(folder / f"{name}_TEST.ts"))
