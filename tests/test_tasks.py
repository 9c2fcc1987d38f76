"""Every task: a recipe of a page that runs, keeps its result and goes on; and Zaremba's training, step for step."""

import contextlib
import dataclasses
import io
import json
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.cli import main
from rnnjax.tasks import TASKS, kept, zaremba
from rnnjax.tasks.asked import module
from rnnjax.tasks.recipe import mean, shuffled, whole
from rnnjax.train.run import Run

ELSEWHERE = {"images": ("--dataset", "digits")}
if font := os.environ.get("RNNJAX_FONT"):
    ELSEWHERE["emoji"] = "--data", font
TEXT = "the cat sat on the mat\nthe dog sat on the cat <unk> N\n"


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(map(str, arguments)))
    return code, out.getvalue(), err.getvalue()


@pytest.mark.parametrize("task", TASKS)
def test_smoke(task, tmp_path, monkeypatch):
    """Its data may be missing on this machine, which is said; not so if the task is named in `RNNJAX_DATA`."""
    monkeypatch.chdir(tmp_path)
    code, _, err = run("train", task, "--smoke", "--name", "smoke")
    if "the data must be there" in err and task in ELSEWHERE:
        code, _, err = run("train", task, "--smoke", "--name", "smoke", *ELSEWHERE[task])
    if "the data must be there" in err and task not in os.environ.get("RNNJAX_DATA", "").split():
        pytest.skip(err.splitlines()[-1])
    assert code == 0, err
    result = json.loads(Path("runs/smoke/result.json").read_text())
    assert result["task"] == task and result["better"] in ("lower", "higher")
    assert result["unit"] in result["test"] and all(map(np.isfinite, result["test"].values()))
    assert result["baselines"], "a task is held against a simple model"
    assert Path("runs/smoke/curve.png").stat().st_size > 5000
    again = kept.reopen(Run("runs/smoke"))
    first, second = (jax.tree.leaves(again.batch_at(1)) for _ in range(2))
    assert all((np.asarray(a) == np.asarray(b)).all() for a, b in zip(first, second)), "a function of the step alone"


@pytest.mark.parametrize("task", TASKS)
def test_a_recipe_is_a_page_and_every_option_says_what_it_is(task):
    page = module(task)
    assert len(Path(page.__file__).read_text().splitlines()) <= 150
    asked = page.Config(**page.SMOKE)
    assert asked != page.Config()
    for field in dataclasses.fields(asked):
        assert not isinstance(getattr(asked, field.name), tuple), "JSON would make a list of it"
    assert page.Config.__doc__.count(".") >= 1


def test_shuffled_gives_each_once_an_epoch_in_another_order():
    at = shuffled(10, 4, seed=3)
    first, second = np.split(np.concatenate([at(step) for step in range(5)]), 2)
    assert sorted(first) == sorted(second) == list(range(10))
    assert (first != second).any()
    assert (shuffled(10, 4, seed=3)(4) == at(4)).all() and (shuffled(10, 4, seed=4)(0) != at(0)).any()


def test_mean_counts_entries_and_not_padding():
    def judge(params, x, keep):
        return {"b": (params * x, keep), "a": x, "right": (x > 1, keep)}

    batches = [(np.array([1.0, 2.0, 9.0]), np.array([True, True, False])), (np.array([6.0]), np.array([True]))]
    assert mean(judge, 2.0, batches) == {"b": 6.0, "a": 4.5, "right": pytest.approx(2 / 3)}
    broken = mean(judge, np.nan, batches)
    assert np.isnan(broken["b"]) and broken["a"] == 4.5, "what is not a number is not taken for padding"


def test_whole_differentiates_and_draws_anew():
    gradient = whole(lambda params, key, x: params**2 * x + jax.random.normal(key))
    key = jax.random.key(0)
    value, slope, after = gradient(3.0, key, (2.0,))
    again, _, _ = gradient(3.0, after, (2.0,))
    assert slope == 12.0 and value != again and value == gradient(3.0, key, (2.0,))[0]


# Zaremba


def small(tmp_path, **options):
    for part, times in ("train", 60), ("valid", 5), ("test", 5):
        (tmp_path / f"ptb.{part}.txt").write_text(TEXT * times)
    return zaremba.Config(data=str(tmp_path), batch=2, m=5, window=4, **options)


def test_zaremba_learns_by_clipped_sgd_on_the_sum_whose_rate_falls_by_the_epoch():
    config = zaremba.Config(lr=2.0, clip=5.0, window=20, flat=2, decay=4.0)
    optimizer = zaremba.optimizer(config, epoch=3)
    params = jnp.zeros(2)
    state = optimizer.init(params)
    for step in range(12):
        slope = jnp.array([0.3, 0.4]) * (1 if step % 2 else 0.1)  # of the mean: norms 0.5 and 0.05, of the sum 10 and 1
        update, state = optimizer.update(slope, state, params)
        rate = 2.0 / 4.0 ** max(step // 3 + 1 - 2, 0)
        norm = 5.0 if step % 2 else 1.0
        np.testing.assert_allclose(update, -rate * norm * np.array([0.6, 0.8]), rtol=1e-5)


def test_zaremba_starts_uniform_and_afresh_at_each_epoch(tmp_path):
    config = small(tmp_path, spread=0.03)
    recipe = zaremba.recipe(config)
    params = recipe.init(jax.random.key(0))
    numbers = np.concatenate([np.ravel(p) for p in jax.tree.leaves(params)])
    assert np.abs(numbers).max() <= 0.03 and np.abs(numbers).max() > 0.029
    assert abs(numbers.std() - 0.03 / 3**0.5) < 1e-3
    path = tmp_path / "run"
    _, recipe = kept.create(path, "zaremba", dataclasses.replace(config, steps=3, every=3))
    ones = jax.tree.map(jnp.ones_like, recipe.start(params))
    epoch = (len(TEXT.split()) + TEXT.count("\n")) * 60 // 2 - 1
    training = kept.begin(recipe, recipe.optimizer, jax.random.key(0))._replace(state=ones)
    for step in range(2 * (epoch // 4) + 1):
        state = recipe.restart(step, training).state
        fresh = step % (epoch // 4) == 0
        assert all((np.asarray(s) == (0 if fresh else 1)).all() for s in jax.tree.leaves(state))


def test_zaremba_perplexity_is_that_of_every_word_but_the_first(tmp_path):
    config = small(tmp_path)
    recipe = zaremba.recipe(config)
    params = recipe.init(jax.random.key(0))
    zero = jax.tree.map(jnp.zeros_like, params)
    words = len(set(TEXT.split())) + 1
    assert recipe.measure(zero, "test")["perplexity"] == pytest.approx(words, rel=1e-5)
    assert recipe.baselines("test")["5-gram Kneser-Ney"] < 2, "a text that repeats is easy"


@pytest.mark.parametrize("size", ["zaremba_medium", "zaremba_large"])
def test_zaremba_with_dropout_is_noisy_in_training_only(tmp_path, size):
    config = dataclasses.replace(module(size).Config(), **vars(small(tmp_path)) | dict(dropout=0.5))
    recipe = zaremba.recipe(config)
    params = recipe.init(jax.random.key(0))
    assert recipe.measure(params, "valid") == recipe.measure(params, "valid")
    losses = {
        float(recipe.gradient(params, recipe.start(params, key=jax.random.key(k)), recipe.batch_at(0))[0])
        for k in (0, 1)
    }
    assert len(losses) == 2
