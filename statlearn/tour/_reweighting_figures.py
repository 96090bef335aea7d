"""Drawings of the loss reweighting section."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlearn.tour._reweighting_study import (
    DIRTY,
    EPOCHS,
    GOAL,
    NOISY,
    RATES,
    REDUNDANT,
    RULES,
    UNIFORM,
    Diabetes,
    Toy,
)
from statlearn.tour._svg import MUTED, SERIES

_COLORS = dict(zip(RULES, SERIES, strict=False))
#: Points of a curve that are drawn; more would only swell the page.
_N_POINTS = 120


def draw_losses(canvas: Any, toy: Toy) -> None:
    """Test loss against step under each rule, one panel a kind of data."""
    panels = canvas.subplots(1, 3, sharey=True)
    for axes, kind in zip(panels, (REDUNDANT, NOISY, DIRTY), strict=True):
        for rule, paths in toy.paths[kind].items():
            at = np.unique(np.linspace(0, paths.shape[1] - 1, _N_POINTS).astype(int))
            # The mean of logarithms: one slow table must not stand for all.
            curve = np.exp(np.log(paths[:, at]).mean(axis=0))
            axes.plot(at + 1, curve, color=_COLORS[rule], label=rule)
        axes.axhline(GOAL, color=MUTED, linewidth=1.0, linestyle="--")
        axes.set_yscale("log")
        axes.set_title(kind.capitalize())
        axes.set_xlabel("Step")
    panels[0].set_ylim(5e-4, 20.0)
    panels[0].set_ylabel("Test loss")
    panels[0].legend()


def draw_rates(canvas: Any, toy: Toy) -> None:
    """Draw the steps to the goal against the step length, one line a rule."""
    axes = canvas.subplots()
    for rule, steps in toy.by_rate.items():
        axes.plot(RATES, steps, "o-", color=_COLORS[rule], label=rule)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
    axes.set_yticks([30, 100, 300, 1000], ["30", "100", "300", "1000"])
    axes.minorticks_off()
    axes.set_xlabel("Learning rate")
    axes.set_ylabel(f"Steps to test loss {GOAL:g}")
    axes.legend()


def draw_diabetes(canvas: Any, diabetes: Diabetes) -> None:
    """Test loss relative to uniform weights against epochs, dots for the splits."""
    axes = canvas.subplots()
    base = diabetes.losses[UNIFORM]
    places = np.arange(len(EPOCHS))
    others = [rule for rule in diabetes.losses if rule != UNIFORM]
    for number, rule in enumerate(others):
        shifted = places + 0.22 * (number - 1)
        change = 100 * (diabetes.losses[rule] / base - 1.0)
        axes.plot(
            np.broadcast_to(shifted, change.shape), change, "o", color=_COLORS[rule],
            alpha=0.4, markersize=3.5, markeredgewidth=0.0,
        )  # fmt: skip
        axes.plot(
            shifted, 100 * diabetes.change(rule), "_", color=_COLORS[rule],
            markersize=14, markeredgewidth=2.5, label=rule,
        )  # fmt: skip
    axes.axhline(0.0, color=MUTED, linewidth=1.2, linestyle="--")
    axes.set_xticks(places, [str(epoch) for epoch in EPOCHS])
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("Epochs")
    axes.set_ylabel("Test loss, % above uniform")
    axes.legend(ncols=3)
