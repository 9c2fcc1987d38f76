"""Gates over the symbols of a sentence, as heatmaps."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import font_manager

from rnnjax.diagnostics.gates import Gate
from rnnjax.diagnostics.pictures.figure import blank
from rnnjax.types import Location

UNITS = 24  # of a gate, at most
SHOWN = {"\n": "↵", " ": "␣", "\t": "⇥"}
# colour-blind-safe: evenly brighter from shut to open, and brighter the nearer to zero
MAPS = {"logistic": ("cividis", (0, 1), "gate  (0 shut, 1 open)"), "tanh": ("PuOr", (-1, 1), "tanh  (no unit)")}
TITLES = {
    "f": "forget gate f", "i": "input gate i", "g": "candidate tanh g", "o": "output gate o",
    "tanh c": "tanh of the cell c", "r": "reset gate r", "z": "update gate z (open: keeps the old state)",
    "candidate": "candidate state", "h": "hidden state h",
}  # fmt: skip


def gates(path: Location, found: Sequence[Gate], symbols: Sequence[str], *, title: str = "") -> None:
    """Draw gates (from `activations`) over the T symbols read into a PNG file: a panel a gate, a row a unit.

    Units are in the order of how much they change from step to step, over all gates of their layer, the slowest on top;
    of many, 24 evenly apart in that order are shown, the same ones in each panel.
    Raises `ValueError` if there is no gate, as in a network of relu.
    """
    if not found:
        raise ValueError("gates: there must be a gate to draw, but there is none. Give a cell with a logistic or tanh.")
    figure = blank(min(max(7, 3 + 0.15 * len(symbols)), 24), 1.2 + 1.5 * len(found), title)
    panels = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
    images = {}
    for axes, gate in zip(panels, found):
        rows, units = np.asarray(gate.values, float).reshape(len(symbols), -1).T, _units(found, gate)
        name, (low, high), _ = MAPS[gate.kind]
        images[gate.kind] = axes.imshow(
            rows[units], aspect="auto", cmap=name, vmin=low, vmax=high, interpolation="nearest"
        )
        axes.set_title(": ".join(filter(None, (gate.layer, TITLES.get(gate.name, gate.name)))), loc="left", fontsize=11)
        ticks = range(0, len(units), -(-len(units) // 8))
        axes.set_yticks(ticks, [str(units[i]) for i in ticks], fontsize=7)
        axes.set_ylabel("unit" if len(units) == len(rows) else f"{len(units)} of {len(rows)} units", fontsize=9)
        axes.tick_params(axis="x", length=0)
    axes = panels[-1]
    labels, fonts = _drawable([SHOWN.get(symbol, symbol) for symbol in symbols])
    axes.set_xticks(range(len(labels)), labels, fontfamily=fonts, fontsize=9)
    if max(map(len, labels)) > 1:
        axes.tick_params(axis="x", rotation=90)
        for label in axes.get_xticklabels():
            label.set(rotation_mode="anchor", ha="right", va="center")
    axes.set_xlabel("symbol read at each step  →")
    for kind in MAPS:
        if kind in images:
            figure.colorbar(images[kind], ax=panels, label=MAPS[kind][2], fraction=0.02, pad=0.01, aspect=35)
    figure.savefig(path)


def _units(found, gate):
    """The units of a gate to show, in order."""
    alike = [other for other in found if (other.layer, other.values.shape) == (gate.layer, gate.values.shape)]
    steps = [np.abs(np.diff(other.values, axis=0)).sum(0).ravel() / np.ptp(MAPS[other.kind][1]) for other in alike]
    order = np.argsort(sum(steps), kind="stable")
    return order[np.unique(np.linspace(0, len(order) - 1, min(UNITS, len(order))).round().astype(int))]


def _drawable(labels):
    """Labels and their fonts: Matplotlib's own, and an installed one that has what it lacks; □ where there is none."""
    own = font_manager.findfont("DejaVu Sans")
    lacking = {c for label in labels for c in label if not _has(own, c)}
    others = [font for font in font_manager.fontManager.ttflist if "Last Resort" not in font.name] if lacking else []
    fitting = (f.name for f in others if Path(f.fname).exists() and all(_has(f.fname, c) for c in lacking))
    if font := next(fitting, None):
        return labels, ["DejaVu Sans", font]
    return ["".join("□" if c in lacking else c for c in label) for label in labels], ["DejaVu Sans"]


def _has(path, character):
    return font_manager.get_font(path).get_char_index(ord(character)) != 0
