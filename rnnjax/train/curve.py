"""A learning curve as a picture."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#555555"  # Okabe & Ito's colour-blind-safe palette


def curve(path, metrics, *, train, valid, unit, title="", baselines=None) -> None:
    """Draw two metrics over steps into a PNG file; the steep first 2 % of the steps may run out of its top.

    Args:
        path: the file to write.
        metrics: dicts with `step`, and the keys named by `train` and `valid` where they were measured.
        train, valid: those keys. unit: what they are measured in, the label of the y axis.
        baselines: horizontal lines to compare with, `{label: value}`.
    """
    figure = Figure(figsize=(8, 4.8), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="training step", ylabel=unit, title=title)
    thin, thick = {"color": BLUE, "lw": 0.8, "alpha": 0.5}, {"color": ORANGE, "lw": 2, "marker": "o"}
    for key, style in (train, thin), (valid, thick):
        points = [(entry["step"], entry[key]) for entry in metrics if key in entry]
        if points:
            axes.plot(*zip(*points), label=key, **style)
    for label, value in (baselines or {}).items():
        axes.axhline(value, color=GREY, ls="--", lw=1.2, label=f"{label}: {value:.3f}")
    fitted, held = (sorted(entry[key] for entry in metrics if key in entry) for key in (train, valid))
    if shown := fitted[: int(0.98 * (len(fitted) - 1)) + 1] + held:
        shown += (baselines or {}).values()
        low, high = min(shown), max(shown)
        room = 0.05 * (high - low) or 0.1
        axes.set_ylim(low - room, high + room)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path)
