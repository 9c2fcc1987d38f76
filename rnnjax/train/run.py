"""A run on disk: `runs/NAME` with its config, metrics and checkpoints."""

import functools
import json
from pathlib import Path

from rnnjax.train.checkpoint import Checkpoints


class Run:
    """The folder of one training run.

    - `config.json`: what was asked for, written once;
    - `metrics.jsonl`: one JSON object a line, each with its `step`;
    - `checkpoints/`: the newest trainings, by step;
    - whatever else its task writes there, as `curve.png`.
    """

    def __init__(self, path):
        self.path = Path(path)
        if not (self.path / "config.json").is_file():
            raise ValueError(f"Run: path must be a run, but {self.path} has no config.json. Give runs/NAME.")
        try:
            self.config = json.loads((self.path / "config.json").read_text())
        except ValueError as error:
            raise ValueError(
                f"Run: {self.path}/config.json must be JSON, but it is not: {error}. Restore it."
            ) from error

    @functools.cached_property
    def checkpoints(self) -> Checkpoints:
        """Made when first asked for: of several processes, all must make it together."""
        return Checkpoints(self.path / "checkpoints")

    @classmethod
    def create(cls, path, config: dict) -> "Run":
        """A new run. Raises `ValueError` if there is one already, or if Orbax could not find its checkpoints again."""
        path = Path(path)
        if path.exists():
            raise ValueError(f"Run: path must be new, but {path} exists. Go on with --resume {path}, or choose --name.")
        if found := sorted(set("*?[]") & set(str(path.absolute()))):
            raise ValueError(
                f"Run: path must have none of * ? [ ], but {path.absolute()} has {' '.join(found)}, and Orbax, which "
                "takes them for patterns, could not read its checkpoints again. Choose another --name or folder."
            )
        path.mkdir(parents=True)
        (path / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        return cls(path)

    def log(self, **entry) -> None:
        """Append one line to the metrics."""
        with open(self.path / "metrics.jsonl", "a") as file:
            file.write(json.dumps(entry) + "\n")

    def metrics(self) -> list[dict]:
        """All that was logged, but for a last line that a killed run left unfinished."""
        file = self.path / "metrics.jsonl"
        return [json.loads(line) for line in file.read_text().split("\n")[:-1]] if file.exists() else []

    @property
    def seconds(self) -> float:
        """How long it has trained, as far as was logged."""
        return max((entry.get("seconds", 0.0) for entry in self.metrics()), default=0.0)

    def rewind(self, step: int) -> None:
        """Forget the metrics after `step`, which a resumed run will log again."""
        kept = [entry for entry in self.metrics() if entry["step"] <= step]
        (self.path / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in kept))


def free_path(folder, name) -> Path:
    """`folder/name`, or the first of `folder/name-2`, `-3`, ... that is not there yet."""
    path, number = Path(folder, name), 2
    while path.exists():
        path, number = Path(folder, f"{name}-{number}"), number + 1
    return path
