"""An empty picture."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def blank(width, height, title):
    """A figure of inches that needs no screen, at 150 dots an inch."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    return figure
