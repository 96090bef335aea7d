"""Draws from many weights: cumulative sums with an index into them.

A draw looks up the bucket of a uniform number and searches between its ends, a step or
two on average whatever the number of weights. An alias table draws as fast, but is ten
times as long in the making and half as large again, so there is none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._arrays import to_float64

Array = NDArray[np.float64]

_MAX_BUCKETS = 2**21
_CHUNK = 2**17


class CumulativeTable:
    """Cumulative weights, and where each of many equal buckets of them starts.

    Parameters
    ----------
    weights : array-like or tensor of shape (n,)
        Non-negative and finite, not all zero.
    caller : str
        For messages.
    """

    def __init__(self, weights: Any, caller: str) -> None:
        values = _checked(weights, caller)
        largest = values.max()
        if largest < 1e-200 or largest * len(values) > 1e300:
            values = values / largest
        self.cumulative = np.cumsum(values)
        # In units of a bucket, so that the whole part of a number names its bucket.
        self.cumulative *= min(4 * len(values), _MAX_BUCKETS) / self.cumulative[-1]
        self._start = _starts(self.cumulative)

    def probabilities(self) -> Array:
        """Return the chance (n,) of each row to be the next one."""
        out = np.diff(self.cumulative, prepend=0.0)
        out /= self.cumulative[-1]
        return out

    def draw(self, generator: np.random.Generator, n: int) -> NDArray[np.int64]:
        """Return rows (n,) drawn independently with replacement."""
        target = generator.random(n)
        # Stays below the last sum: the largest number below 1 times a double rounds to
        # the double before it.
        target *= self.cumulative[-1]
        bucket = target.astype(np.intp)
        # The row sought is the first whose sum exceeds the target.
        low = self._start.take(bucket).astype(np.int64)
        active = np.flatnonzero(self.cumulative.take(low) <= target)
        low[active] += 1
        high = self._start.take(bucket[active] + 1).astype(np.int64)
        target = target[active]
        while active.size:
            open_ = low[active] < high
            active, high, target = active[open_], high[open_], target[open_]
            middle = (low[active] + high) >> 1
            below = self.cumulative[middle] <= target
            low[active] = np.where(below, middle + 1, low[active])
            high = np.where(below, high, middle)
        return low


def _starts(cumulative: Array) -> NDArray[Any]:
    """Return how many sums lie before each bucket, and before the end of the last."""
    count = np.zeros(int(cumulative[-1]) + 3, np.int64)
    for start in range(0, len(cumulative), _CHUNK):
        bucket = cumulative[start : start + _CHUNK].astype(np.intp)
        first = bucket[0]  # of sums, so buckets ascend
        found = np.bincount(bucket - first)
        count[first + 1 : first + 1 + len(found)] += found
    np.cumsum(count, out=count)
    return count.astype(np.int32) if len(cumulative) < 2**31 else count


def _checked(weights: Any, caller: str) -> Array:
    values, _ = to_float64(weights)
    problem = None
    if values.ndim != 1 or values.size == 0:
        problem = f"shape {values.shape}"
    elif not (np.isfinite(values.min()) and np.isfinite(values.max())):
        problem = f"NaN or infinity, first in row {np.argmin(np.isfinite(values))}"
    elif values.min() < 0.0:
        problem = f"{values.min()} in row {np.argmin(values)}"
    elif not values.any():
        problem = "zeros only"
    if problem:
        raise ValueError(
            f"The 'weights' of {caller} must be finite numbers >= 0 of shape (n,), not "
            f"all of them zero. Got {problem}; pass one weight for each row, such as "
            f"the result of a rule of statlearn.weights."
        )
    return values
