"""What was measured as Markdown: on which machine, with what, when, and how quiet it was."""

import datetime
import importlib.metadata
import os
import platform
import re
from pathlib import Path
from time import perf_counter

import psutil

RESULTS = Path(__file__).parent / "results"
QUIET = 0.1


def heading(title, *packages):
    """A title, and a line with the date, the device, its cores and the versions of Python, jax and `packages`."""
    info = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in ("jax", "jaxlib", *packages))
    device = f"{named[1] if named else platform.processor()}, {os.cpu_count()} cores"
    return f"# {title}\n\n{datetime.date.today()}; {device}; Python {platform.python_version()}, {versions}.\n"


def table(columns, rows):
    """A Markdown table, its first column to the left and the others to the right."""
    rule = ["---"] + ["---:"] * (len(columns) - 1)
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (columns, rule, *rows)) + "\n"


def watch():
    """Look at the clock; the function returned says what share of the machine other programs have used since.

    Call it while the processes started from here still live: what they used counts as ours."""

    def seconds():
        us = [p.cpu_times() for p in (psutil.Process(), *psutil.Process().children(recursive=True))]
        all_ = psutil.cpu_times()
        busy = sum(all_[:8]) - all_.idle - getattr(all_, "iowait", 0)
        return busy - sum(t.user + t.system for t in us), perf_counter() * os.cpu_count()

    before = seconds()

    def others():
        used, had = (after - b for after, b in zip(seconds(), before))
        return max(0.0, used / had)

    return others


def publish(text, others, path=None):
    """Print a report, and write it to `path`, if given, unless other programs used more than 10 % of the machine."""
    text += f"\nOther programs used {others:.1%} of the machine meanwhile.\n"
    print(text)
    if path is not None:
        if others > QUIET:
            raise SystemExit(f"not recorded: others used {others:.0%} of the machine. Try again when it is quiet.")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
