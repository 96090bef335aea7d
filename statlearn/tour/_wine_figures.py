"""Drawings of the ordinal regression section."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlearn.tour._svg import INK, MUTED, PAPER, SERIES
from statlearn.tour._wine_study import SLOPES, Wine

_TREATMENTS = ("cold, no contact", "cold, contact", "warm, no contact", "warm, contact")
_LABELS = {"temp": "warm instead of cold", "contact": "contact with skins"}


def draw_effects(canvas: Any, wine: Wine) -> None:
    """Estimates with intervals, and the published ones on top."""
    axes = canvas.subplots()
    rows = np.arange(len(wine.names))[::-1]
    reach = np.abs(wine.intervals - wine.slopes[:, None]).T
    axes.errorbar(
        wine.slopes, rows, xerr=reach, fmt="o", color=SERIES[0], markersize=10,
        elinewidth=2.5,
    )  # fmt: skip
    axes.plot(
        [SLOPES[name][0] for name in wine.names], rows, "D", color=PAPER,
        markeredgecolor=INK, markersize=4.5, zorder=3,
    )  # fmt: skip
    axes.axvline(0.0, color=MUTED, linewidth=1.2, linestyle="--")
    axes.set_yticks(rows, [_LABELS[name] for name in wine.names])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("Change of the log-odds of a higher rating")


def draw_ratings(canvas: Any, wine: Wine) -> None:
    """Observed share as bars, fitted probability as points, one panel a treatment."""
    panels = canvas.subplots(1, len(_TREATMENTS), sharey=True)
    ratings = np.arange(1, wine.observed.shape[1] + 1)
    for axes, name, share, fit in zip(
        panels, _TREATMENTS, wine.observed, wine.fitted, strict=True
    ):
        axes.bar(ratings, share, color=SERIES[0], alpha=0.35)
        axes.plot(ratings, fit, "o-", color=SERIES[1], linewidth=1.2)
        axes.set_title(name)
        axes.set_xticks(ratings)
        axes.set_xlabel("Rating")
        axes.grid(axis="x", visible=False)
    panels[0].set_ylabel("Share")
