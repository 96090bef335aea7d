"""Powers of two to measure very large and very small numbers in."""

from __future__ import annotations

from collections.abc import Iterable
from math import frexp
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Products of arrays are doubles, to full precision, for norms up to this number and
# down to its inverse.
LARGE = 2.0**200


def unit_of(arrays: Iterable[NDArray[Any]]) -> int:
    """Return the power of two to measure arrays in: 0 unless products leave doubles."""
    arrays = list(arrays)
    with np.errstate(over="ignore", under="ignore"):
        # Costs less than the largest number.
        norm = max((float(np.linalg.norm(array)) for array in arrays), default=0.0)
    if 1.0 / LARGE < norm < LARGE:
        return 0
    largest = (max(a.max(), -a.min()) for a in arrays if a.size)
    return frexp(float(max(largest, default=0.0)))[1]


def in_units(numbers: Any, power: int) -> Any:
    """Return numbers measured in a power of two; the same ones if that is one."""
    return np.ldexp(numbers, -power) if power else numbers
