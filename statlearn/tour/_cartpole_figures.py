"""Drawings of the section on trajectories."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlearn.offline_rl import ReturnDistributionDisplay
from statlearn.tour import _cartpole_study as study
from statlearn.tour._cartpole_study import (
    METHODS,
    ONE,
    RETURN,
    TOP,
    Study,
)
from statlearn.tour._svg import INK, MUTED, SERIES

_COLORS = dict(zip(METHODS, (MUTED, *SERIES[1:3], SERIES[0]), strict=True))


def draw_returns(canvas: Any, found: Study) -> None:
    """Return of the clones in every setting, bars for means and dots for seeds."""
    axes = canvas.subplots()
    places = np.arange(len(study.SETTINGS))
    for number, method in enumerate(METHODS):
        shifted = places + 0.2 * (number - 1.5)
        means = [found.mean(setting, method) for setting in study.SETTINGS]
        axes.bar(shifted, means, 0.18, color=_COLORS[method], label=method)
        seeds = [found.returns(setting, method) for setting in study.SETTINGS]
        axes.plot(shifted, seeds, "o", color=INK, markersize=2.5)
    axes.axhline(study.LIMIT, color=MUTED, linewidth=1.0, linestyle="--")
    axes.set_xticks(places, [name.replace(", ", ",\n") for name in study.SETTINGS])
    axes.grid(visible=False, axis="x")
    axes.set_ylim(0.0, 1.06 * study.LIMIT)
    axes.set_xlabel("Transitions asked of the expert")
    axes.set_ylabel("Return of the clone")
    canvas.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=4
    )


def draw_weights(canvas: Any, found: Study) -> None:
    """Histogram of the returns that a clone sees, first seed, one percent."""
    panels = canvas.subplots(1, 2, sharey=True)
    for axes, method in zip(panels, (TOP, RETURN), strict=True):
        weighting = found.trials[ONE][0].weightings[method]
        display = ReturnDistributionDisplay.from_weighting(weighting, name=method)
        display.plot(axes, color=_COLORS[method], bins=25)
        axes.set_title(method.capitalize())
    panels[1].set_ylabel("")
