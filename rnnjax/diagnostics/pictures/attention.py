"""Where a decoder has looked, as heatmaps: what was read by what was said."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rnnjax.diagnostics.pictures.figure import blank
from rnnjax.types import Location

Looked = tuple[npt.ArrayLike, Sequence[str], Sequence[str]]


def attention(path: Location, looked: Sequence[Looked], *, title: str = "") -> None:
    """Draw attention into a PNG file, a panel for each of some sequences.

    Args:
        path: the file to write.
        looked: (weights, read, said) of each sequence: weights (U, S), a row for each of the U symbols said, over the S
            symbols read; and both, as strings. The end of what was said may be one of them, as "↵".

    Raises `ValueError` if there is nothing to draw, or weights are not (U, S).
    """
    if not looked:
        raise ValueError("attention: there must be a sequence to draw, but there is none. Give (weights, read, said).")
    for weights, read, said in looked:
        if np.shape(weights) != (len(said), len(read)):
            raise ValueError(
                f"attention: weights must be ({len(said)}, {len(read)}), a row for each symbol said and a column for "
                f"each read, but weights is {list(np.shape(weights))}. Give those of these symbols."
            )
    columns = min(2, len(looked))
    rows = -(-len(looked) // columns)
    longest, widest = max(len(said) for _, _, said in looked), max(len(read) for _, read, _ in looked)
    figure = blank(columns * (1.5 + 0.34 * widest), rows * (1.1 + 0.3 * longest), title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (weights, read, said) in zip(panels, looked):
        axes.imshow(np.asarray(weights, float), cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
        axes.set_xticks(range(len(read)), read)
        axes.set_yticks(range(len(said)), said)
        axes.tick_params(length=0, labelsize=10)
        axes.set(xlabel="symbol read  →", ylabel="←  symbol said")
    for axes in panels[len(looked) :]:
        axes.axis("off")
    figure.colorbar(panels[0].images[0], ax=list(panels), label="weight  (each row sums to 1)", fraction=0.03, pad=0.02)
    figure.savefig(path)
