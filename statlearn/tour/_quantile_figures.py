"""Drawings of the section on quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlearn.tour import _quantile_study as study
from statlearn.tour._quantile_study import LEVELS, METHODS, MODELS, Study
from statlearn.tour._svg import INK, MUTED, SERIES

_COLORS = dict(zip(METHODS, (*SERIES[:4], MUTED, INK, INK), strict=True))
_MARKERS = dict(zip(METHODS, "os^vDPX", strict=True))
_BANDS = (("raw", -0.12, "none"), ("calibrated", 0.12, None))


def draw_losses(canvas: Any, found: Study) -> None:
    """Relative loss of every method, one line a table."""
    axes = canvas.subplots()
    for method in METHODS:
        place = METHODS.index(method)
        values = [found.relative(trials)[place] for trials in found.trials.values()]
        axes.plot(
            values,
            range(len(values)),
            linestyle="none",
            marker=_MARKERS[method],
            color=_COLORS[method],
            markersize=7,
            label=method,
        )
    axes.axvline(1.0, color=MUTED, linewidth=1.0, linestyle="--")
    axes.set_yticks(range(len(found.trials)), list(found.trials))
    axes.set_ylim(len(found.trials) - 0.5, -0.5)
    axes.set_xlabel("Pinball loss / that of the best model on the test rows")
    canvas.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=4
    )


def draw_coverage(canvas: Any, found: Study) -> None:
    """Coverage of raw and of calibrated intervals, one panel a table."""
    panels = canvas.subplots(1, len(found.trials), sharex=True, sharey=True)
    for axes, (name, trials) in zip(panels, found.trials.items(), strict=True):
        share, error = study.expected(trials)
        axes.axvspan(
            share - 2.0 * error, share + 2.0 * error, color=MUTED, alpha=0.2, lw=0
        )
        axes.axvline(study.COVERAGE, color=MUTED, linewidth=1.0, linestyle="--")
        covered = np.array([study.coverage(trials, method) for method in METHODS])
        for row, (label, shift, fill) in enumerate(_BANDS):
            axes.plot(
                covered[:, row],
                np.arange(len(METHODS)) + shift,
                linestyle="none",
                marker="o",
                color=INK,
                markerfacecolor=fill,
                label=label,
            )
        axes.set_title(name.capitalize())
        axes.set_xlabel("Share of targets inside")
    panels[0].set_yticks(range(len(METHODS)), METHODS)
    panels[0].invert_yaxis()
    canvas.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2
    )


def draw_weights(canvas: Any, found: Study) -> None:
    """Medium weights of the models against the level, one panel a table."""
    panels = canvas.subplots(1, len(found.trials), sharey=True)
    for axes, (name, trials) in zip(panels, found.trials.items(), strict=True):
        weights = np.mean([trial.weights for trial in trials], axis=0)
        for place, model in enumerate(MODELS):
            axes.plot(
                LEVELS,
                weights[:, place],
                color=_COLORS[model],
                marker=_MARKERS[model],
                label=model,
            )
        axes.set_xticks(LEVELS, [f"{level:g}" for level in LEVELS])
        axes.set_title(name.capitalize())
        axes.set_xlabel("Level")
    panels[0].set_ylim(bottom=0.0)
    panels[0].set_ylabel("Weight")
    canvas.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4
    )
