"""Lengths and angles of models, for the rules that merge by them.

Such a rule needs no more of an array than the products of the models with each other,
summed up block by block, and then one weighted sum: no copy of an array in float64 is
made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._state._entry import Array, Entry
from statlearn.merging._state._merge_states import blockwise

# --- passes over the numbers -------------------------------------------------


def products(entry: Entry, *, updates: bool = False) -> Array:
    """Return the products of the models, or of their updates, (T, T)."""
    read = entry.updates if updates else entry.values
    total = np.zeros((len(entry.models),) * 2)
    for block in entry.blocks():
        rows = read(block)
        total += rows @ rows.T
    return total


def cosines_of(dots: Array) -> Array:
    """Return products over lengths, 0 for arrays of zeros."""
    lengths = np.sqrt(np.diag(dots))
    scales = np.outer(lengths, lengths)
    cosines = np.divide(dots, scales, out=np.zeros_like(dots), where=scales > 0.0)
    return np.clip(cosines, -1.0, 1.0)


def weighted(entry: Entry, coefficients: Array) -> NDArray[Any]:
    """Return the sum of the models under coefficients, flat."""
    merged = np.empty(entry.size, dtype=entry.base.dtype)
    for block in entry.blocks():
        merged[block] = coefficients @ entry.values(block)
    return merged


def moved(entry: Entry, coefficients: Array) -> NDArray[Any]:
    """Return the base plus the sum of the updates under coefficients, flat."""
    return blockwise(lambda start, updates: start + coefficients @ updates)(entry)
