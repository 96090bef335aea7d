"""Robust scale of residuals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# 1 / Phi^-1(3/4): the median of |z| of a standard normal z is its inverse.
_CONSISTENCY = 1.482602218505602
# Residuals below this share of the size of y are zero up to rounding.
ZERO = 1e-12


def mad(residuals: Array, base_weight: Array | None = None) -> float:
    """Return the median of absolute residuals, on the scale of a normal deviation.

    The residuals are not centred again. An integer base weight is the same as repeated
    rows, and a row of base weight zero is the same as no row.

    Parameters
    ----------
    residuals : (n,) array, n >= 1
    base_weight : (n,) non-negative array, not all zero, default=None

    Returns
    -------
    scale : float
        Zero if at least half of the weight lies on residuals of zero.
    """
    size = np.abs(residuals)
    if base_weight is None:
        return _CONSISTENCY * float(np.median(size))
    return _CONSISTENCY * _weighted_median(size, base_weight)


def size_of(y: Array, base: Array | None) -> float:
    """Return the size of most responses (n,), which no outlier can move far."""
    return mad(y, base) or float(np.abs(y).max())


def _weighted_median(values: Array, weight: Array) -> float:
    """Return the value that halves the weight, the mean of two where both do."""
    kept = weight > 0.0
    if not kept.all():
        values, weight = values[kept], weight[kept]
    order = np.argsort(values)
    values = values[order]
    cumulated = np.cumsum(weight[order])
    half = 0.5 * cumulated[-1]
    # Weights that are no integers reach half of their total up to rounding only.
    slack = 4.0 * np.finfo(np.float64).eps * cumulated[-1]
    first = int(np.searchsorted(cumulated, half - slack, side="left"))
    if cumulated[first] <= half + slack and first + 1 < len(values):
        return float(0.5 * (values[first] + values[first + 1]))
    return float(values[first])
