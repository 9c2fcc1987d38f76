"""Each step told of: its figures, and what to do where they are not finite."""

import math
import shlex

from rnnjax.tasks.recipe import Recipe
from rnnjax.train.finite import keep_batch, named, norms, sound
from rnnjax.train.run import Run

MOST = 10


class Watch:
    """`watch(step, metrics, training)` reads the metrics of a step, logs every tenth, and gives its loss to `advance`.

    A step that is not finite has changed nothing (`update` skips it). It is said, and its batch kept in `bad/`, of
    ten at most; then training stops with a `ValueError`, or with `run.nonfinite` "skip" at the tenth in a row.
    """

    def __init__(self, run: Run, recipe: Recipe, advance, seconds):
        self.run, self.recipe, self.advance, self.seconds = run, recipe, advance, seconds
        self.unit, self.row = recipe.loss_unit.partition(" ")[0], 0

    def __call__(self, step, metrics, training):
        loss, gradient = self.recipe.scale * float(metrics.loss), float(metrics.gradient)
        if not (math.isfinite(loss) and math.isfinite(gradient)):
            self.refuse(step, loss, gradient, training)
            return
        self.row = 0
        self.advance(**{self.unit: loss})
        if step % 10 == 0:
            self.run.log(step=step, train=loss, gradient=gradient, seconds=self.seconds())
            self.run.checkpoints.wait(0)  # if the one under way has failed by now, it is said

    def refuse(self, step, loss, gradient, training):
        """Skip a step, or stop."""
        self.row += 1
        what = f"at step {step} the loss is {loss} and the gradient's norm {gradient}"
        batch = f"its batch is {self.kept(step)}"
        if self.run.nonfinite == "skip" and self.row < MOST:
            self.run.say(f"skipped: {what}; {batch}")
            self.run.log(step=step, skipped=True, seconds=self.seconds())
            self.advance(**{self.unit: loss})
            return
        raise ValueError(
            f"train: the loss and its gradient must be finite, but {what} (of the params: {norms(training.params)}); "
            f"{batch}. {way_back(self.run)}"
        )

    def kept(self, step):
        """Where the batch of a step lies now, or why not."""
        path = self.run.path / "bad" / f"step-{step}.npz"
        batch = named(self.recipe.batch_at(step - 1))  # which many processes ask together, whatever their folders hold
        if len(list(path.parent.glob("step-*.npz"))) >= MOST:
            return f"the eleventh or later, not kept: see {path.parent}"
        try:
            keep_batch(path, batch)
        except OSError as error:
            return f"not kept: {error}"
        return f"kept in {path}"


def check_sound(run, step, training):
    """Refuse to keep a training that a finite loss has left with params that are not."""
    if not sound(training):
        raise ValueError(
            f"train: the params must be finite to be kept, but after step {step} they are not "
            f"({norms(training.params)}). {way_back(run)}"
        )


def way_back(run):
    """The checkpoint to go back to, and how."""
    step, command = run.checkpoints.latest, f"rnnjax train --resume {shlex.quote(str(run.path))}"
    if step is None:
        return "There is no checkpoint to go back to: lower --lr or --clip in a new run, or mend the data."
    return (
        f"Go back to the checkpoint of step {step} with: {command}, and --nonfinite skip to leave such steps out; "
        "or lower --lr or --clip in a new run."
    )
