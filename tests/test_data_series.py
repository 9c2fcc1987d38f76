"""Series with a class each, and long records: what the file says, in parts that follow the archive's or time."""

import gzip

import numpy as np
import pytest
from real_data import installed

from rnnjax.data import co2, gunpoint, italy_power_demand, japanese_vowels, monthly_sunspots, series, sunspots

aeon = pytest.mark.skipif(not installed("aeon"), reason="pip install --no-deps aeon==1.6.0")
HEADER = "# about\n@problemName Two\n@timeStamps false\n@univariate false\n@classLabel true b a\n@data\n"


def test_a_series_has_its_own_length_and_its_class_by_place(tmp_path):
    file = tmp_path / "two.ts"
    file.write_text(HEADER + "1,2,3:-4,5e-1,6:a\n\n7:?:b\n")
    xs, labels = series(file)
    np.testing.assert_array_equal(xs[0], [[1, -4], [2, 0.5], [3, 6]])
    np.testing.assert_array_equal(xs[1], [[7, np.nan]])
    assert [x.dtype for x in xs] == [np.float32] * 2 and labels.dtype == np.int32
    np.testing.assert_array_equal(labels, [1, 0])


@pytest.mark.parametrize(
    "text, message",
    [
        (HEADER + "1,2:3:a\n", r"columns of numbers as long as each other and a class of \['b', 'a'\], but line 7 of"),
        (HEADER + "1,2:3,x:a\n", "but line 7 of .*two.ts is '1,2:3,x:a'. Check the file"),
        (HEADER + "1,2:3,4:c\n", "but line 7 of .*two.ts is '1,2:3,4:c'"),
        (HEADER + "a\n", "but line 7 of .*two.ts is 'a'"),
        (HEADER.replace("timeStamps false", "timeStamps true"), "must be without time stamps, but .* has them. Remove"),
        (HEADER.replace("classLabel true", "classLabel false"), "must have classes, but .* has no @classLabel true"),
    ],
)
def test_series_refuse(tmp_path, text, message):
    file = tmp_path / "two.ts"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        series(file)


def test_series_need_a_file(tmp_path):
    with pytest.raises(ValueError, match=r"series: path must exist, but .*two.ts does not. Check its spelling"):
        series(tmp_path / "two.ts")


def test_every_fifth_is_for_validation(tmp_path):
    for part, first in (("TRAIN", 0), ("TEST", 100)):
        rows = "".join(f"{i}:{i}:{'ab'[i % 2]}\n" for i in range(first, first + 11))
        (tmp_path / f"JapaneseVowels_{part}.ts").write_text(HEADER + rows)
    parts = japanese_vowels(tmp_path)
    numbers = [[int(x[0, 0]) for x in part.xs] for part in parts]
    assert numbers == [[0, 1, 2, 3, 5, 6, 7, 8, 10], [4, 9], [*range(100, 111)]]
    for part, xs in zip(parts, numbers):
        np.testing.assert_array_equal(part.labels, 1 - np.array(xs) % 2)
    with pytest.raises(ValueError, match=r"series: path must exist, but .*GunPoint_TRAIN.ts does not"):
        gunpoint(tmp_path)


@aeon
def test_the_japanese_vowels():
    parts = japanese_vowels()
    assert [(len(part.xs), len(part.labels)) for part in parts] == [(216, 216), (54, 54), (370, 370)]
    assert all(x.shape[1] == 12 for part in parts for x in part.xs)
    lengths = [len(x) for part in parts for x in part.xs]
    assert (min(lengths), max(lengths)) == (7, 29)
    for part, each in zip(parts, (9 * [24], 9 * [6], [31, 35, 88, 44, 29, 24, 40, 50, 29])):
        np.testing.assert_array_equal(np.bincount(part.labels), each)


@aeon
@pytest.mark.parametrize("load, sizes, T", [(italy_power_demand, [54, 13, 1029], 24), (gunpoint, [40, 10, 150], 150)])
def test_the_even_ones(load, sizes, T):
    parts = load()
    assert [len(part.xs) for part in parts] == sizes
    for part in parts:
        xs = np.stack(part.xs)
        assert xs.shape[1:] == (T, 1) and set(part.labels) == {0, 1}
        np.testing.assert_allclose(xs.mean(1), 0, atol=1e-4)
        np.testing.assert_allclose(xs.std(1, ddof=1), 1, atol=1e-3)


