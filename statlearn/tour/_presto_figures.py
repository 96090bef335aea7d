"""Drawings of the PRESTO section."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlearn.ordinal import OrdinalPathDisplay
from statlearn.tour._presto_study import Simulation, Survey
from statlearn.tour._svg import INK, MUTED, PAPER, SERIES

_LABELS = {
    "yrs_married": "years married",
    "religious": "religiousness",
    "educ": "education",
    "occupation_husb": "husband's occupation",
}


def draw_ratios(
    canvas: Any, simulation: Simulation, published: dict[str, float]
) -> None:
    """Bars of the median ratio, a dot a data set, a diamond for the paper."""
    axes = canvas.subplots()
    names = list(published)
    medians = simulation.median_ratios()
    for row, name in enumerate(names):
        ratios = np.sort(simulation.ratios(name))
        offset = np.linspace(-0.18, 0.18, len(ratios)) if len(ratios) > 1 else [0.0]
        axes.barh(row, medians[name], height=0.62, color=SERIES[row], alpha=0.35)
        axes.plot(ratios, row + np.asarray(offset), "o", color=SERIES[row])
        axes.plot(
            published[name], row, "D", color=PAPER, markeredgecolor=INK, markersize=8
        )
        axes.annotate(
            f"{medians[name]:.2f}",
            (medians[name], row + 0.31),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontweight="bold",
        )
    axes.axvline(1.0, color=MUTED, linewidth=1.2, linestyle="--")
    axes.set_yticks(range(len(names)), [f"against\n{name}" for name in names])
    axes.set_ylim(-0.6, len(names) - 0.3)
    axes.set_xlim(left=0.0)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("Squared error of PRESTO / squared error of the peer")


def draw_years(canvas: Any, survey: Survey) -> None:
    """Predicted and observed share of the rare answer, one panel a method."""
    panels = canvas.subplots(1, len(survey.curves), sharex=True, sharey=True)
    share, low, high = 100 * survey.observed.T
    for number, (axes, name) in enumerate(zip(panels, survey.curves, strict=True)):
        for curve in survey.curves[name]:
            axes.plot(survey.years, 100 * curve, color=SERIES[number], alpha=0.55,
                      linewidth=1.2)  # fmt: skip
        axes.errorbar(
            survey.years,
            share,
            yerr=[share - low, high - share],
            fmt="o",
            color=INK,
            elinewidth=0.9,
            markersize=4,
        )
        axes.set_title(name)
        axes.set_xlabel("Years married")
    panels[0].set_ylabel("Share of 'very poor', %")
    panels[0].set_ylim(bottom=0)


def draw_path(survey: Survey) -> Any:
    """Slopes of the standardised features along the path, one panel a boundary."""
    display = OrdinalPathDisplay(
        alphas=survey.model.alphas_,
        coefs=survey.model.coefs_path_,
        feature_names=[_LABELS.get(name, name) for name in survey.feature_names],
        classes=np.array(survey.answers),
        alpha=survey.model.alpha_,
    ).plot()
    display.figure_.set_size_inches(8.8, 3.4)
    return display.figure_
