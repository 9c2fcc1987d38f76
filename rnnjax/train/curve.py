"""A learning curve as a picture."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#555555"  # Okabe & Ito's colour-blind-safe palette


def curve(path, metrics, *, train, valid, unit, title="", baselines=None) -> None:
    """Draw two metrics over steps into a PNG file.

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
    measured = sorted(entry[key] for entry in metrics for key in (train, valid) if key in entry)
    if measured:
        low, high = measured[0], max(measured[int(0.98 * (len(measured) - 1))], *(baselines or {"": 0}).values())
        axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path)
