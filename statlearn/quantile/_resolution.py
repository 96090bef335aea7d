"""How finely weights may differ between levels, and the pieces that this makes."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._validation import as_numbers

NAMES = ("coarse", "medium", "fine")

Index = NDArray[np.intp]


def read_resolution(
    resolution: Any, level_groups: Any, n_levels: int, caller: str
) -> Index:
    """Return the group of each level (q,), counted from zero.

    Parameters
    ----------
    resolution : {"coarse", "medium", "fine"} or int
        One group, one for each level (twice), or so many groups of adjacent levels.
    level_groups : array-like of shape (q,) or None
        Labels of groups instead.
    n_levels : int
    caller : str
        Name of the function or class for messages.

    Returns
    -------
    groups : ndarray of shape (q,)

    Raises
    ------
    ValueError
        If there is no such resolution, or the labels are not one for each level.
    """
    if level_groups is not None:
        return _read_groups(level_groups, n_levels, caller)
    if isinstance(resolution, str) and resolution in NAMES:
        return (
            np.arange(n_levels) if resolution != "coarse" else np.zeros(n_levels, int)
        )
    whole = isinstance(resolution, Integral) and not isinstance(resolution, bool)
    if whole and 1 <= resolution <= n_levels:
        return np.arange(n_levels) * int(resolution) // n_levels
    raise ValueError(
        f"The 'resolution' of {caller} must be one of {list(NAMES)} or a number of "
        f"groups between 1 and the {n_levels} levels. Got {resolution!r}; pass "
        f"'medium' for weights of their own at each level."
    )


def _read_groups(level_groups: Any, n_levels: int, caller: str) -> Index:
    labels = as_numbers(level_groups)
    if labels.shape != (n_levels,) or (labels != np.floor(labels)).any():
        raise ValueError(
            f"The 'level_groups' of {caller} must hold one whole number for each of "
            f"the {n_levels} levels. Got {level_groups!r}; pass for example "
            f"{(np.arange(n_levels) * 2 // n_levels).tolist()}."
        )
    return np.unique(labels, return_inverse=True)[1].reshape(-1)
