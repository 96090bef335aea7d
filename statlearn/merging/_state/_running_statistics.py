"""Running means and variances, which normalisation layers count and do not learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._state._entry import Array, Entry

# Last part of the names of what normalisation layers count instead of learn.
RUNNING_STATISTICS = ("running_mean", "running_var")


def is_statistic(name: str) -> bool:
    """Tell the name of a running mean or variance."""
    return name.rpartition(".")[2] in RUNNING_STATISTICS


def statistic_kernel(
    weights: Sequence[float] | Array | None, n_models: int, lam: float
) -> Callable[[Entry], NDArray[Any]]:
    """Return the kernel that moves running statistics from the base to their mean.

    The mean is under the weights of the models, of which those below zero count as
    zero; without a positive one the statistics stay those of the base.
    """
    positive = np.ones(n_models) if weights is None else np.maximum(weights, 0.0)
    way = lam if positive.any() else 0.0
    shares = positive / (positive.sum() or 1.0)

    def merge(entry: Entry) -> NDArray[Any]:
        merged = np.empty(entry.size, dtype=entry.base.dtype)
        for block in entry.blocks():
            mean = shares @ entry.values(block)
            moved = (1.0 - way) * entry.start(block) + way * mean  # exact at both ends
            merged[block] = within_bounds(moved, entry.name)
        return merged

    return merge


def within_bounds(numbers: Array, name: str) -> Array:
    """Return numbers of an array of this name; a running variance is at least zero."""
    if name.rpartition(".")[2] != "running_var":
        return numbers
    return np.maximum(numbers, 0.0)
