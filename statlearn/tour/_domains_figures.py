"""Drawings of the section on unequal domains."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlearn.sampling import gradient_variance_ratio, temperature_probs
from statlearn.tour._domains_study import (
    BUDGETS,
    CAMERAS,
    SCHEMES,
    SIZES,
    TAU,
    Domains,
)
from statlearn.tour._svg import INK, MUTED, SERIES

_COLORS = dict(zip(SCHEMES, SERIES, strict=False))
_MARKERS = dict(zip(SCHEMES, "os^vD", strict=True))


def draw_losses(canvas: Any, domains: Domains) -> None:
    """Loss against the budget under each scheme, one panel a camera."""
    panels = canvas.subplots(1, len(SIZES))
    for number, axes in enumerate(panels):
        for scheme in SCHEMES:
            axes.plot(
                BUDGETS,
                domains.of_domain(scheme, number),
                color=_COLORS[scheme],
                marker=_MARKERS[scheme],
                markersize=5,
                label=scheme,
            )
        axes.set_xscale("log")
        axes.set_xticks(BUDGETS, [str(budget) for budget in BUDGETS])
        axes.minorticks_off()
        axes.set_ylim(bottom=0.0)
        axes.set_title(f"{CAMERAS[number].capitalize()}, {SIZES[number]} rows")
        axes.set_xlabel("Batches")
    panels[0].set_ylabel("Log loss on fresh images")
    canvas.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3
    )


def draw_noise(canvas: Any, domains: Domains) -> None:
    """Shares of the domains, and the noise of weighting, against the temperature."""
    left, right = canvas.subplots(1, 2)
    taus = np.geomspace(1.0, 100.0, 60)
    shares = np.array([temperature_probs(SIZES, tau) for tau in taus])
    for number, camera in enumerate(CAMERAS):
        left.plot(taus, shares[:, number], color=SERIES[number], label=camera)
    left.set_ylim(bottom=0.0)
    left.legend(loc="upper right")
    left.set_ylabel("Share of a batch")
    before, after = domains.moments.mean(axis=0)
    for label, moments, style in (
        ("equal gradients", None, "-"),
        ("gradients at the start", before, "--"),
        ("gradients of the trained network", after, ":"),
    ):
        ratios = [gradient_variance_ratio(SIZES, tau, moments) for tau in taus]
        right.plot(taus, ratios, linestyle=style, color=INK, label=label)
    right.axhline(1.0, color=MUTED, linewidth=1.0)
    right.set_ylabel("Weighting / sampling")
    right.set_ylim(bottom=0.0)
    right.legend(loc="lower right")
    for axes in (left, right):
        axes.axvline(TAU, color=MUTED, linewidth=1.0, linestyle=":")
        axes.set_xscale("log")
        axes.set_xticks([1, 2, 5, 10, 100], ["1", "2", "5", "10", "100"])
        axes.minorticks_off()
        axes.set_xlabel("Temperature")
