"""Parts that never change, data that is not shipped, and the made-up tasks with what is known of them."""

from importlib import metadata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnjax.data import BLANK, MARKER, adding, copying, divide
from rnnjax.data.source import say, source, stored

# parts


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("abcd", max_size=2), min_size=1, max_size=60), st.floats(0, 0.5), st.floats(0, 0.5))
def test_no_key_is_in_two_parts_and_no_item_is_lost(keys, valid, test):
    parts = divide(range(len(keys)), keys, valid=valid, test=test)
    assert sorted(i for part in parts for i in part) == list(range(len(keys)))
    assert all(part == sorted(part) for part in parts)
    owners = [{keys[i] for i in part} for part in parts]
    assert len(set().union(*owners)) == sum(map(len, owners))
    largest = max(map(keys.count, keys))
    assert round(len(keys) * test) <= len(parts.test) < round(len(keys) * test) + largest
    assert (test > 0 or not parts.test) and len(parts.valid) < round(len(keys) * valid) + largest


def test_parts_follow_the_keys_and_not_their_order():
    keys = [f"piece {i}" for i in range(50)]
    one = divide(keys, keys, valid=0.2, test=0.1)
    other = divide(keys[::-1], [key.encode() for key in keys[::-1]], valid=0.2, test=0.1)
    assert [sorted(part) for part in other] == [sorted(part) for part in one]
    assert [len(part) for part in one] == [35, 10, 5]
    assert one.test == ["piece 13", "piece 17", "piece 37", "piece 42", "piece 46"]


# where data is


def test_source_reads_from_a_package_that_is_not_imported(capsys):
    say.cache_clear()
    for _ in range(2):
        found = source("here", None, package="pytest", inside="_pytest/python.py", terms="as you like.")
        assert found.read_text().startswith("#") or "import" in found.read_text()
    assert capsys.readouterr().err == "here: as you like.\n"
    with pytest.raises(
        ValueError, match=r"but nothing-of-the-kind==1 is not installed. Run pip install --no-deps nothing"
    ):
        source("here", None, package="nothing-of-the-kind==1", terms="")
    with pytest.raises(ValueError, match=r"the package must be pytest, but it has no nowhere.txt. Run pip"):
        source("here", None, package="pytest", inside="nowhere.txt", terms="")
    assert metadata.version("pytest")


def test_stored_is_in_its_place_or_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    say.cache_clear()
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = dict(default="~/kept.txt", get="touch ~/kept.txt", terms="yours.")
    with pytest.raises(
        ValueError, match=r"here: the data must be there, but .*kept.txt is not. Run touch ~/kept.txt, or"
    ):
        stored("here", None, **asked)
    (tmp_path / "kept.txt").write_text("kept")
    assert stored("here", None, **asked).read_text() == "kept"
    assert capsys.readouterr().err == "here: yours.\n"
    (tmp_path / "mine.txt").write_text("mine")
    assert stored("here", tmp_path / "mine.txt", **asked).read_text() == "mine"
    with pytest.raises(ValueError, match=r"here: path must exist, but .*other.txt does not. Check its spelling"):
        stored("here", str(tmp_path / "other.txt"), **asked)


# made up


@pytest.mark.parametrize("T", [2, 3, 10])
def test_adding_marks_one_in_each_half(T):
    xs, targets = adding(batch=400, T=T, seed=3)
    assert xs.shape == (T, 400, 2) and xs.dtype == targets.dtype == np.float32 and targets.shape == (400,)
    numbers, marks = xs[..., 0], xs[..., 1]
    np.testing.assert_array_equal(marks[: T // 2].sum(0), 1)
    np.testing.assert_array_equal(marks[T // 2 :].sum(0), 1)
    assert (marks.sum(1) > 0).all() and (marks.sum(0) == 2).all() and set(np.unique(marks)) <= {0, 1}
    expected = [sum(numbers[t, b] for t in range(T) if marks[t, b]) for b in range(400)]
    np.testing.assert_allclose(targets, expected, rtol=1e-6)


def test_who_always_says_one_is_a_sixth_wrong():
    _, targets = adding(batch=200_000, T=4)
    assert abs(targets.mean() - 1) < 0.004 and abs(np.mean((targets - 1) ** 2) - 1 / 6) < 0.002


@pytest.mark.parametrize("lag", [1, 7])
def test_copying_says_again_what_it_saw(lag):
    xs, targets = copying(batch=500, lag=lag, seed=3)
    assert xs.shape == targets.shape == (lag + 20, 500) and xs.dtype == targets.dtype == np.int32
    np.testing.assert_array_equal(targets[-10:], xs[:10])
    np.testing.assert_array_equal(np.unique(xs[:10], return_counts=True)[0], np.arange(8))
    assert (targets[:-10] == BLANK).all()
    assert (xs[lag + 9] == MARKER).all() and (xs[10:] == MARKER).sum() == 500
    assert (np.delete(xs[10:], lag - 1, 0) == BLANK).all()
    chances = np.full(lag + 20, 1.0)
    chances[-10:] = 1 / 8
    np.testing.assert_allclose(-np.log(chances).mean(), 10 * np.log(8) / (lag + 20))


@pytest.mark.parametrize("make, size", [(adding, dict(T=5)), (copying, dict(lag=5))])
def test_another_seed_is_another_batch(make, size):
    one, again, other = (make(batch=3, seed=seed, **size) for seed in (1, 1, [1, 2]))
    for a, b in zip(one, again):
        np.testing.assert_array_equal(a, b)
    assert (one[0] != other[0]).any()


def test_made_up_errors():
    with pytest.raises(ValueError, match=r"adding: each half must have a step to mark, but T is 1. Use 2 or more"):
        adding(batch=2, T=1)
    with pytest.raises(ValueError, match=r"adding: batch must be a positive int, but batch is 0. Give a Python int"):
        adding(batch=0, T=5)
    with pytest.raises(ValueError, match=r"copying: lag must be a positive int, but lag is 0. Give a Python int"):
        copying(batch=2, lag=0)
