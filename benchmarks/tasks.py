"""What has each task of the library reached, beside simple models and what others have published?

    rnnjax train TASK --name NAME && python -m benchmarks.tasks runs/NAME ...

Keeps each run's result, learning curve and picture in benchmarks/results/tasks/, and writes the table of all that are
kept there to rnnjax/tasks/README.md. Give no run to write the table again.
"""

import dataclasses
import json
import shlex
import shutil
from pathlib import Path

import tyro

from benchmarks.report import RESULTS, table
from rnnjax.tasks import kept
from rnnjax.tasks.asked import module
from rnnjax.train.run import Run

KEPT = RESULTS / "tasks"
README = Path(kept.__file__).parent / "README.md"
SHAPES = {
    "One to one, for comparison, and many to one": ("reviews", "images", "speakers"),
    "One to many": ("caption", "emoji", "draw", "tunes"),
    "Many to many, aligned": ("tagging", "hanja"),
    "Many to many, unaligned": ("pronounce",),
    "Fill in the blank": ("blank",),
    "Language models": ("language", "zaremba", "zaremba_medium", "zaremba_large"),
    "Forecasting": ("forecast",),
    "Music": ("music",),
    "Memory": ("memory",),
}
ABOUT = """Each file here is a recipe: data, model, loss, metric. The data are real, but for `memory`, and the figures
are of a part that was not trained on and chose nothing. Written by `python -m benchmarks.tasks` from the logs in
[benchmarks/results/tasks](../../benchmarks/results/tasks), which have versions, seeds and curves. Minutes are of two
cores that others used too. Where the data come from: [rnnjax/data](../data).
"""


def keep(path: Path) -> None:
    """Keep what a finished run has reached."""
    run = Run(path)
    result = json.loads((path / "result.json").read_text())
    asked, usual = kept.options(run), module(result["task"]).Config()
    if run.checkpoints.latest != asked.steps:
        raise SystemExit(f"tasks: a run must be finished, but {path} is at step {run.checkpoints.latest}. Train it on.")
    options = {f.name: getattr(asked, f.name) for f in dataclasses.fields(asked)}
    options |= {name: Path(options[name]).name for name in ("data", "text") if options.get(name)}  # a name, not a place
    odd = {name: value for name, value in options.items() if value != getattr(usual, name)}
    flags = [flag(name.replace("_", "-"), value) for name, value in odd.items()]
    result |= {"options": options, "command": " ".join(["rnnjax train", result["task"], *flags])}
    result["curve"] = [entry for entry in run.metrics() if "valid" in entry]
    KEPT.mkdir(exist_ok=True, parents=True)
    (KEPT / f"{path.name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    shutil.copy(path / "curve.png", KEPT / f"{path.name}.png")


def flag(name: str, value) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name} {shlex.quote(str(value))}"


def number(value: float) -> str:
    """Four digits, or three after the point."""
    return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def row(name: str, result: dict) -> tuple[str, ...]:
    """One line of the table; a model that another row beats says by how much."""
    reached, higher = result["test"][result["unit"]], result["better"] == "higher"
    best = max if higher else min
    others = []
    for source in "baselines", "published":
        beside = result[source]
        others.append("; ".join(f"{label} {number(value)}" for label, value in beside.items()) or "–")
    missed = []
    for source in "baselines", "published":
        if result[source] and best([reached, *result[source].values()]) != reached:
            missed.append(f"{source} by {number(abs(best(result[source].values()) - reached))}")
    more = "; ".join(f"{number(value)} {unit}" for unit, value in result["test"].items() if unit != result["unit"])
    return (
        f"[{name}](../../benchmarks/results/tasks/{name}.png)",
        f"`{result['command']}`",
        result["model"],
        f"**{number(reached)}** {result['unit']}" + (f"; {more}" if more else ""),
        *others,
        ", ".join(missed) or "no",
        f"{result['seconds'] / 60:.1f}",
    )


def main(runs: tyro.conf.Positional[tuple[Path, ...]] = ()):
    """Keep finished runs, and write the table of all that are kept.

    Args:
        runs: folders of runs, as runs/tagging.
    """
    for path in runs:
        keep(path)
    results = {path.stem: json.loads(path.read_text()) for path in sorted(KEPT.glob("*.json"))}
    columns = "", "command", "model", "test", "simple models", "published", "misses", "minutes"
    text = f"# The tasks\n\n{__doc__.partition(chr(10))[0]}\n\n{ABOUT}"
    for name, result in results.items():
        if not any(result["task"] in names for names in SHAPES.values()):
            raise SystemExit(f"tasks: every task must have its place in SHAPES, but {name} is of {result['task']}.")
    for shape, names in SHAPES.items():
        rows = [row(name, result) for task in names for name, result in results.items() if result["task"] == task]
        if rows:
            text += f"\n## {shape}\n\n{table(columns, rows)}"
    README.write_text(text)
    print(text)


if __name__ == "__main__":
    tyro.cli(main)
