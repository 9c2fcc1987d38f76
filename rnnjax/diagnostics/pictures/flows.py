"""How far credit reaches, as curves over the lag."""

from collections.abc import Mapping

import numpy as np

from rnnjax.diagnostics.flow import Flow
from rnnjax.diagnostics.pictures.figure import blank
from rnnjax.types import Location

# Okabe & Ito's colour-blind-safe palette, and dashes for those who see no colours
COLOURS = "#D55E00", "#0072B2", "#56B4E9", "#009E73", "#000000", "#CC79A7", "#E69F00"
DASHES = "-", "--", "-.", ":"
DEEPEST = 1e-9  # of the top: what is below runs out of the picture


def flows(path: Location, named: Mapping[str, Flow], *, title: str = "") -> None:
    """Draw {label: Flow} of several models into a PNG file: gradient norms over the lag, on a logarithmic axis.

    Left ‖∂L_T/∂s_{T-k}‖, right ‖∂s_T/∂s_{T-k}‖. The first model is drawn boldly.
    """
    figure = blank(11, 6, title)
    left, right = figure.subplots(1, 2)
    for i, (label, flow) in enumerate(named.items()):
        style = dict(color=COLOURS[i % len(COLOURS)], ls=DASHES[i % len(DASHES)], lw=1.8 if i else 3.2, label=label)
        for axes, lags, norms in (
            (left, np.arange(len(flow.credit), 0, -1), flow.credit),
            (right, flow.lags, flow.jacobian),
        ):
            norms = np.asarray(norms, float)
            axes.plot(lags, np.where(np.isfinite(norms) & (norms > 0), norms, np.nan), **style)
    left.set(title="gradient of the last step's loss", ylabel="‖∂$L_T$ / ∂$s_{T-k}$‖  (loss per unit of state)")
    right.set(title="influence on the last state", ylabel="‖∂$s_T$ / ∂$s_{T-k}$‖  (spectral norm, no unit)")
    for axes in left, right:
        axes.set(yscale="log", xlabel="lag k (steps back from the last)", xlim=(0, None))
        drawn = np.concatenate([line.get_ydata() for line in axes.lines])
        if not np.isnan(drawn).all():
            top = np.nanmax(drawn)
            axes.set_ylim(max(np.nanmin(drawn), top * DEEPEST) / 2, top * 3)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path)
