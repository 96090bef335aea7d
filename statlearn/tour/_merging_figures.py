"""Drawings of the section on models as weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlearn.merging import BarrierDisplay, TaskVectorDisplay
from statlearn.tour import _merging_study as study
from statlearn.tour._merging_study import Study
from statlearn.tour._svg import INK, MUTED, SERIES

_RULES = dict(zip(study.RULES, (MUTED, SERIES[4], SERIES[0], SERIES[1]), strict=True))


def draw_merging(canvas: Any, found: Study) -> None:
    """Accuracy of the merged networks over the scale, and angles of task vectors."""
    left, right = canvas.subplots(1, 2, width_ratios=(1.35, 1.0))
    for name, color in _RULES.items():
        values = found.scaled[name]
        left.plot(study.SCALES, values.mean(axis=0), "o-", color=color, label=name)
    for name, dashes in ((study.MIXTURE, "--"), (study.BASE, ":")):
        level = found.merged[name].mean()
        left.axhline(level, color=INK, linewidth=1.2, linestyle=dashes)
        left.plot([], [], dashes, color=INK, label=name)
    left.set_xlabel("Scale of the merged update")
    left.set_ylabel("Accuracy, mean of the views")
    canvas.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=3
    )
    TaskVectorDisplay.from_cosines(found.cosines, study.VIEWS).plot(right)


def draw_matching(canvas: Any, found: Study) -> None:
    """Loss between two networks, before and after matching, first seed."""
    left, right = canvas.subplots(1, 2, width_ratios=(1.5, 1.0))
    colors = {study.BEFORE: MUTED, study.AFTER: SERIES[0]}
    for name, color in colors.items():
        curve = found.curves[name][0]
        BarrierDisplay.from_curve(curve, name=name).plot(left, color=color)
    left.set_xlabel("Place on the line between the networks")
    left.set_ylabel("Log loss, images left out")
    left.set_ylim(bottom=0.0)
    places = np.arange(len(study.GAMMAS))
    for number, (name, color) in enumerate(colors.items()):
        means = found.agreement[name].mean(axis=0)
        right.bar(places + 0.36 * (number - 0.5), means, 0.34, color=color, label=name)
    right.set_xticks(places, ["all", f"at least {study.GAMMAS[1]:g}\nof the largest"])
    right.grid(visible=False, axis="x")
    right.set_xlabel("Singular values that count")
    right.set_ylabel("Alignment of singular vectors")


def draw_patch_and_steps(canvas: Any, found: Study) -> None:
    """Accuracy over the strength of the patch, and after each step of new classes."""
    left, right = canvas.subplots(1, 2)
    means = found.strengths.mean(axis=0)
    robust = found.patched[study.ROBUST].mean(axis=0)
    for column, (name, color) in enumerate((("grey", SERIES[1]), ("clean", SERIES[0]))):
        left.plot(
            study.STRENGTHS, means[:, column], "o-", color=color, label=f"{name} images"
        )
        left.axhline(robust[column], color=color, linewidth=1.0, linestyle="--")
    left.plot([], [], "--", color=INK, label=study.ROBUST)
    left.set_xlabel("Strength of the patch on the first layer")
    left.set_ylabel("Accuracy, images left out")
    left.set_ylim(0.0, 1.03)
    left.legend(loc="lower right")
    colors = (MUTED, SERIES[0], SERIES[4])
    markers = ("o-", "s-", "^--")
    for name, color, marker in zip(study.CLASSIFIERS, colors, markers, strict=True):
        path = found.steps[name].mean(axis=0)
        classes = 2 * np.arange(1, len(path) + 1)
        right.plot(classes, path, marker, color=color, label=name)
    last = found.final(study.ALL_ROWS)
    right.plot(classes[-1:], [last], "D", color=INK, label="all rows at once")
    right.set_xticks(classes)
    right.set_xlabel("Classes so far")
    right.set_ylabel("Accuracy on them, images left out")
    right.legend(loc="lower left")