# records


def follows(parts, step):
    """Hold the parts to be one even record, cut in three."""
    times = np.concatenate([part.times for part in parts])
    assert (np.diff(times) == step).all()
    for part in parts:
        assert len(part.times) == len(part.values) == len(part.known) and part.values.dtype == np.float32
        assert np.isfinite(part.values).all() and part.known.dtype == bool
    return [(str(part.times[0]), len(part.times)) for part in parts]


def test_sunspots():
    parts = sunspots()
    assert follows(parts, np.timedelta64(1, "Y")) == [("1700", 221), ("1921", 35), ("1956", 53)]
    assert all(part.known.all() for part in parts)
    np.testing.assert_array_equal(parts.test.values[[0, 1, -1]], np.float32([141.7, 190.2, 2.9]))


def test_an_autoregression_of_nine_years_errs_as_said():
    parts = sunspots()
    values = np.concatenate([part.values for part in parts]).astype(np.float64)
    past = np.column_stack([values[9 - k : -k] for k in range(1, 10)] + [np.ones(len(values) - 9)])
    weights = np.linalg.lstsq(past[:212], values[9:221], rcond=None)[0]
    errors = (past @ weights - values[9:]) ** 2
    np.testing.assert_allclose(np.sqrt([errors[212:247].mean(), errors[247:].mean()]), [13.8, 19.5], atol=0.05)


def test_co2_is_never_told_from_what_comes_after(tmp_path):
    file = tmp_path / "co2.csv"
    file.write_text("date,co2\n19891223,350.5\n19891230,\n19900106,\n19900113,351\n19950107,\n19950114,360\n")
    train, valid, test = co2(file)
    np.testing.assert_array_equal(train.values, np.float32([350.5, 350.5]))
    np.testing.assert_array_equal(valid.values, np.float32([350.5, 351]))
    np.testing.assert_array_equal(test.values, np.float32([351, 360]))
    assert [part.known.tolist() for part in (train, valid, test)] == [[True, False], [False, True], [False, True]]
    assert str(test.times[0]) == "1995-01-07"
    file.write_text("day,ppm\n")
    with pytest.raises(ValueError, match=r"co2: path must begin date,co2, but .* begins \['day,ppm'\]. Give co2.csv"):
        co2(file)


@pytest.mark.skipif(not installed("statsmodels"), reason="pip install --no-deps statsmodels")
def test_the_co2():
    parts = co2()
    assert follows(parts, np.timedelta64(7, "D")) == [("1958-03-29", 1658), ("1990-01-06", 261), ("1995-01-07", 365)]
    assert sum((~part.known).sum() for part in parts) == 59
    assert 310 < parts.train.values.min() < 320 and 370 < parts.test.values.max() < 375


def test_monthly_sunspots_are_each_month_in_turn(tmp_path):
    file = tmp_path / "sunspots.txt.gz"
    file.write_bytes(gzip.compress(" ".join(map(str, range(2820))).encode()))
    parts = monthly_sunspots(file)
    begins = [("1749-01", 2064), ("1921-01", 420), ("1956-01", 336)]
    assert follows(parts, np.timedelta64(1, "M")) == begins
    np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), np.arange(2820))
    for content in (b"1 2", gzip.compress(b"1 2")):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"monthly_sunspots: path must hold 2820 numbers, but .* does not. Give"):
            monthly_sunspots(file)


@pytest.mark.skipif(not installed("pmdarima"), reason="pip install --no-deps pmdarima")
def test_the_monthly_sunspots_are_the_yearly_ones():
    months = np.concatenate([part.values for part in monthly_sunspots()]).reshape(235, 12).mean(1)
    years = np.concatenate([part.values for part in sunspots()])[49:284]
    assert np.median(np.abs(months - years)) < 0.05 and np.abs(months - years).max() < 2
