"""Long records of one quantity, to be told ahead: sunspots, and carbon dioxide in the air."""

import gzip
import zlib
from importlib import resources
from typing import NamedTuple

import numpy as np

from rnnjax.data.finite import finite
from rnnjax.data.parts import Parts
from rnnjax.data.source import source, text
from rnnjax.types import Location


class Record(NamedTuple):
    """A quantity over time, at even steps.

    - `times`: datetime64 (T,).
    - `values`: float32 (T,); where nothing was measured, the value before.
    - `known`: bool (T,), whether it was measured.
    """

    times: np.ndarray
    values: np.ndarray
    known: np.ndarray


def sunspots() -> Parts:
    """The mean number of sunspots of each year, 1700 to 2008: shipped with the library.

    `Parts` of `Record`s that follow one another, 221, 35 and 53 years: 1700 to 1920, to 1955 and to 2008, so that the
    first two are those of Weigend, Huberman & Rumelhart 1990, https://doi.org/10.1142/S0129065790000102. A
    linear autoregression of the 9 years before, fitted to the first, is the classical baseline: its root mean squared
    error is 13.8 spots on the second and 19.5 on the third.

    In the public domain: the series of the Royal Observatory of Belgium (SILSO, https://www.sidc.be/SILSO) before its
    revision of 2015, as NOAA's National Geophysical Data Center gave it and statsmodels 0.15.0 passes it on,
    unchanged, in `datasets/sunspots/sunspots.csv`.

        >>> sunspots().train.values[:4]
        array([ 5., 11., 16., 23.], dtype=float32)
    """
    lines = resources.files("rnnjax.data").joinpath("sunspots.csv").read_text("utf-8").splitlines()
    rows = [line.split(",") for line in lines[1:]]
    return _parted("sunspots", [year for year, _ in rows], [number for _, number in rows], "Y", "1921", "1956")


def monthly_sunspots(path: Location | None = None) -> Parts:
    """The mean number of sunspots of each month, 1749 to 1983.

    `Parts` of `Record`s of 2 064, 420 and 336 months, that begin in 1749, 1921 and 1956.

    `path` is sunspots.txt.gz, by default that of the installed pmdarima, which is not imported. Raises ValueError if
    it is missing or holds other than 2 820 numbers.

    Andrews & Herzberg 1985, https://doi.org/10.1007/978-1-4612-5098-2, as in R's `sunspots`
    """
    terms = "from pmdarima (MIT), which states no terms for the numbers."
    inside = "pmdarima/datasets/data/sunspots.txt.gz"
    found = source("monthly_sunspots", path, package="pmdarima", inside=inside, terms=terms)
    try:
        numbers = np.array(gzip.decompress(found.read_bytes()).decode().split(), np.float32).reshape(2820)
    except (OSError, EOFError, ValueError, zlib.error):
        rule = "path must hold 2820 numbers"
        raise ValueError(f"monthly_sunspots: {rule}, but {found} does not. Give sunspots.txt.gz.") from None
    return _parted("monthly_sunspots", np.datetime64("1749-01") + np.arange(2820), numbers, "M", "1921-01", "1956-01")


def co2(path: Location | None = None) -> Parts:
    """Carbon dioxide in the air over Mauna Loa, in parts of a million, each week from March 1958 to December 2001.

    `Parts` of `Record`s of 1 658, 261 and 365 weeks, that begin in 1958, 1990 and 1995. 59 weeks were not measured:
    `known` is false there, and the value is that of the week before, so that nothing is told from what comes after.

    `path` is co2.csv, by default that of the installed statsmodels, which is not imported. Raises ValueError if it is
    missing or has no such column.

    Keeling & Whorf 2004, Atmospheric CO2 concentrations derived from flask air samples at sites in the SIO network, Oak
    Ridge National Laboratory; in the public domain
    """
    inside = "statsmodels/datasets/co2/co2.csv"
    terms = "by Keeling & Whorf 2004, in the public domain."
    found = source("co2", path, package="statsmodels", inside=inside, terms=terms)
    lines = text("co2", found).split()
    if lines[:1] != ["date,co2"]:
        raise ValueError(f"co2: path must begin date,co2, but {found} begins {lines[:1]}. Give co2.csv.")
    try:
        rows = [line.split(",") for line in lines[1:]]
        days = [f"{day[:4]}-{day[4:6]}-{day[6:]}" for day, _ in rows]
        return _parted("co2", days, [float(value or "nan") for _, value in rows], "D", "1990-01-01", "1995-01-01")
    except ValueError:
        raise ValueError(f"co2: a line must be a day and a number, but {found} has another. Give co2.csv.") from None


def _parted(where, times, values, unit, valid, test):
    times, values = np.array(times, f"datetime64[{unit}]"), np.array(values, np.float32)
    known = ~np.isnan(values)
    latest = np.maximum.accumulate(np.where(known, np.arange(len(values)), 0))
    finite(where, "values", [values[latest]])
    begins = np.searchsorted(times, np.array([valid, test], times.dtype))
    return Parts(*map(Record, *(np.split(a, begins) for a in (times, values[latest], known))))
