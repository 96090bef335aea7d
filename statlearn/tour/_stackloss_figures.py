"""Drawings of the robust regression section."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlearn.linear_model import RobustResidualsDisplay
from statlearn.tour._stackloss_study import HUBER, LMROB, MM, OLS, RLM, Stackloss
from statlearn.tour._svg import INK, MUTED, PAPER, SERIES

_PANELS = ("Air flow", "Temperature of the water", "Acid concentration")
_PUBLISHED = {HUBER: RLM, MM: LMROB}


def draw_coefficients(canvas: Any, study: Stackloss) -> None:
    """Slopes of the three fits with intervals, one panel a feature."""
    panels = canvas.subplots(1, len(_PANELS), sharey=True)
    rows = np.arange(len(study.fits))[::-1]
    for j, (axes, name) in enumerate(zip(panels, _PANELS, strict=True), start=1):
        for number, (row, method) in enumerate(zip(rows, study.fits, strict=True)):
            fit = study.fits[method]
            reach = np.abs(fit.intervals[j] - fit.coef[j])[:, None]
            axes.errorbar(
                fit.coef[j], row, xerr=reach, fmt="o", color=SERIES[number],
                markersize=9, elinewidth=2.5,
            )  # fmt: skip
            if method in _PUBLISHED:
                axes.plot(
                    _PUBLISHED[method].coef[j], row, "D", color=PAPER,
                    markeredgecolor=INK, markersize=4, zorder=3,
                )  # fmt: skip
        axes.axvline(0.0, color=MUTED, linewidth=1.2, linestyle="--")
        axes.set_title(name)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("Slope")
    panels[0].set_yticks(rows, list(study.fits))
    panels[0].set_ylim(-0.6, len(rows) - 0.4)


def draw_residuals(canvas: Any, study: Stackloss) -> None:
    """Residuals of least squares and of MM against the distances of the days."""
    left, right = canvas.subplots(1, 2, sharey=True, width_ratios=(1.0, 1.25))
    days = np.arange(1, len(study.y) + 1)
    for axes, method in ((left, OLS), (right, MM)):
        fit = study.fits[method]
        display = RobustResidualsDisplay.from_predictions(
            study.y,
            study.y - fit.distances * fit.scale,
            study.X,
            scale=fit.scale,
            weights=fit.weights if method == MM else None,
            labels=days,
            random_state=0,
        )
        color = {} if method == MM else {"color": SERIES[0]}
        display.plot(axes, n_labels=8, **color)
        axes.set_title(f"{method[0].upper()}{method[1:]}, scale {fit.scale:.2f}")
    right.set_ylabel("")
