"""A network unrolled over time, as boxes and arrows."""

from typing import Any

import jax
from matplotlib.patches import FancyBboxPatch

from rnnjax.cell import Cell
from rnnjax.diagnostics.layers import layers
from rnnjax.diagnostics.pictures.figure import blank
from rnnjax.types import Location

TIMES = "t-1", "t", "t+1"
APART, WIDE, HIGH = 4.6, 2.7, 0.56  # between the boxes of two steps, and of a box
ARROW = dict(arrowstyle="-|>", lw=1.4, shrinkA=0, shrinkB=0, color="#333333", mutation_scale=13)
CARRYING: dict[str, Any] = dict(fc="#CFE6F5", ec="#0072B2")
PLAIN: dict[str, Any] = dict(fc="#F0F0F0", ec="#777777")


def network(path: Location, cell: Cell, *, title: str = "") -> None:
    """Draw a model unrolled over three steps into a PNG file: its layers as boxes, and what flows between them.

    Blue layers carry a state from step to step, grey ones none.
    """
    parts = layers(cell)
    carried = [_carried(part) for part in parts]
    figure = blank(11, 1.3 + 0.85 * (len(parts) + 1), title)
    axes = figure.add_subplot(xlim=(-APART + 0.9, 3 * APART - 0.9), ylim=(-0.95, len(parts) - 0.05))
    axes.axis("off")
    for column, time in enumerate(TIMES):
        x = APART * column
        axes.text(x, -0.8, f"$x_{{{time}}}$", ha="center", va="center", fontsize=14)
        axes.text(x, len(parts) - 0.2, f"$y_{{{time}}}$", ha="center", va="center", fontsize=14)
        for row in range(len(parts) + 1):
            begin, end = (row - 1 + HIGH / 2 if row else -0.65), row - HIGH / 2
            axes.annotate("", (x, min(end, len(parts) - 0.36)), (x, begin), arrowprops=ARROW)
        for row, part in enumerate(parts):
            corner, style = (x - WIDE / 2, row - HIGH / 2), CARRYING if carried[row] else PLAIN
            axes.add_patch(FancyBboxPatch(corner, WIDE, HIGH, "round,pad=0,rounding_size=0.12", lw=1.5, **style))
            text = repr(part)
            axes.text(x, row, text if len(text) < 27 else f"{text[:25]}…", ha="center", va="center", fontsize=10)
    recurrent = [row for row, names in enumerate(carried) if names]
    for number, row in enumerate(recurrent, 1):
        upper = f"^{{({number})}}" if len(recurrent) > 1 else ""
        for column, time in enumerate(("t-2", *TIMES)):
            begin, end = APART * (column - 1) + WIDE / 2, APART * column - WIDE / 2
            axes.annotate("", (end, row), (begin, row), arrowprops=ARROW)
            label = ",\\ ".join(f"{name}{upper}_{{{time}}}" for name in carried[row])
            axes.text((begin + end) / 2, row + 0.08, f"${label}$", ha="center", va="bottom", fontsize=11)
    figure.savefig(path)


def _carried(part):
    """The names of the states that a layer carries from step to step."""
    state = jax.eval_shape(lambda: part.start(part.init(jax.random.key(0))))
    return getattr(state, "_fields", ("h",)) if jax.tree.leaves(state) else ()
