"""A task's run on disk: begun, found again, and its result."""

import contextlib
import datetime
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import cast

import jax

import rnnjax
from rnnjax.cell import Cell
from rnnjax.data import Vocabulary
from rnnjax.tasks import language
from rnnjax.tasks.asked import asked, module
from rnnjax.tasks.config import Config
from rnnjax.tasks.options import Options
from rnnjax.tasks.recipe import Recipe
from rnnjax.train import Training, begin
from rnnjax.train.disk import replace
from rnnjax.train.run import Run


def create(path, name: str, options: Options, *, say=None) -> tuple[Run, Recipe]:
    """A new run of a task in the folder `path`, its data read."""
    recipe, plain = asked(name, options), asdict(options)
    paths = {key: str(Path(plain[key]).absolute()) for key in ("text", "data") if plain.get(key)}
    return Run.create(path, {"task": name, "options": plain | paths, **recipe.fixed}, say=say), recipe


@contextlib.contextmanager
def understood(run: Run):
    """Within it a config that is not as `create` wrote it is a `ValueError` that says so."""
    try:
        yield
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"train: a run's config must be as rnnjax wrote it, but {run.path}/config.json is not: {error}. Restore it."
        ) from error


def options(run: Run) -> Options:
    """What a run was asked for."""
    with understood(run):
        return module(run.config["task"]).Config(**run.config["options"])


def reopen(run: Run) -> Recipe:
    """The recipe of a run. Raises `ValueError` if its config is not as `create` wrote it, or its data have changed."""
    config = options(run)
    recipe = asked(run.config["task"], config)
    unchanged(run, recipe.fixed)
    return recipe


def unchanged(run: Run, fixed: Mapping) -> None:
    """Refuse to go on with data that are not those of the run."""
    for key, value in fixed.items():
        if run.config.get(key) != value:
            raise ValueError(
                f"train: the data must be as when the run began, but the {key} of {run.path} is another. Restore them."
            )


def trained(run: Run, recipe: Recipe | language.Learner, *, best: bool = False) -> Training:
    """A run's newest checkpoint, or its best."""
    like = jax.eval_shape(lambda: begin(recipe, recipe.optimizer, jax.random.key(0)))  # costs no compiling
    return run.checkpoints.load(like, best=best)


def language_model(where: str, run: Run, *, best: bool = False) -> tuple[Cell, Vocabulary, object]:
    """The network, vocabulary and trained params of a run of the task `language`, without its text."""
    config = cast(Config, options(run))
    if run.config["task"] != "language":
        raise ValueError(f"{where}: the run must be of the task language, but it is of {run.config['task']}.")
    with understood(run):
        vocabulary = Vocabulary.from_json(run.config["vocabulary"])
    training = trained(run, language.learner(config, len(vocabulary)), best=best)
    return language.model(config, len(vocabulary)), vocabulary, training.params


def result(run: Run, recipe: Recipe, training: Training) -> dict:
    """What came out, on the test part, and how."""
    params = training.params
    return {
        "task": run.config["task"],
        "options": run.config["options"],
        "step": int(training.step),
        "model": recipe.model,
        "params": sum(p.size for p in jax.tree.leaves(params)),
        "unit": recipe.unit,
        "better": recipe.better,
        "test": recipe.measure(params, "test"),
        "baselines": recipe.baselines("test"),
        "published": dict(recipe.published),
        "seconds": run.seconds,
        "versions": {"python": platform.python_version(), "jax": jax.__version__, "rnnjax": rnnjax.__version__},
        "date": str(datetime.date.today()),
        "device": jax.devices()[0].device_kind,
    }


def finish(run: Run, recipe: Recipe, training: Training) -> dict:
    """The result of a run at its last step, kept in its result.json."""
    found = result(run, recipe, training)
    replace(run.path / "result.json", json.dumps(found, indent=2) + "\n")
    return found
