"""What `rnnjax train` takes and does."""

import dataclasses
import functools
import inspect
import logging
import shlex
from pathlib import Path

from rnnjax.commands.launch import Launch
from rnnjax.commands.report import report
from rnnjax.tasks import TASKS, kept
from rnnjax.tasks.asked import module
from rnnjax.tasks.learn import learn
from rnnjax.train import processes
from rnnjax.train.board import board, protocol
from rnnjax.train.disk import held
from rnnjax.train.interrupt import terminable
from rnnjax.train.minded import minded
from rnnjax.train.run import Run, free_path

STOPPED = 130


@dataclasses.dataclass(frozen=True)
class Train(Launch):
    """What every `rnnjax train TASK` takes besides the options of its task; `train` makes it a command."""

    name: str | None = None
    """Name of the run's folder; by default that of the task, or made from the text and the cell."""
    runs: Path = Path("runs")
    """Where runs are kept."""
    resume: Path | None = None
    """Go on with this run instead, under its own options, as if it had never stopped."""
    smoke: bool = False
    """Only a few steps of something small, in seconds: does it work at all?"""

    def __call__(self, console):
        self.check()
        self.join()
        console = processes.heard(console)
        logging.getLogger("absl").setLevel(logging.CRITICAL)  # what Orbax cannot write is said by us, in one line
        say = functools.partial(console.print, highlight=False)
        if self.tensorboard:
            protocol()
        if self.resume is None:
            run, recipe = self.created(say)
        else:
            run = self.resumed(say)
            recipe = kept.reopen(run)
        again = f"rnnjax train --resume {shlex.quote(str(run.path))}"
        recipe = self.placed(recipe, kept.options(run))
        run.checkpoints.keep, run.nonfinite = self.keep, self.nonfinite
        processes.follow(run)
        if self.tensorboard:
            run.board = board(run.path / "board", run.checkpoints.latest or 0)
        with minded(again):
            return self.trained(run, recipe, console, again)

    def trained(self, run, recipe, console, again):
        """Train to the end, and say what came of it. A signal that comes before or after the steps stops it too."""
        try:
            with held(run.path / "config.json"), terminable():
                console.print(f"run: {run.path}")
                done = learn(run, recipe, console)
                if done:
                    self.finished(run, recipe, console)
        except KeyboardInterrupt:  # it goes on from its last checkpoint
            done = False
        if not done:
            console.print(f"stopped; go on with: {again}")
            return STOPPED

    def finished(self, run, recipe, console):
        """Measure, show and keep what was trained."""
        training = kept.trained(run, recipe)
        report(kept.finish(run, recipe, training), console)
        if recipe.show is not None:
            text = recipe.show(training.params)
            (run.path / "sample.txt").write_text(text + "\n")
            console.print(f"\n{text}", highlight=False)
        if recipe.draw is not None:
            recipe.draw(training.params, run.path)
        console.print(f"\nkept in {run.path}")
        if run.config["task"] == "language":
            console.print(f"try: rnnjax sample {shlex.quote(str(run.path))} --temperature 0.8")

    def created(self, say):
        """A new run, which the first of several processes creates, and all others open."""
        made, options = [], self.options()
        self.grid(options.micro)

        def create():
            made.append(kept.create(self.path(), self.task, options, say=say))
            return str(made[0][0].path.absolute())

        path = processes.first(create)
        if made:
            return made[0]
        run = Run(path, say=say)
        return run, kept.reopen(run)

    def resumed(self, say):
        """The run to go on with."""
        if self != type(self)(resume=self.resume, **self.launch()):
            raise ValueError(
                "train: --resume must stand alone, but other options came with it. A run keeps its own, but for where "
                "it runs and how it is looked after."
            )
        run = Run(self.resume, say=say)
        if self.task not in ("language", run.config.get("task")):
            raise ValueError(f"train: --resume must be of a run of {self.task}, but {run.path} is of another task.")
        return run

    def options(self):
        """The options of the task alone; with `smoke` those that make it small, where no other was asked for."""
        task = module(self.task)
        usual = dataclasses.asdict(task.Config())
        asked = {key: getattr(self, key) for key in usual if getattr(self, key) != usual[key]}
        return task.Config(**(task.SMOKE if self.smoke else {}) | asked)

    def path(self):
        """The folder of a new run."""
        if self.name:
            return self.runs / self.name
        stem = self.task if self.task != "language" else f"{Path(self.text).stem if self.text else 'bible'}-{self.cell}"
        return free_path(self.runs, stem + "-smoke" * self.smoke)


def train(task: str) -> type[Train]:
    """The command `rnnjax train TASK`: the options of the task, and those of every training."""
    config = module(task).Config
    command = dataclasses.make_dataclass("Train", [], bases=(Train, config), frozen=True, namespace={"task": task})
    command.__doc__ = f"""{inspect.cleandoc(config.__doc__)}

The run is kept in runs/NAME: config.json, checkpoints, metrics.jsonl, curve.png, result.json. Ctrl-C stops it so that
it can go on. Other tasks: rnnjax train TASK, of {", ".join(TASKS)}.
"""
    return command
