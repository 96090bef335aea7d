"""Domains of rows: how large each is, and what its rows weigh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.exceptions import StatlearnWarning
from statlearn.sampling import temperature_probs
from statlearn.schedules import StepCooldown
from statlearn.utils._groups import group_codes, label_rows
from statlearn.utils._warn import warn

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WeightedDomains:
    """Domains of the rows that have weight.

    Attributes
    ----------
    names : list of length K
    order : ndarray of shape (n_counted,)
        Rows that have weight, sorted by domain.
    sizes : ndarray of shape (K,)
        Number of these rows in each domain.
    totals : ndarray of shape (K,)
        Their base weights, added up.
    """

    names: list[Any]
    order: NDArray[np.intp]
    sizes: NDArray[np.intp]
    totals: Array

    def law(self, cooldown: StepCooldown) -> Callable[[int], Array]:
        """Return ``step -> probabilities (K,)``; a domain is as large as its weight."""
        return lambda step: temperature_probs(self.totals, float(cooldown(step)))

    def even(self, base: Array) -> Array:
        """Return base weights (n,), divided by their mean in the domain of the row."""
        starts = np.cumsum(self.sizes) - self.sizes
        kept = base[self.order]
        # By the largest first: means of the smallest numbers have no digits left.
        kept = kept / np.repeat(np.maximum.reduceat(kept, starts), self.sizes)
        mean = np.add.reduceat(kept, starts) / self.sizes
        weight = np.zeros(len(base))
        weight[self.order] = kept / np.repeat(mean, self.sizes)
        return weight


def read_domains(
    domains: Any, base: Array, caller: str
) -> tuple[NDArray[np.intp] | None, WeightedDomains]:
    """Return the domain of each row (n,), None if there are none, and what they are.

    Parameters
    ----------
    domains : array-like of shape (n,) or None
    base : ndarray of shape (n,)
        Base weights.
    caller : str
        For messages.

    Raises
    ------
    ValueError
        For labels that are missing or of another number than rows, or weights whose
        sum overflows.
    """
    counted = np.flatnonzero(base)
    with np.errstate(over="ignore"):
        total = base.sum()
    if not np.isfinite(total):
        raise ValueError(
            f"The 'sample_weight' of {caller} must have a finite sum. Got weights up "
            f"to {base.max():.3g}, whose sum overflows; divide them by the largest."
        )
    if domains is None:
        warn(
            f"{caller} expected domains, the label of each row's domain. Got none, so "
            f"all rows are one domain; pass fit(X, y, domains=...), with metadata "
            f"routing after set_fit_request(domains=True).",
            StatlearnWarning,
        )
        return None, WeightedDomains(
            [0], counted, np.array([len(counted)]), np.array([total])
        )
    rows = label_rows(domains, caller, "domains")
    if len(rows) != len(base):
        raise ValueError(
            f"The 'domains' of {caller} must hold one label for each row. Got "
            f"{len(rows)} labels for {len(base)} rows; pass both for the same rows."
        )
    names, codes = group_codes(rows, caller, base > 0.0, name="domains")
    order = counted[np.argsort(codes[counted], kind="stable")]
    sizes = np.bincount(codes[counted], minlength=len(names))
    totals = np.bincount(codes, base, len(names)).astype(np.float64)
    kept = np.flatnonzero(sizes)
    return codes, WeightedDomains(
        [names[k] for k in kept], order, sizes[kept], totals[kept]
    )
