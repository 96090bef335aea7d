"""How paths of slopes are drawn. matplotlib is loaded by the time this is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from statlearn.utils._axes import COLORS, GREY, INK
from statlearn.utils._optional import require

Array = NDArray[np.float64]

_FULL: Any = "-"
_EQUAL: Any = (0, (3, 1.6))
_MAX_COLUMNS = 4
_LABEL_SIZE = 8.5  # points


# -- panels -----------------------------------------------------------------------


def new_panels(pyplot: Any, count: int) -> NDArray[Any]:
    """Return axes of a new figure, at most four in a row, sharing both scales."""
    columns = _columns(count)
    rows = -(-count // columns)
    size = (2.5 * columns + 1.3, 2.6 * rows + 0.5) if count > 1 else (6.4, 4.2)
    _, grid = pyplot.subplots(
        rows,
        columns,
        sharex=True,
        sharey=True,
        squeeze=False,
        figsize=size,
        layout="constrained",
    )
    panels = grid.ravel()
    for unused in panels[count:]:
        unused.remove()
    return panels[:count]


def _columns(count: int) -> int:
    """Return how many panels stand in a row, so that rows are filled evenly."""
    rows = -(-count // _MAX_COLUMNS)
    return -(-count // rows)


def given_panels(ax: Any, count: int) -> NDArray[Any]:
    """Return the axes of the caller as an array of the given length."""
    axes = require("matplotlib.axes", "plot", "OrdinalPathDisplay.plot").Axes
    panels = np.asarray(ax, dtype=object).ravel()
    if len(panels) != count or not all(isinstance(each, axes) for each in panels):
        came = (
            f"{len(panels)} Axes"
            if all(isinstance(each, axes) for each in panels)
            else f"{type(ax).__name__}"
        )
        raise ValueError(
            f"The 'ax' parameter of OrdinalPathDisplay.plot must hold {count} Axes, "
            f"one for each boundary to draw. Got {came}; pass ax=None for a new "
            f"figure, or boundary=... to draw one boundary on one Axes."
        )
    return panels


def label_panels(panels: NDArray[Any], x: str, y: str, *, own: bool) -> None:
    """Name the axes; in a figure of ours only those at the left and at the bottom."""
    columns = _columns(len(panels))
    for number, panel in enumerate(panels):
        if not own or number + columns >= len(panels):
            panel.set_xlabel(x)
            panel.tick_params(labelbottom=True)
        if not own or number % columns == 0:
            panel.set_ylabel(y)


# -- slopes -----------------------------------------------------------------------


def draw_slopes(
    panel: Any,
    alphas: Array,
    slopes: Array,
    equal: NDArray[np.bool_],
    named: Sequence[int],
    options: dict[str, Any],
) -> list[Any]:
    """Draw the lines of one boundary and return them, one a feature.

    Parameters
    ----------
    panel : Axes
    alphas : (n_alphas,)
    slopes : (n_alphas, p)
    equal : (n_alphas, p)
        Where a slope equals that of the boundary before: dashed.
    named : positions of the coloured features
    options : keywords of `Axes.plot`
    """
    panel.axhline(0.0, color=INK, linewidth=0.8, zorder=1.5)
    color = {j: COLORS[i % len(COLORS)] for i, j in enumerate(named)}
    lines = []
    for j in range(slopes.shape[1]):
        style = {
            "color": color.get(j, GREY),
            "linewidth": 1.8 if j in color else 1.0,
            "zorder": 2.2 if j in color else 2.0,
            **options,
        }
        # Dashes all along, covered by a full line where the slope goes its own way.
        fused = bool(equal[:, j].any())
        whole = {"linestyle": _EQUAL if fused else _FULL, **style}
        lines += panel.plot(alphas, slopes[:, j], **whole)
        if fused and not equal[:, j].all():
            free = np.where(_next_to(~equal[:, j]), slopes[:, j], np.nan)
            panel.plot(alphas, free, **{"linestyle": _FULL, **style})
    panel.set_xscale("log")
    panel.set_xlim(alphas.max(), alphas.min())
    return lines


def _next_to(chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add the points before and after those chosen, where their lines start and end."""
    out = chosen.copy()
    out[1:] |= chosen[:-1]
    out[:-1] |= chosen[1:]
    return out


