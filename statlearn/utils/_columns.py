"""Columns of a table of numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_EPS = np.finfo(np.float64).eps


def hardly_vary(low: Array, high: Array) -> NDArray[np.bool_]:
    """Tell which columns differ by rounding only, from their extremes.

    A weighted mean would not do: that of equal numbers need not equal them.

    Parameters
    ----------
    low, high : ndarray of shape (p,)
        Least and largest value of each column, finite.

    Returns
    -------
    constant : ndarray of bool of shape (p,)
    """
    return 0.5 * high - 0.5 * low <= 8 * _EPS * np.maximum(np.abs(low), np.abs(high))
