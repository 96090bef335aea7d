"""What one model has and another lacks: differences, and residuals of projections."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._state import Array, Entry, check_finite

# Sums of squares below this one may have lost parts that are no doubles any more.
_SMALL = 1e-200


def difference(name: str, clean: NDArray[Any], robust: NDArray[Any]) -> Array:
    """Return robust minus clean weights, (...) float64."""
    change = robust.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        change -= clean
        finite = np.isfinite(change.sum())
    if not finite:
        _check(name, clean=clean, robust=robust)
    return change


def residual(
    name: str, clean: NDArray[Any], robust: NDArray[Any], base: NDArray[Any]
) -> Array:
    """Return the robust update without its part along the clean one, (...) float64.

    Works in blocks: beside the result there is no array of the weights' size.
    """
    flat = tuple(model.reshape(-1) for model in (clean, robust))
    entry = Entry(name, base.reshape(-1), flat)
    unit = 1.0
    with np.errstate(invalid="ignore", over="ignore"):
        aa, ab = _products(entry, unit)
    if not (_SMALL < aa < np.inf and np.isfinite(ab)):
        _check(name, clean=clean, robust=robust, base=base)
        unit = max((_largest(entry, block) for block in entry.blocks()), default=0.0)
        aa, ab = _products(entry, unit) if unit > 0.0 else (1.0, 0.0)
    if unit > 0.0 and entry.size == 1:
        # Any two numbers are parallel; rounding would say otherwise.
        return np.zeros(clean.shape)
    left = np.empty(entry.size)
    for block in entry.blocks():
        a, b = _updates(entry, block, unit)
        a *= ab / aa
        np.subtract(b, a, out=left[block])
    return left.reshape(clean.shape)


def _updates(entry: Entry, block: slice, unit: float) -> Array:
    """Return clean updates in a unit and robust ones as they are, (2, b)."""
    updates = entry.updates(block)
    if unit not in {0.0, 1.0}:
        updates[0] /= unit
    return updates


def _products(entry: Entry, unit: float) -> tuple[float, float]:
    """Return the inner products of the clean update with itself and the robust one."""
    aa = ab = 0.0
    for block in entry.blocks():
        a, b = _updates(entry, block, unit)
        aa += float(np.dot(a, a))
        ab += float(np.dot(a, b))
    return aa, ab


def _largest(entry: Entry, block: slice) -> float:
    return float(np.abs(entry.updates(block)[0]).max())


def _check(name: str, **models: NDArray[Any]) -> None:
    """Refuse numbers that are not finite in any of the models."""
    for who, array in models.items():
        check_finite(array, name, f"the {who} model")
