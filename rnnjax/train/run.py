"""A run on disk: `runs/NAME` with its config, metrics and checkpoints."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

from rnnjax.train.checkpoint import Checkpoints
from rnnjax.train.disk import append, replace


class Run:
    """The folder of one training run.

    - `config.json`: what was asked for, written once;
    - `metrics.jsonl`: one JSON object a line, each with its `step`;
    - `checkpoints/`: the newest trainings and the best, by step;
    - `bad/`: batches whose loss or gradient was not finite;
    - whatever else its task writes there, as `curve.png`.

    `say` is told what goes wrong with them, and `board`, if there is one, every line of the metrics. `nonfinite` says
    what to do at a step that is not finite, "stop" or "skip".
    """

    def __init__(self, path, *, say=None):
        self.path = Path(path)
        if not (self.path / "config.json").is_file():
            raise ValueError(f"Run: path must be a run, but {self.path} has no config.json. Give runs/NAME.")
        try:
            self.config = json.loads((self.path / "config.json").read_text())
        except ValueError as error:
            raise ValueError(
                f"Run: {self.path}/config.json must be JSON, but it is not: {error}. Restore it."
            ) from error
        if not isinstance(self.config, dict):
            raise ValueError(
                f"Run: {self.path}/config.json must hold a config, but it holds another thing. Restore it."
            )
        self.say = say or (lambda text: print(text, file=sys.stderr))
        self.checkpoints = Checkpoints(self.path / "checkpoints", config=digest(self.config), say=self.say)
        self.nonfinite = "stop"
        self.board: Callable[[dict], None] | None = None
        self._unwritten: list[str] = []

    @classmethod
    def create(cls, path, config: dict, *, say=None) -> "Run":
        """A new run. Raises `ValueError` if there is one already, or if Orbax could not find its checkpoints again."""
        path = Path(path)
        if path.exists():
            raise ValueError(f"Run: path must be new, but {path} exists. Go on with --resume {path}, or choose --name.")
        if found := sorted(set("*?[]") & set(str(path.absolute()))):
            raise ValueError(
                f"Run: path must have none of * ? [ ], but {path.absolute()} has {' '.join(found)}, and Orbax, which "
                "takes them for patterns, could not read its checkpoints again. Choose another --name or folder."
            )
        begun = path.with_name(f"{path.name}.begun")
        begun.mkdir(parents=True, exist_ok=True)
        (begun / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        begun.rename(path)  # so that a run has its config, or is none
        return cls(path, say=say)

    def log(self, **entry) -> None:
        """Append one line to the metrics. What a full disk does not take is said, and waits for the next line."""
        self._unwritten.append(json.dumps(entry) + "\n")
        try:
            append(self.path / "metrics.jsonl", "".join(self._unwritten).encode())
            self._unwritten.clear()
        except OSError as error:
            if len(self._unwritten) == 1:
                self.say(f"the metrics from step {entry['step']:,} on wait in memory: {error}")
        if self.board is not None:
            self.board(entry)

    def metrics(self) -> list[dict]:
        """All that was logged, but for lines that cannot be read, as the last one of a run that was killed."""
        return [entry for entry in map(read, self._lines()) if entry]

    def _lines(self):
        file = self.path / "metrics.jsonl"
        return file.read_text(errors="replace").split("\n")[:-1] if file.exists() else []

    @property
    def seconds(self) -> float:
        """How long it has trained, as far as was logged."""
        return max((entry.get("seconds", 0.0) for entry in self.metrics()), default=0.0)

    def rewind(self, step: int) -> None:
        """Forget the metrics after `step`, which a resumed run will log again."""
        kept = self.metrics()
        if torn := len(self._lines()) - len(kept):
            self.say(f"{self.path}/metrics.jsonl has {torn} lines that cannot be read; they are left out")
        replace(
            self.path / "metrics.jsonl",
            "".join(json.dumps(entry) + "\n" for entry in kept if entry["step"] <= step),
        )


def read(line: str) -> dict | None:
    """A line of the metrics, if it is one."""
    try:
        entry = json.loads(line)
        return entry if isinstance(entry["step"], int) else None
    except (ValueError, KeyError, TypeError):
        return None


def digest(config: dict) -> str:
    """The SHA-256 of a config."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def free_path(folder, name) -> Path:
    """`folder/name`, or the first of `folder/name-2`, `-3`, ... that is not there yet."""
    path, number = Path(folder, name), 2
    while path.exists():
        path, number = Path(folder, f"{name}-{number}"), number + 1
    return path
