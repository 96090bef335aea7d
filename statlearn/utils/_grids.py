"""Grids of quantiles, and targets next to them: how they are read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite, column_or_1d

# Of float32 or float64, as the input is.
FloatArray = NDArray[Any]
Array = NDArray[np.float64]


def read_grid(
    grid: Any, caller: str, levels: Array | None = None, name: str = "grid"
) -> FloatArray:
    """Return quantiles as an array (..., q), or say what they should be.

    Parameters
    ----------
    grid : array-like of shape (..., q)
        Numbers, among them infinite ones but no NaN.
    caller : str
        Name of the class or function for messages.
    levels : ndarray of shape (q,), default=None
        What the last axis must be as long as; None takes any length >= 1.
    name : str, default="grid"
        Name of the parameter for messages.

    Returns
    -------
    grid : ndarray of shape (..., q)
        The input itself if it is an array of float32 or float64, else in float64.

    Raises
    ------
    ValueError
        For another length of the last axis, or values that are missing or no numbers.
    """
    what = f"The '{name}' of {caller} must"
    found = np.asarray(grid)
    if found.dtype not in (np.float32, np.float64):
        try:
            found = found.astype(np.float64)
        except (TypeError, ValueError):
            raise ValueError(
                f"{what} hold numbers. Got dtype {found.dtype}; convert them."
            ) from None
    if found.ndim == 0 or not found.shape[-1]:
        raise ValueError(
            f"{what} have one quantile or more along its last axis. Got shape "
            f"{found.shape}; pass an array such as (n_samples, n_levels)."
        )
    if levels is not None and found.shape[-1] != len(levels):
        raise ValueError(
            f"{what} have one value for each of {len(levels)} levels along its last "
            f"axis. Got shape {found.shape}; pass the levels that belong to it."
        )
    # The least of them is NaN if any is, and needs no memory.
    if np.isnan(found.min(initial=np.inf)):
        missing = np.isnan(found)
        raise ValueError(
            f"{what} hold no NaN. Got {missing.sum()} of {found.size} values missing; "
            f"drop or fill these rows."
        )
    return found


def read_rows(
    grid: Any, caller: str, levels: Array | None = None, name: str = "grid"
) -> FloatArray:
    """Return quantiles of rows as an array (n, q), as :func:`read_grid` reads them.

    Parameters
    ----------
    grid : array-like of shape (n, q)
    caller : str
        Name of the class or function for messages.
    levels : ndarray of shape (q,), default=None
    name : str, default="grid"
        Name of the parameter for messages.

    Returns
    -------
    grid : ndarray of shape (n, q)

    Raises
    ------
    ValueError
        As :func:`read_grid`, and for another number of axes than two.
    """
    found = read_grid(grid, caller, levels, name)
    if found.ndim != 2:
        raise ValueError(
            f"The '{name}' of {caller} must have shape (n, q): a row for each sample, "
            f"a column for each level. Got shape {found.shape}; reshape it."
        )
    return found


def read_column(values: Any, n: int, caller: str, name: str = "y_true") -> Array:
    """Return finite numbers, one for each of n rows, or say what they should be.

    A column (n, 1) is as good: it must not meet rows (n,) and become (n, n).

    Parameters
    ----------
    values : array-like of shape (n,) or (n, 1)
    n : int
    caller : str
        Name of the class or function for messages.
    name : str, default="y_true"
        Name of the parameter for messages.

    Returns
    -------
    values : ndarray of shape (n,)

    Raises
    ------
    ValueError
        For another shape, or values that are not finite.
    """
    try:
        found = column_or_1d(np.asarray(values), dtype=np.float64)
        assert_all_finite(found)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The '{name}' of {caller} must hold one finite number for each of {n} "
            f"rows. Got values refused with: {str(error).strip().rstrip('.')}; correct "
            f"them or drop these rows."
        ) from error
    if len(found) != n:
        raise ValueError(
            f"The '{name}' of {caller} must hold one number for each of {n} rows. Got "
            f"{len(found)}; pass targets and predictions of the same rows."
        )
    return found
