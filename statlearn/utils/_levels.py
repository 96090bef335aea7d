"""Quantile levels: how they are read, found again, and turned into ranks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._validation import as_numbers

Array = NDArray[np.float64]

# Levels closer than this are the same: 0.1 + 0.2 is 0.30000000000000004.
SAME_LEVEL = 1e-9


def read_levels(levels: Any, caller: str) -> Array:
    """Return quantile levels as an array (q,), or say what they should be.

    Parameters
    ----------
    levels : array-like of shape (q,)
        Strictly increasing numbers in (0, 1), one or more.
    caller : str
        Name of the class or function for messages.

    Returns
    -------
    levels : ndarray of shape (q,)

    Raises
    ------
    ValueError
        If they are not numbers of one axis, outside (0, 1), unsorted or repeated.
    """
    found = as_numbers(levels)
    what = f"The 'levels' of {caller} must be strictly increasing numbers in (0, 1)."
    if found.ndim != 1 or not found.size or np.isnan(found).any():
        raise ValueError(f"{what} Got {levels!r}; pass a list such as [0.1, 0.5, 0.9].")
    outside = found[~((found > 0.0) & (found < 1.0))]
    if outside.size:
        raise ValueError(
            f"{what} Got {outside[0]:g}; leave it out, or divide percentages by 100."
        )
    steps = np.diff(found)
    if (np.abs(steps) < SAME_LEVEL).any():
        first = int(np.argmax(np.abs(steps) < SAME_LEVEL))
        raise ValueError(f"{what} Got {found[first]:g} twice; pass each level once.")
    if (steps < 0.0).any():
        raise ValueError(
            f"{what} Got {_shorten(found)}; pass sorted(levels), and predictions in "
            f"that order."
        )
    return found


def find_level(levels: Array, wanted: float) -> int | None:
    """Return the position of a level among sorted ones (q,), None if it is not there.

    Parameters
    ----------
    levels : ndarray of shape (q,)
    wanted : float

    Returns
    -------
    position : int or None
    """
    nearest = int(np.argmin(np.abs(levels - wanted)))
    return nearest if abs(levels[nearest] - wanted) < SAME_LEVEL else None


def rank_above(share: float) -> int:
    """Return the smallest integer that is not below a number, up to rounding.

    A rank such as 0.55 * 100 is 55.00000000000001 in floating point and still 55.
    """
    return math.ceil(share - SAME_LEVEL)


def _shorten(levels: Array) -> str:
    shown = [f"{level:g}" for level in levels[:6]]
    return "[" + ", ".join(shown) + (", ...]" if len(levels) > 6 else "]")
