"""Drawings of the section on scale-invariant weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlearn.tour import _adamp_study as study
from statlearn.tour._adamp_study import Study
from statlearn.tour._svg import INK, MUTED, SERIES

_COLORS = {"SGD": SERIES[0], "SGDP": SERIES[0], "AdamW": SERIES[1], "AdamP": SERIES[1]}


def _dashes(name: str) -> str:
    """Full lines for optimizers that project, dashes for the others."""
    return "-" if name in study.PAIRS.values() else "--"


def draw_growth(canvas: Any, found: Study) -> None:
    """Growth of the weight and accuracy, bars or ticks for means, dots for seeds."""
    left, right = canvas.subplots(1, 2)
    places = np.arange(len(study.RATES))
    for place, name in enumerate(study.RATES):
        growths, accuracies = found.growths(name), found.accuracies(name)
        projects = _dashes(name) == "-"
        color = _COLORS[name]
        left.bar(
            place,
            growths.mean(),
            0.6,
            color=color if projects else "none",
            edgecolor=color,
            linestyle=_dashes(name),
            linewidth=1.4,
        )
        left.annotate(
            f"{100.0 * growths.mean():.0f} %",
            (place, growths.max()),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
        )
        right.plot(place, accuracies.mean(), "_", color=color, ms=26, mew=2.2)
        right.plot(np.full(len(accuracies), place), accuracies, "o", color=INK, ms=3)
    left.margins(y=0.12)
    left.yaxis.set_major_formatter(lambda value, _: f"{100.0 * value:.0f} %")
    left.set_ylabel("Growth of the weight's norm")
    right.set_ylim(0.95, 1.0)
    right.set_ylabel("Accuracy, images left out")
    for axes in (left, right):
        axes.set_xticks(places, study.RATES)
        axes.set_xlim(-0.6, len(places) - 0.4)
        axes.grid(visible=False, axis="x")


def draw_paths(canvas: Any, found: Study) -> None:
    """Lengths in the quotient, and what is left of the step in training."""
    left, right = canvas.subplots(1, 2)
    colors = {study.DESCENT: MUTED, study.HEAVY: SERIES[1], study.PROJECTED: SERIES[0]}
    for name, color in colors.items():
        left.plot(found.descents[name].lengths, color=color, label=name)
    left.set_xlabel("Step")
    left.set_ylabel("Length of the weight, quotient")
    left.legend(loc="center right")
    for name, color in _COLORS.items():
        left_over = found.left_over(name)
        schedule = study.schedule_of(len(left_over))
        right.plot(schedule * left_over, _dashes(name), color=color, label=name)
    right.plot(schedule, ":", color=INK, label="schedule")
    right.set_xlabel("Step")
    right.set_ylabel("Effective step over the first, digits")
    right.legend(loc="upper right")
