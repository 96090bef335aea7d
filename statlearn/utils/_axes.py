"""Axes and colours of all displays. matplotlib is loaded when a figure is drawn."""

from __future__ import annotations

from typing import Any

from statlearn.utils._optional import require

# Ten colours that stay apart under the common forms of colour blindness, the first
# ones most; the last ones also differ in lightness.
COLORS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#332288",
    "#882255",
    "#117733",
    "#999933",
)
GREY = "#b8b8b8"
INK = "#404040"


def axes_for(ax: Any, caller: str) -> Any:
    """Return the axes of the caller, which must be a single one, or those of a figure.

    Parameters
    ----------
    ax : Axes or None
        None makes a new figure.
    caller : str
        For messages, as in ``"WeightDisplay.plot"``.
    """
    pyplot = require("matplotlib.pyplot", "plot", caller)
    if ax is None:
        return pyplot.subplots(layout="constrained")[1]
    if not isinstance(ax, require("matplotlib.axes", "plot", caller).Axes):
        raise ValueError(
            f"The 'ax' parameter of {caller} must be one Axes. Got "
            f"{type(ax).__name__}; pass one element of it, or ax=None for a new "
            f"figure."
        )
    return ax