def mark_penalty(panel: Any, alpha: float) -> None:
    """Draw a vertical line at the chosen penalty."""
    panel.axvline(alpha, color=INK, linestyle=":", linewidth=1.2, zorder=1.6)


def name_lines(
    panels: NDArray[Any],
    lines: Sequence[Sequence[Any]],
    names: Sequence[str],
    named: Sequence[int],
    *,
    own: bool,
) -> None:
    """Write the names of features next to the ends of lines, at the right of a row."""
    if not named:
        return
    if own:
        # The layout decides how high the panels are, hence how far apart names stand.
        panels[0].figure.draw_without_rendering()
    last, columns = len(panels) - 1, _columns(len(panels))
    for number, panel in enumerate(panels):
        full_row = number % columns == columns - 1
        if number == last or (own and full_row):
            labelled = [(lines[number][j], str(names[j])) for j in named]
            # Right of the last panel of a row that is not full there is room already.
            _name_ends(panel, labelled, in_layout=full_row or not own)


def _name_ends(panel: Any, labelled: list[tuple[Any, str]], *, in_layout: bool) -> None:
    # The y axis may have been shared with, and stretched by, a later panel: this runs
    # when all are drawn.
    labelled = sorted(labelled, key=lambda pair: pair[0].get_ydata()[-1])
    ends = np.array([line.get_ydata()[-1] for line, _ in labelled])
    low, high = panel.get_ylim()
    points = panel.get_window_extent().height * 72.0 / panel.figure.dpi
    gap = 1.25 * _LABEL_SIZE * (high - low) / points
    at = panel.get_yaxis_transform()
    for (line, name), end, place in zip(
        labelled, ends, spread(ends, gap, low, high), strict=True
    ):
        note = panel.annotate(
            name,
            xy=(1.0, end),
            xytext=(1.08, place),
            xycoords=at,
            textcoords=at,
            color=line.get_color(),
            fontsize=_LABEL_SIZE,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": line.get_color(),
                "linewidth": 0.7,
                "shrinkA": 0.0,
                "shrinkB": 0.0,
                "relpos": (0.0, 0.5),
            },
        )
        note.set_in_layout(in_layout)


def spread(ends: Array, gap: float, low: float, high: float) -> Array:
    """Move ascending numbers as little as possible until they are a gap apart.

    Least squares under ``place[i + 1] >= place[i] + gap`` is isotonic regression once
    the gaps are taken out; the result stays between `low` and `high` if it fits.
    """
    taken = gap * np.arange(len(ends))
    free = isotonic_regression(ends - taken).x
    return np.clip(free, low, max(low, high - taken[-1])) + taken


def explain_styles(
    panels: NDArray[Any], *, fused: bool, chosen: bool, own: bool
) -> None:
    """Add a legend of line styles, below a figure of ours or else in the first axes."""
    from matplotlib.lines import Line2D

    entries = []
    if fused:
        entries += [
            Line2D([], [], color=INK, linestyle=_EQUAL, linewidth=1.8),
            Line2D([], [], color=INK, linestyle=_FULL, linewidth=1.8),
        ]
    labels = ["equal to the boundary before", "own slope"] if fused else []
    if chosen:
        entries.append(Line2D([], [], color=INK, linestyle=":", linewidth=1.2))
        labels.append("chosen penalty")
    if not entries:
        return
    if own:
        panels[0].figure.legend(
            entries,
            labels,
            loc="outside lower center",
            ncols=len(entries),
            frameon=False,
            fontsize="small",
        )
    else:
        panels[0].legend(entries, labels, edgecolor="none", fontsize="small")
