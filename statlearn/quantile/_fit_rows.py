"""Rows that an estimator is fitted to: read once, and taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, check_consistent_length, column_or_1d, indexable

from statlearn.quantile._calibration_rows import read_groups
from statlearn.quantile._forecasts import Forecasts
from statlearn.utils._sklearn import take_rows
from statlearn.utils._validation import read_sample_weight, require_target

Array = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class FitRows:
    """Rows with their targets.

    Attributes
    ----------
    X : array-like of shape (n, n_features), or Forecasts
        As the caller gave it.
    y : ndarray of shape (n,)
    weight : ndarray of shape (n,) or None
    groups : ndarray of shape (n,) or None
        Labels.
    """

    X: Any
    y: Array
    weight: Array | None
    groups: NDArray[Any] | None

    def take(self, rows: Rows) -> FitRows:
        """Return some of the rows, by position."""
        if isinstance(self.X, Forecasts):
            features = None if self.X.X is None else take_rows(self.X.X, rows)
            X: Any = Forecasts(self.X.P[rows], features)
        else:
            X = take_rows(self.X, rows)
        return FitRows(
            X, self.y[rows], take(self.weight, rows), take(self.groups, rows)
        )


def take(values: Any, rows: Rows) -> Any:
    """Return some of the values, if there are any."""
    return None if values is None else values[rows]


def read_fit_rows(
    X: Any, y: Any, sample_weight: Any, groups: Any, caller: str
) -> FitRows:
    """Return rows that belong together, or say which of them do not.

    Parameters
    ----------
    X : array-like of shape (n, n_features)
        Handed on as it is.
    y : array-like of shape (n,)
    sample_weight : array-like of shape (n,) or None
    groups : array-like of shape (n,) or None
    caller : str

    Returns
    -------
    rows : FitRows

    Raises
    ------
    ValueError
        For targets that are missing or not finite, bad weights, groups of another
        length.
    """
    require_target(y, caller)
    target = check_array(
        column_or_1d(y, warn=True), dtype=np.float64, ensure_2d=False, input_name="y"
    )
    (X,) = indexable(X)
    check_consistent_length(X, target)
    weight = None
    if sample_weight is not None:
        weight = read_sample_weight(sample_weight, target, caller)
    if groups is not None:
        groups = read_groups(groups, len(target), caller)
    return FitRows(X, target, weight, groups)
