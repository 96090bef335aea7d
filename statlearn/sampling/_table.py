"""Draws from many weights: cumulative sums with an index into them.

A draw looks up the bucket of a uniform number. If no sum lies in the bucket, that is
all; else it searches between the ends of the bucket, a step or two on average whatever
the number of weights. An alias table draws as fast, but is ten times as long in the
making and half as large again, so there is none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._arrays import to_float64
from statlearn.utils._validation import weight_problem

Array = NDArray[np.float64]

_MAX_BUCKETS = 2**22
_CHUNK = 2**16  # rows at once, so that what is made of them stays in the cache


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
        if largest < 1e-200 or largest > 1e300 / len(values):
            values = values / largest
        self.cumulative = np.cumsum(values)
        # In units of a bucket, so that the whole part of a number names its bucket.
        self.cumulative *= min(4 * len(values), _MAX_BUCKETS) / self.cumulative[-1]
        self._start = _index(self.cumulative)

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
        rows = np.empty(n, np.int64)
        for start in range(0, n, _CHUNK):
            part = slice(start, start + _CHUNK)
            self._find(target[part], rows[part])
        return rows

    def _find(self, target: Array, rows: NDArray[np.int64]) -> None:
        """Write the first row whose sum exceeds each target (n,) into `rows`."""
        bucket = target.astype(np.intp)
        rows[:] = self._start.take(bucket)
        active = np.flatnonzero(rows < 0)
        low, target = ~rows[active], target[active]
        high = self._start.take(bucket[active] + 1).astype(np.int64)
        high = np.maximum(high, ~high)
        while active.size:
            middle = (low + high) >> 1
            below = self.cumulative.take(middle) <= target
            low = np.where(below, middle + 1, low)
            high = np.where(below, high, middle)
            rows[active] = low
            open_ = np.flatnonzero(low < high)
            active, target = active[open_], target[open_]
            low, high = low[open_], high[open_]


def _index(cumulative: Array) -> NDArray[Any]:
    """Return how many sums lie before each bucket, inverted (~) where some lie in it.

    Parameters
    ----------
    cumulative : (n,) array in units of a bucket

    Returns
    -------
    start : integers, one for each bucket and for the ends of the last
    """
    dtype: Any = np.int32 if len(cumulative) < 2**31 - 1 else np.int64
    start = np.zeros(int(cumulative[-1]) + 3, dtype=dtype)
    for i in range(0, len(cumulative), _CHUNK):
        bucket = cumulative[i : i + _CHUNK].astype(np.intp)
        first = bucket[0]  # of sums, so buckets ascend
        found = np.bincount(bucket - first)
        start[first + 1 : first + 1 + len(found)] += found
    np.cumsum(start, dtype=dtype, out=start)
    np.invert(start[:-1], out=start[:-1], where=start[1:] > start[:-1])
    return start


def _checked(weights: Any, caller: str) -> Array:
    values, _ = to_float64(weights)
    problem = weight_problem(values)
    if problem:
        raise ValueError(
            f"The 'weights' of {caller} must be finite numbers >= 0 of shape (n,), not "
            f"all of them zero. Got {problem}; pass one weight for each row, such as "
            f"the result of a rule of statlearn.weights."
        )
    return values
