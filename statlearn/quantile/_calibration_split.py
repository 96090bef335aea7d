"""Rows to fit to and rows to calibrate with, drawn at random."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._groups import group_codes
from statlearn.utils._levels import rank_above

Rows = NDArray[np.intp]


def split_rows(
    n: int,
    size: float,
    groups: Any,
    together: bool,
    rng: np.random.Generator,
    caller: str,
) -> tuple[Rows, Rows]:
    """Draw rows for calibration.

    Parameters
    ----------
    n : int
        Number of rows.
    size : float or int
        Share or number of rows to draw, rounded up.
    groups : array-like of shape (n,) or None
        Labels.
    together : bool
        Whether groups are drawn as a whole; otherwise `size` is the share of each.
    rng : numpy.random.Generator
    caller : str
        For messages.

    Returns
    -------
    train, calibration : ndarray
        Rows in ascending order, none of them empty.

    Raises
    ------
    ValueError
        If one of them would be empty.
    """
    share = size / n if isinstance(size, Integral) else size
    codes = np.zeros(n, np.intp)
    if groups is not None:
        _, codes = group_codes(groups, caller)
    order = rng.permutation(n)
    drawn = np.zeros(n, bool)
    if together and groups is not None:
        counts = np.bincount(codes)
        sequence = rng.permutation(len(counts))
        before = np.concatenate([[0], np.cumsum(counts[sequence])[:-1]])
        drawn = np.isin(codes, sequence[before < rank_above(share * n)])
    else:
        for group in range(int(codes.max(initial=0)) + 1):
            own = order[codes[order] == group]
            drawn[own[: rank_above(share * len(own))]] = True
    if drawn.all() or not drawn.any():
        kind = "groups" if together and groups is not None else "rows"
        raise ValueError(
            f"{caller} expected {kind} both to fit to and to calibrate with, for "
            f"calibration_size={size:g}. Got {drawn.sum()} rows to calibrate with of "
            f"n_samples={n}; pass more {kind}, another calibration_size, or a fitted "
            f"estimator in FrozenEstimator."
        )
    return np.flatnonzero(~drawn), np.flatnonzero(drawn)
