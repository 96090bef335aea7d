"""The candidates that a search for a high-breakdown fit goes on with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Best:
    """The candidates of smallest objective so far, best first.

    Parameters
    ----------
    size : int
        How many are kept.

    Attributes
    ----------
    coef : (k, p) array
    value : (k,) array
        Objectives, ascending.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.coef: Array = np.zeros((0, 0))
        self.value: Array = np.zeros(0)

    @property
    def bound(self) -> float:
        """What a new candidate has to beat; infinity while there is room."""
        return float(self.value[-1]) if len(self.value) == self.size else np.inf

    def distinct(self, radius: Array) -> Best:
        """Return those that have no better one within their radius (k,)."""
        chosen: list[int] = []
        for k, coef in enumerate(self.coef):
            gaps = np.linalg.norm(self.coef[chosen] - coef, axis=1)
            if not (gaps <= radius[k]).any():
                chosen.append(k)
        found = Best(self.size)
        found.coef, found.value = self.coef[chosen], self.value[chosen]
        return found

    def shortened(self, size: int) -> Best:
        """Return the first of them."""
        found = Best(size)
        found.coef, found.value = self.coef[:size], self.value[:size]
        return found

    def add(self, coef: Array, value: Array) -> None:
        """Add candidates (k, p) with their objectives (k,)."""
        if len(self.value):
            coef = np.concatenate((self.coef, coef))
            value = np.concatenate((self.value, value))
        order = np.argsort(value, kind="stable")[: self.size]
        self.coef, self.value = coef[order], value[order]
