"""From a recipe to a trained model: the whole of a run, in one page."""

import contextlib
import math
import time

import jax
from rich.console import Console

from rnnjax.tasks.recipe import Recipe
from rnnjax.train import begin, fit, update
from rnnjax.train.curve import curve
from rnnjax.train.interrupt import interruptible
from rnnjax.train.processes import together
from rnnjax.train.progress import progress
from rnnjax.train.run import Run


def learn(run: Run, recipe: Recipe, console: Console) -> bool:
    """Train a run from its newest checkpoint, or the start, to its last step; False if interrupted on the way.

    Either way the run has a checkpoint of where it stopped, from which it goes on as if it had never stopped.
    """
    options = run.config["options"]
    steps, every = options["steps"], options["every"]
    training = begin(recipe, recipe.optimizer, jax.random.key(options["seed"]))
    if run.checkpoints.latest is not None:
        training = run.checkpoints.load(training)
    run.rewind(int(training.step))
    one_step = update(recipe.gradient, recipe.optimizer)
    baselines = recipe.baselines("valid")
    introduce(console, recipe, training, steps, baselines)

    def tell(done, metrics):
        loss = recipe.scale * float(metrics.loss)
        if not math.isfinite(loss):
            raise ValueError(f"train: the loss must be finite, but at step {done} it is {loss}. Lower --lr or --clip.")
        advance(**{recipe.loss_unit.partition(" ")[0]: loss})
        if done % 10 == 0:
            run.log(step=done, train=loss, gradient=float(metrics.gradient), seconds=seconds())

    def seconds():
        return round(time.time() - began, 1)

    done, waiting, began = int(training.step), [], time.time() - run.seconds
    with drawn(run, recipe, baselines), interruptible() as asked, progress(console, steps, done) as advance:
        interrupted = together(asked)
        for training, metrics in fit(
            one_step, training, lambda n: (recipe.batch_at(n),), steps, restart=recipe.restart
        ):
            done += 1
            stop, measure = interrupted(), done % every == 0 or done == steps
            waiting.append((done, metrics))
            while len(waiting) > (0 if stop or measure else 1):  # the newest step is still running: tell the one before
                tell(*waiting.pop(0))
            if measure:
                found = recipe.measure(training.params, "valid")
                if not all(map(math.isfinite, found.values())):
                    raise ValueError(
                        f"train: what is measured must be finite, but at step {done} it is not. Lower --lr."
                    )
                console.print(f"step {done:,} of {steps:,}: {said(found)}, held out")
                run.log(step=done, valid=found.pop(recipe.unit), seconds=seconds(), **found)
            if stop or measure:  # after the log, so that whatever a checkpoint has seen is in the metrics
                run.checkpoints.save(training)
            if stop and done < steps:
                return False
    return True


def said(found: dict[str, float]) -> str:
    """Metrics in words."""
    return ", ".join(f"{value:.3f} {unit}" for unit, value in found.items())


def introduce(console, recipe, training, steps, baselines):
    """Say what is about to be learned, by what, and what it has to beat."""
    count = sum(p.size for p in jax.tree.leaves(training.params))
    console.print(
        f"{recipe.about}\nmodel: {recipe.model}, {count:,} parameters, from step {int(training.step):,} to {steps:,}"
    )
    for label, value in baselines.items():
        console.print(f"to beat: {label}, {value:.3f} {recipe.unit}, held out")


@contextlib.contextmanager
def drawn(run: Run, recipe: Recipe, baselines: dict[str, float]):
    """However training ends, leave its learning curve in the run's folder."""
    try:
        yield
    finally:
        curve(
            run.path / "curve.png", run.metrics(), unit=recipe.unit, loss_unit=recipe.loss_unit, title=run.path.name,
            baselines={f"{label}, held out": value for label, value in baselines.items()},
        )  # fmt: skip
