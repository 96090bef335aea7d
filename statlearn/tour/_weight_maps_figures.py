"""Drawings of the section on maps of weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlearn.tour import _weight_maps_runs as runs
from statlearn.tour._svg import INK, MUTED, SERIES
from statlearn.tour._weight_maps_study import Study

_BOUNDING = {runs.PLAIN: SERIES[1], runs.SLOWER: SERIES[4], runs.BOUNDED: SERIES[0]}
_LEARNED, _FROM_WEIGHTS = SERIES[1], SERIES[0]


def draw_adapting(canvas: Any, found: Study) -> None:
    """Accuracy by method and view, a large mark for the mean, small ones for seeds."""
    axes = canvas.subplots()
    places = np.arange(len(runs.METHODS))
    looks = zip(runs.VIEWS, SERIES, ("o", "s"), (-0.1, 0.1), strict=False)
    for view, color, mark, offset in looks:
        scores = np.array([found.adapted[name, view] for name in runs.METHODS])
        up = places + offset
        axes.plot(scores.mean(axis=1), up, mark, color=color, ms=8, label=view)
        for values in scores.T:
            axes.plot(values, up, mark, color=color, ms=3, alpha=0.6)
        axes.axvline(found.before[view].mean(), color=color, linestyle=":")
    axes.set_yticks(places, runs.METHODS)
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel("Accuracy on changed images, left out")
    axes.legend(title="Images", loc="upper left", bbox_to_anchor=(0.12, 1.0))


def draw_bound_and_scales(canvas: Any, found: Study) -> None:
    """Densities of weights, and how far scales move in the last phase."""
    left, right = canvas.subplots(1, 2)
    edges = np.linspace(-0.4, 0.4, 61)
    for name, color in _BOUNDING.items():
        first = found.bounded[name][0]
        density, _ = np.histogram(first.weights, edges, density=True)
        left.stairs(density, edges, color=color, linewidth=1.5, label=name)
    limit = found.bounded[runs.BOUNDED][0].bound
    for side in (-limit, limit):
        left.axvline(side, 0.0, 0.68, color=INK, linestyle=":", linewidth=1.0)
    left.set_xlabel("Weight of the first hidden layer")
    left.set_ylabel("Density")
    left.set_ylim(top=1.5 * left.get_ylim()[1])
    left.legend(loc="upper left")
    looks = {
        runs.LSQ: (_LEARNED, "--"),
        runs.STATSQ: (_FROM_WEIGHTS, "--"),
        runs.ANNEALED: (_FROM_WEIGHTS, "-"),
    }
    for name, (color, dashes) in looks.items():
        scales = np.array([each.scales for each in found.quantised[name]])
        moved = 100.0 * np.abs(scales / scales[:, :1] - 1.0).mean(axis=(0, 2))
        right.plot(np.arange(1, len(moved)), moved[1:], dashes, color=color, label=name)
    right.set_yscale("log")
    right.set_xlabel("Step of the last phase")
    right.set_ylabel("Mean change of the scales (%)")
    right.grid(visible=True, axis="y", color=MUTED, alpha=0.2)
    right.legend(loc="lower right")
