"""What a person sees while a model trains."""

import contextlib

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextlib.contextmanager
def progress(console: Console, steps: int, done: int = 0):
    """A progress bar from `done` to `steps`: yields `advance(**figures)`, to be called once a step.

    The bar shows the rate, the time left and the figures, rounded. Off a terminal there is no bar; what the
    console prints meanwhile stands above it.
    """
    columns = (
        TextColumn("[bold]training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[figures]}"),
        TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=steps, completed=done, figures="", rate="")

        def advance(**figures):
            text = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
            speed = bar.tasks[0].speed
            bar.update(task, advance=1, figures=text, rate=f"{speed:.1f} steps/s" if speed else "")

        yield advance
