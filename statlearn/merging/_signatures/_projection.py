"""What one model has and another lacks: differences, and residuals of projections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._state._entry import Array, Entry
from statlearn.merging._state._layouts import check_finite

# Sums of squares below this one may have lost parts that are no doubles any more.
_SMALL = 1e-200


def difference(name: str, *, robust: NDArray[Any], clean: NDArray[Any]) -> Array:
    """Return robust minus clean weights, (...) float64."""
    entry = Entry(name, clean.reshape(-1), (robust.reshape(-1),))
    change, total = np.empty(entry.size), 0.0
    start = np.empty(min(entry.block_size, entry.size))
    with np.errstate(invalid="ignore", over="ignore"):
        for block in entry.blocks():
            (part,) = entry.values(block, change[np.newaxis, block])
            part -= entry.start(block, start)
            total += float(part.sum())
    if not np.isfinite(total):
        _check(name, robust=robust, clean=clean)
    return change.reshape(clean.shape)


def residual(
    name: str, *, robust: NDArray[Any], clean: NDArray[Any], base: NDArray[Any]
) -> Array:
    """Return the robust update without its part along the clean one, (...) float64.

    The result holds the robust update until that part is known: two passes, and beside
    it no array of the weights' size.
    """
    entry = Entry(name, base.reshape(-1), (clean.reshape(-1),))
    other = robust.reshape(-1)
    left, unit = np.empty(entry.size), 1.0
    with np.errstate(invalid="ignore", over="ignore"):
        aa, ab = _products(entry, other, unit, left)
    if not (_SMALL < aa < np.inf and np.isfinite(ab)):
        _check(name, robust=robust, clean=clean, base=base)
        largest = (float(np.abs(a).max()) for _, _, a in _updates(entry, unit))
        unit = max(largest, default=0.0)
        aa, ab = _products(entry, other, unit, left) if unit > 0.0 else (1.0, 0.0)
    if unit > 0.0 and entry.size == 1:
        # Any two numbers are parallel; rounding would say otherwise.
        return np.zeros(clean.shape)
    for block, _, a in _updates(entry, unit):
        a *= ab / aa
        left[block] -= a
    return left.reshape(clean.shape)


def _updates(entry: Entry, unit: float) -> Iterator[tuple[slice, Array, Array]]:
    """Yield blocks with the base and the updates in a unit, (b,) for a while."""
    scratch = entry.scratch()
    start = np.empty(scratch.shape[1])
    for block in entry.blocks():
        origin, (a,) = entry.start(block, start), entry.values(block, scratch)
        a -= origin
        if unit not in {0.0, 1.0}:
            a /= unit
        yield block, origin, a


def _products(
    entry: Entry, robust: NDArray[Any], unit: float, left: Array
) -> tuple[float, float]:
    """Return the inner products of the clean update with itself and the robust one.

    The robust update is written to `left`, since memory that is new costs as much as
    the arithmetic, and is paid for once.
    """
    aa = ab = 0.0
    for block, origin, a in _updates(entry, unit):
        b = left[block]
        b[:] = robust[block]
        b -= origin
        aa += float(np.dot(a, a))
        ab += float(np.dot(a, b))
    return aa, ab


def _check(name: str, **models: NDArray[Any]) -> None:
    """Refuse numbers that are not finite in any of the models."""
    for who, array in models.items():
        check_finite(array, name, f"the {who} model")
