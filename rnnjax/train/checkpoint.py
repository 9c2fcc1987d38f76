"""A run's training on disk, by Orbax."""

import os
import re
import sys

import jax

from rnnjax.train.agreed import agreed
from rnnjax.train.leaves import again, plain, types
from rnnjax.train.note import Broken, hold, noted
from rnnjax.train.shelf import Shelf
from rnnjax.train.update import Training
from rnnjax.types import Location, Say

try:
    from orbax.checkpoint import v1 as ocp
except ImportError:
    from orbax.checkpoint.experimental import v1 as ocp


class Checkpoints(Shelf):
    """The checkpoints of one run in `directory`, each a whole `Training`: the newest `keep`, and the best.

    A save goes on in the background once the arrays are copied, under a temporary name, so that a run killed while
    saving still has the checkpoint before. Beside the arrays stand their sums, held against them when they are loaded.

    Args:
        keep: how many of the newest are kept; the one saved with the highest score is kept besides.
        config: a digest of what was trained; a checkpoint of another is refused.
        say: is told of a checkpoint that is broken or could not be written; by default on stderr.
    """

    def __init__(self, directory: Location, *, keep: int = 2, config: str = "", say: Say | None = None) -> None:
        super().__init__(directory, keep)
        self.config = config
        self.say = say or (lambda text: print(text, file=sys.stderr))
        self.failed: str | None = None
        self._saving = None

    def save(self, training: Training, *, score: float | None = None, data: dict | None = None) -> None:
        """Begin to write `training` under its step, unless it is there already.

        Args:
            training: may be donated as soon as this returns.
            score: how good it is; the highest is the best.
            data: where in the data it stands, as JSON holds it; `data` gives it back.

        What cannot be written is said when it is known, and stands in `failed` until a later save has worked.
        """
        self.wait()
        step = int(training.step)
        if step in self.steps:
            return
        leaves = plain(training)
        note = noted(leaves, config=self.config, score=score, data=data or {})
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._saving = step, ocp.save_async(str(self.path(step)), leaves, custom_metadata=note)
        except (OSError, ValueError, RuntimeError) as error:
            self._fail(step, error)

    def wait(self, seconds: float | None = None) -> None:
        """Until what was begun is written, or has failed; or until so many seconds are over."""
        if self._saving is None:
            return
        (step, response), self._saving = self._saving, None
        try:
            response.result(seconds)
        except (OSError, ValueError, RuntimeError) as error:
            if seconds is None or not isinstance(error, TimeoutError):
                self._fail(step, error)
            else:
                self._saving = step, response
        else:
            self.failed = None
            self.prune()

    @property
    def steps(self) -> list[int]:
        """The steps of all checkpoints, the newest last, once what was begun is written."""
        self.wait()
        return super().steps

    def load(self, like: Training, *, best: bool = False) -> Training:
        """The newest checkpoint that is whole, or the best; the others that were tried are said to be broken.

        `like` gives its structure; it holds arrays or (`jax.eval_shape`) their types. Raises `ValueError` if there is
        none, none that is whole, or if it is of another config or model.
        """
        steps = self.steps[::-1]
        if not steps:
            raise ValueError(
                f"Checkpoints: there must be a checkpoint to load, but {self.directory} has none. Train first."
            )
        if best:
            steps = sorted(steps, key=lambda step: step != self.best)
        for step in steps:
            try:
                return self._load(step, like)
            except Broken as error:
                self.say(f"checkpoint {self.path(step)} is broken: {error}")
        raise ValueError(
            f"Checkpoints: a checkpoint must be whole, but of those in {self.directory} none is. "
            "Restore its files, or train anew."
        )

    def close(self) -> None:
        self.wait()

    def _load(self, step, like):
        """A checkpoint that is whole in the eyes of every process."""
        wanted = plain(like)
        note, leaves = agreed(lambda: self._read(step, wanted), Broken, ValueError)
        agreed(lambda: hold(note, leaves), Broken)
        return again(like, leaves)

    def _read(self, step, wanted):
        """The note of a checkpoint, and what this process needs of its arrays, whatever the others do."""
        where, note, alone = self.path(step), self.note(step), ocp.Context()
        if note and note["config"] != self.config:
            raise ValueError(
                f"Checkpoints: a checkpoint must be of the config it is loaded for, but {where} is of another. "
                "Restore config.json as it was, or train anew."
            )
        alone.multiprocessing.primary_host = jax.process_index()
        alone.multiprocessing.active_processes = {jax.process_index()}
        try:
            with alone:
                kept = note.get("types") or types(ocp.metadata(where).metadata)
                leaves = ocp.load(where, wanted) if kept == types(wanted) else None
        except Exception as error:  # Orbax has many, with whole arrays in their messages
            if isinstance(error, MemoryError | PermissionError) or "RESOURCE_EXHAUSTED" in str(error):
                raise
            raise Broken(f"Orbax cannot read it ({type(error).__name__})") from error
        if leaves is None:
            raise ValueError(
                f"Checkpoints: a checkpoint must be of the model it is loaded for, but {where} has other arrays. "
                "Build the model that was trained."
            )
        return note, leaves

    def _fail(self, step, error):
        """Say that a save failed, and forget it: what is on disk stays as it was."""
        code = re.search(r"os_error_code='(\d+)'", str(error))  # of TensorStore, within a long message
        reason = os.strerror(int(code[1])) if code else " ".join(str(error).split())
        self.failed = f"the checkpoint of step {step:,} could not be written: {reason}"
        self.say(self.failed)
        self.sweep()
