"""What `rnnjax eval` takes and does."""

import dataclasses
from pathlib import Path

import tyro

from rnnjax.commands.report import report
from rnnjax.tasks import kept
from rnnjax.train.run import Run


@dataclasses.dataclass(frozen=True)
class Eval:
    """Measure a run on the test part of its data, beside simple models."""

    run: tyro.conf.Positional[Path]
    """The run's folder, as runs/bible-lstm."""
    best: bool = False
    """Its best checkpoint on the held-out part, instead of the last."""

    def __call__(self, console):
        run = Run(self.run)
        recipe = kept.reopen(run)
        report(kept.result(run, recipe, kept.trained(run, recipe, best=self.best)), console)
