"""A learning curve as a picture."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#555555"  # Okabe & Ito's colour-blind-safe palette
TRAIN, VALID = {"color": BLUE, "lw": 0.8, "alpha": 0.5}, {"color": ORANGE, "lw": 2, "marker": "o"}


def curve(path, metrics, *, unit: str, loss_unit: str, title: str = "", baselines=None) -> None:
    """Draw `train` and `valid` over steps into a PNG file, on one axis if they have one unit; else side by side.

    The steep first 2 % of the training losses may run out of the picture's top.

    Args:
        path: the file to write.
        metrics: dicts with `step`, and `train` or `valid` where they were measured.
        unit, loss_unit: what `valid` and `train` are measured in, the labels of the y axes.
        baselines: horizontal lines to compare `valid` with, `{label: value}`.
    """
    panels = 1 if unit == loss_unit else 2
    figure = Figure(figsize=(8 if panels == 1 else 11, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize="medium")
    for panel, label in enumerate((loss_unit, unit)[2 - panels :]):
        axes = figure.add_subplot(1, panels, panel + 1, xlabel="training step", ylabel=label)
        held = panel == panels - 1
        keys = ["train"] * (panel == 0) + ["valid"] * held
        lines(axes, metrics, keys, (baselines or {}) if held else {})
    figure.savefig(path)


def lines(axes, metrics, keys, baselines):
    """One panel: the metrics named by `keys`, and the baselines."""
    shown = list(baselines.values())
    for key in keys:
        points = [(entry["step"], entry[key]) for entry in metrics if key in entry]
        values = sorted(value for _, value in points)
        shown += values[: int(0.98 * (len(values) - 1)) + 1] if key == "train" else values
        if points:
            axes.plot(*zip(*points), label=key, **(TRAIN if key == "train" else VALID))
    for label, value in baselines.items():
        axes.axhline(value, color=GREY, ls="--", lw=1.2, label=f"{label}: {value:.3f}")
    if shown:
        low, high = min(shown), max(shown)
        room = 0.05 * (high - low) or 0.1
        axes.set_ylim(low - room, high + room)
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.15), fontsize="small")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
