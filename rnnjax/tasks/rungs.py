"""The ladder of models side by side: in a table, and as a picture of what one of them expects."""

import jax
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rnnjax.tasks import futures, ladder
from rnnjax.tasks.futures import Series
from rnnjax.train.curve import BLUE, GREY, ORANGE


def rungs(series: Series, order: int) -> dict:
    """{label: (model, params)} of the simple models, fitted on the training part."""
    z = series.z[series.parts.train][int(series.changes) :]
    one, many = ladder.autoregression(1), ladder.autoregression(order)
    return {
        "average": (one, ladder.average(z)),
        "last change" if series.changes else "last value": (one, ladder.unmoved(z)),
        "Markov, AR(1)": (one, ladder.least_squares(1, z)),
        f"AR({order})": (many, ladder.least_squares(order, z)),
    }


def table(series: Series, models: dict[str, tuple], longest: int, *, part: str = "test", seed: int = 0) -> str:
    """Of models {label: (model, params)} on a part: errors, and how much the intervals hold, so many steps ahead."""
    where, key = getattr(series.parts, part), jax.random.key(seed)
    heads = [str(h) for h in futures.horizons(longest)]
    lines = [_line(f"{part}: RMSE, steps ahead", heads)]
    for label, each in models.items():
        found = futures.errors(each[0], each[1], series, where, longest)
        lines.append(_line(label, [f"{error:.2f}" for error in found.values()]))
    lines.append(_line("within 80 % / 95 %", heads))
    for label, each in models.items():
        found = futures.coverage(each[0], each[1], series, where, longest, key=key)
        lines.append(_line(label, [" / ".join(f"{100 * share:.0f}" for share in shares) for shares in found.values()]))
    return "\n".join(lines)


def _line(label, entries):
    return f"{label:24}" + "".join(f"{entry:>10}" for entry in entries)


def picture(path, series: Series, model, params, origin: int, horizon: int, *, seed: int = 0, title: str = "") -> None:
    """Draw into a PNG file what a model expects after the place `origin`, told nothing after it, and what came.

    The line is the model fed its own means, the bands are the middle 80 % and 95 % of 1 000 sampled futures. Before the
    origin three horizons of history are shown.
    """
    mean = futures.futures(model, params, series, [origin], horizon)[0, 0]
    drawn = futures.futures(model, params, series, [origin], horizon, jax.random.key(seed), 1000)[:, 0]
    shown = slice(max(origin + 1 - 3 * horizon, 0), origin + 1 + horizon)
    ahead = series.times[origin + 1 : origin + 1 + horizon]
    figure = Figure(figsize=(8, 4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(title=title)
    for share, alpha in zip(futures.SHARES, (0.35, 0.2)):
        low, high = np.quantile(drawn, [(1 - share) / 2, (1 + share) / 2], 0)[:, : len(ahead)]
        axes.fill_between(ahead, low, high, color=ORANGE, alpha=alpha, lw=0, label=f"{100 * share:.0f} %")
    axes.plot(series.times[shown], series.values[shown], color=BLUE, lw=1.2, label="what came")
    axes.plot(ahead, mean[: len(ahead)], color=ORANGE, lw=2, label="free running")
    axes.axvline(series.times[origin], color=GREY, ls="--", lw=1)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
