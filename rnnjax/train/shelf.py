"""Which checkpoints there are, a folder each, named by its step; and which of them are kept."""

import contextlib
import shutil
from pathlib import Path

from rnnjax.train.note import Broken, note_of
from rnnjax.train.processes import leads, meet
from rnnjax.types import Location

HALF = ".orbax-checkpoint-tmp"  # what Orbax adds to the name of what it has not finished


class Shelf:
    """The checkpoints in `directory`, of which the newest `keep` are kept, and the best."""

    def __init__(self, directory: Location, keep: int) -> None:
        self.directory, self.keep = Path(directory).absolute(), keep
        self._notes: dict[int, dict] = {}

    @property
    def steps(self) -> list[int]:
        """The steps of all checkpoints, the newest last."""
        return sorted(int(path.name) for path in self.directory.glob("*") if path.name.isdecimal())

    @property
    def latest(self) -> int | None:
        """The step of the newest checkpoint."""
        return max(self.steps, default=None)

    @property
    def best(self) -> int | None:
        """The step of the checkpoint with the highest score, of several the first."""
        scores = {step: score for step in self.steps if (score := self._score(step)) is not None}
        return max(scores, key=scores.__getitem__, default=None)

    def path(self, step: int) -> Path:
        """The folder of a checkpoint."""
        return self.directory / str(step)

    def data(self, step: int) -> dict:
        """Where in the data the checkpoint of a step stands."""
        return self.note(step).get("data", {})

    def note(self, step: int) -> dict:
        """What stands beside the arrays of a checkpoint. Raises `Broken`."""
        if step not in self._notes:
            self._notes[step] = note_of(self.path(step))
        return self._notes[step]

    def rewind(self, step: int) -> None:
        """Set aside what stands after `step`, which training will write again, and remove what was left half."""
        for later in (kept for kept in self.steps if kept > step and leads()):
            aside = self.directory / f"{later}.broken"
            shutil.rmtree(aside, ignore_errors=True)
            self.path(later).rename(aside)
        self.sweep()
        meet("rewound")

    def prune(self) -> None:
        """Remove all but the newest and the best."""
        if leads():
            for step in {*self.steps} - {*self.steps[-self.keep :], self.best}:
                half = self.directory / f"{step}{HALF}"
                with contextlib.suppress(OSError):  # what cannot be removed now goes with the next sweep
                    self.path(step).rename(half)  # so that one killed here leaves no part of a checkpoint
                    shutil.rmtree(half)
                self._notes.pop(step, None)

    def sweep(self) -> None:
        """Remove what was written or removed half, and look again at what there is."""
        self._notes.clear()
        for half in self.directory.glob(f"*{HALF}*") if leads() else ():
            shutil.rmtree(half, ignore_errors=True)

    def _score(self, step):
        with contextlib.suppress(Broken):
            return self.note(step).get("score")
