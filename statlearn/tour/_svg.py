"""Figures as inline SVG whose colours follow the theme of the page."""

from __future__ import annotations

import io
import re
import sys
from typing import Any

from statlearn.tour._installed import installed
from statlearn.tour._section import Figure

#: Colours of a figure on a light page. Each becomes a style variable, to which the
#: page gives another value in the dark. Sections draw with these and no others; the
#: displays of the package use the same series.
INK = "#1f2430"
MUTED = "#667085"
GRID = "#d5d9e2"
PAPER = "#ffffff"
SERIES = (
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

_VARIABLES = {
    INK: "--ink",
    "#000000": "--ink",
    "#404040": "--ink",
    MUTED: "--muted",
    "#808080": "--muted",
    "#b8b8b8": "--muted",
    GRID: "--grid",
    PAPER: "--paper",
    **{colour: f"--series-{i}" for i, colour in enumerate(SERIES, start=1)},
}


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return installed("matplotlib")


def render(figure: Figure, name: str) -> str:
    """Draw a figure and return an ``<svg>`` element whose identifiers carry `name`."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context(_style()):
        canvas = Canvas(figsize=figure.size, layout="constrained")
        own = figure.draw(canvas)
        canvas = own if isinstance(own, Canvas) else canvas
        buffer = io.StringIO()
        canvas.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        _close(canvas)
    return _inline(buffer.getvalue(), name)


def _close(canvas: Any) -> None:
    """Take a figure that pyplot made from its list; others are not on it."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(canvas)


def _style() -> Any:
    """Matplotlib settings: theme colours, real text, quiet axes."""
    from cycler import cycler

    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "statlearn",
        "font.size": 8.5,
        "axes.titlesize": 8.5,
        "axes.titlelocation": "left",
        "axes.labelsize": 8.5,
        "axes.prop_cycle": cycler(color=SERIES),
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "grid.color": GRID,
        "grid.linewidth": 0.7,
        "text.color": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "lines.linewidth": 1.6,
        "lines.markersize": 4.5,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "figure.facecolor": "none",
    }


def _inline(text: str, prefix: str) -> str:
    """Make a stand-alone SVG file fit to stand in a page among others.

    Prolog and metadata go, identifiers get a prefix of their own, the size follows
    the page, colours become variables, and nothing points outside.
    """
    svg = text[text.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s+xmlns(:\w+)?=\"[^\"]*\"", "", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    svg = re.sub(r'(<svg[^>]*?)\s+width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?)\s+height="[^"]*"', r"\1", svg, count=1)
    return re.sub(r"#[0-9a-f]{6}\b", _as_variable, svg).strip()


def _as_variable(match: re.Match[str]) -> str:
    """Style variable of a theme colour; other colours stay as they are."""
    colour = match.group()
    name = _VARIABLES.get(colour)
    return f"var({name}, {colour})" if name else colour
