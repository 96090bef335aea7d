"""Drawings of the section on continual learning."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlearn.continual import ForgettingDisplay
from statlearn.tour._digits_study import ALONE, SHARES, SHIFTS, TOGETHER, Digits
from statlearn.tour._svg import INK, MUTED, SERIES

_OLD, _NEW = SERIES[:2]


def draw_losses(canvas: Any, digits: Digits) -> None:
    """Loss of the old and the new task against the share of old rows."""
    panels = canvas.subplots(1, 2, sharey=True)
    places = range(len(SHARES))
    for axes, shift in zip(panels, SHIFTS, strict=True):
        for column, (name, color) in enumerate((("old", _OLD), ("new", _NEW))):
            losses = [digits.losses[shift][share][:, column] for share in SHARES]
            axes.plot(places, [values.mean() for values in losses], "-", color=color)
            axes.plot(places, losses, "o", color=color)
            axes.plot([], [], "o-", color=color, label=f"{name} task")
        levels = ((ALONE, MUTED, "--"), (TOGETHER, INK, ":"))
        for name, color, dashes in levels:
            level = digits.old(shift, name)
            axes.axhline(level, color=color, linewidth=1.2, linestyle=dashes)
            axes.plot([], [], dashes, color=color, label=f"old task, {name}")
        axes.set_xticks(places, [f"{100 * share:.0f} %" for share in SHARES])
        axes.set_title(shift.capitalize())
        axes.set_xlabel("Old rows in a batch")
    panels[0].set_ylim(bottom=0.0)
    panels[0].set_ylabel("Log loss, images left out")
    canvas.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center",
                  ncols=4)  # fmt: skip


def draw_course(canvas: Any, digits: Digits) -> None:
    """Loss of both tasks while they are learnt, and the learning rate."""
    left, right, rates = canvas.subplots(1, 3)
    for axes, share in ((left, SHARES[0]), (right, SHARES[1])):
        history = digits.history[share]
        display = ForgettingDisplay(
            history.point.astype(float),
            history.loss,
            starts=np.searchsorted(history.task, [0.0, 1.0]).astype(float),
            task_names=["old", "new"],
        )
        display.plot(axes)
        axes.set_title(f"{100 * share:.0f} % of old rows")
        axes.set_ylabel("Log loss, images to learn from")
        axes.set_ylim(0.0, 2.6)
    rates.plot(1000.0 * digits.history[SHARES[0]].learning_rate, color=INK)
    rates.set_title("Learning rate")
    rates.set_xlabel("Step")
    rates.set_ylabel("Thousandths")
    rates.set_ylim(bottom=0.0)
