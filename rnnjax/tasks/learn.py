"""From a recipe to a trained model: the whole of a run, in one page."""

import contextlib
import math
import shlex
import time

import jax
from rich.console import Console

from rnnjax.tasks.kept import understood
from rnnjax.tasks.recipe import Recipe
from rnnjax.tasks.watch import Watch, check_sound
from rnnjax.train import begin, fit, update
from rnnjax.train.curve import curve
from rnnjax.train.disk import ready
from rnnjax.train.feed import feed
from rnnjax.train.interrupt import interruptible
from rnnjax.train.leaves import size
from rnnjax.train.processes import leads, together
from rnnjax.train.progress import progress
from rnnjax.train.run import Run


def learn(run: Run, recipe: Recipe, console: Console) -> bool:
    """Train a run from its newest checkpoint, or the start, to its last step; False if interrupted on the way.

    Either way the run has a checkpoint of where it stopped, from which it goes on as if it had never stopped.
    """
    with interruptible() as asked:  # from the first moment on: within JAX's own code a KeyboardInterrupt may be lost
        return _learn(run, recipe, console, together(asked))


def _learn(run, recipe, console, interrupted):
    checkpoints = run.checkpoints
    with understood(run):
        steps, every, seed = (run.config["options"][name] for name in ("steps", "every", "seed"))
    training = begin(recipe, recipe.optimizer, jax.random.key(seed))
    if leads():
        ready(run.path, (checkpoints.keep + 2 - len(checkpoints.steps)) * size(training))
    if checkpoints.latest is not None:
        training = checkpoints.load(training)
    start = int(training.step)
    place = checkpoints.data(start).get("next_index", start) if start else 0
    checkpoints.rewind(start)
    run.rewind(start)
    one_step = update(recipe.gradient, recipe.optimizer, skip=True)
    baselines = recipe.baselines("valid")
    introduce(console, recipe, training, steps, baselines)
    seconds, done = clock(run), start
    if interrupted():
        return False
    with (
        drawn(run, recipe, baselines),
        feed(recipe.batch_at, steps, start=place) as batches,
        contextlib.closing(told(run, recipe, one_step, training, batches, console, interrupted, seconds)) as loop,
    ):
        for done, training, stop in loop:
            measure, score = done % every == 0 or done == steps, None
            if measure:
                score = measured(run, recipe, training.params, done, console, seconds())
            if stop or measure:  # after the log, so that whatever a checkpoint has seen is in the metrics
                check_sound(run, done, training)
                checkpoints.save(training, score=score, data=batches.get_state())
            if stop and done < steps:
                break
        checkpoints.wait()
    if checkpoints.failed:
        raise ValueError(
            f"train: the last checkpoint must be kept, but {checkpoints.failed}. Free some space and go on from step "
            f"{checkpoints.latest} with: rnnjax train --resume {shlex.quote(str(run.path))}"
        )
    return done == steps


def told(run, recipe, one_step, training, batches, console, interrupted, seconds):
    """Train, and tell of every step while the next is under way: yields (step, training, whether to stop)."""
    options, done, waiting = run.config["options"], int(training.step), []
    steps, every = options["steps"], options["every"]
    with progress(console, steps, done) as advance:
        tell = Watch(run, recipe, advance, seconds)
        for training, metrics in fit(one_step, training, lambda _: (next(batches),), steps, restart=recipe.restart):
            done, stop = done + 1, interrupted()
            waiting.append((done, metrics))
            while len(waiting) > (0 if stop or done % every == 0 or done == steps else 1):
                tell(*waiting.pop(0), training)
            yield done, training, stop


def measured(run, recipe, params, done, console, seconds):
    """Measure on the held-out part, say and log it, and give the score."""
    found = recipe.measure(params, "valid")
    if not all(map(math.isfinite, found.values())):
        raise ValueError(f"train: what is measured must be finite, but at step {done} it is not. Lower --lr.")
    console.print(f"step {done:,} of {run.config['options']['steps']:,}: {said(found)}, held out")
    score = found[recipe.unit] if recipe.better == "higher" else -found[recipe.unit]
    run.log(step=done, valid=found.pop(recipe.unit), seconds=seconds, **found)
    return score


def clock(run: Run):
    """How long the run has trained, in seconds: a function to ask."""
    began = time.time() - run.seconds
    return lambda: round(time.time() - began, 1)


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
        try:
            curve(
                run.path / "curve.png", run.metrics(), unit=recipe.unit, loss_unit=recipe.loss_unit,
                title=run.path.name,
                baselines={f"{label}, held out": value for label, value in baselines.items()},
            )  # fmt: skip
        except OSError as error:
            run.say(f"the curve could not be written: {error}")
