"""Results of conformal calibration, which calibrate predictions for new rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.exceptions import SmallCalibrationWarning
from statlearn.quantile._calibration_rows import (
    require_finite,
    require_length,
    stack_ends,
)
from statlearn.quantile._conformal_scores import Ends
from statlearn.utils._groups import group_codes
from statlearn.utils._tables import number, text_table
from statlearn.utils._validation import as_numbers
from statlearn.utils._warn import warn

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the results of both functions below have in common.

    Attributes
    ----------
    method : str
        "split", "cv+" or "jackknife-minmax".
    offsets : ndarray of shape (c,) or (n_groups, c)
        What is added to the predicted ends; a row for each group if there are groups.
        With weights, for a new row of weight 1. For "cv+", of all folds pooled.
    groups : list of length n_groups or None
    n_calibration : int
        Rows that have weight.
    n_folds : int
        Fold models that predict new rows; 1 for "split".
    weighted : bool
        Whether new rows need a weight.
    ends : Ends
        Scores behind the offsets.
    """

    method: str
    offsets: Array
    groups: list[Any] | None
    n_calibration: int
    n_folds: int
    weighted: bool
    ends: Ends

    def _table(self, names: list[str]) -> str:
        """Return the offsets of named ends as text."""
        columns = ["offset"] if self.groups is None else list(map(str, self.groups))
        rows = [
            [name, *map(number, offsets)]
            for name, offsets in zip(names, np.atleast_2d(self.offsets).T, strict=True)
        ]
        title = f"{self.method}, {self.n_calibration} calibration rows"
        return f"{title}\n\n{text_table(['', *columns], rows)}"


@dataclass(frozen=True, slots=True)
class GridCalibration(Calibration):
    """Calibration of a grid of quantiles, each level by itself.

    Attributes
    ----------
    levels : ndarray of shape (q,)
        Quantile levels of the columns.
    method : str
        "split", "cv+" or "jackknife-minmax".
    offsets : ndarray of shape (q,) or (n_groups, q)
        What is added to each level; a row for each group if there are groups. With
        weights, for a new row of weight 1. For "cv+", if all folds predict the same.
    groups : list of length n_groups or None
        Labels of the groups.
    n_calibration : int
        Rows that have weight.
    n_folds : int
        Fold models that predict new rows; 1 for "split".
    weighted : bool
        Whether new rows need a weight.
    ends : Ends
        Scores behind the offsets.
    """

    levels: Array

    def summary(self) -> str:
        """Return the offsets as a text table.

        Returns
        -------
        table : str
            A row for each level, a column for each group.
        """
        return self._table([f"level {level:g}" for level in self.levels])

    def apply(self, grid: Any, groups: Any = None, weight_new: Any = None) -> Array:
        """Return calibrated quantiles of new rows.

        Parameters
        ----------
        grid : array-like of shape (n, q), or (K, n, q) with folds
            What the model, or the model of each fold, predicts.
        groups : array-like of shape (n,), default=None
            Groups of the rows, if the calibration had groups.
        weight_new : array-like of shape (n,), default=None
            Weights of the rows, if the calibration had weights.

        Returns
        -------
        grid : ndarray of shape (n, q)
            May cross: put the rows in order afterwards.

        Raises
        ------
        ValueError
            For a wrong shape, missing values, an unknown group, or groups or weights
            that are given here or in the calibration only.
        """
        caller = "GridCalibration.apply"
        return apply_to_rows(self, as_numbers(grid), groups, weight_new, caller)


@dataclass(frozen=True, slots=True)
class IntervalCalibration(Calibration):
    """Calibration of intervals.

    Attributes
    ----------
    coverage : float
        Share of new rows that the intervals are to hold.
    method : str
        "split", "cv+" or "jackknife-minmax".
    offsets : ndarray of shape (2,) or (n_groups, 2)
        What is added to the lower and upper end; a row for each group if there are
        groups. With weights, for a new row of weight 1. For "cv+", if all folds
        predict the same.
    groups : list of length n_groups or None
        Labels of the groups.
    n_calibration : int
        Rows that have weight.
    n_folds : int
        Fold models that predict new rows; 1 for "split".
    weighted : bool
        Whether new rows need a weight.
    ends : Ends
        Scores behind the offsets.
    """

    coverage: float

    def summary(self) -> str:
        """Return the offsets as a text table.

        Returns
        -------
        table : str
            A row for each end, a column for each group.
        """
        return self._table(["lower", "upper"])

    def apply(
        self, lower: Any, upper: Any, groups: Any = None, weight_new: Any = None
    ) -> Array:
        """Return calibrated intervals of new rows.

        Parameters
        ----------
        lower, upper : array-like of shape (n,), or (K, n) with folds
            Ends that the model, or the model of each fold, predicts.
        groups : array-like of shape (n,), default=None
            Groups of the rows, if the calibration had groups.
        weight_new : array-like of shape (n,), default=None
            Weights of the rows, if the calibration had weights.

        Returns
        -------
        interval : ndarray of shape (n, 2)
            Ends may cross where intervals shrink: such an interval is empty.

        Raises
        ------
        ValueError
            For a wrong shape, missing values, an unknown group, or groups or weights
            that are given here or in the calibration only.
        """
        caller = "IntervalCalibration.apply"
        ends = stack_ends(lower, upper, caller)
        return apply_to_rows(self, ends, groups, weight_new, caller)


def apply_to_rows(
    calibration: Calibration,
    values: Array,
    groups: Any,
    weight_new: Any,
    caller: str,
    weight_name: str = "weight_new",
) -> Array:
    """Return ends (r, c) from those (r, c) of one model or (K, r, c) of K of them.

    Parameters
    ----------
    calibration : Calibration
    values : ndarray of shape (r, c) or (K, r, c)
    groups : array-like of shape (r,) or None
    weight_new : array-like of shape (r,) or None
    caller : str
        For messages.
    weight_name : str, default="weight_new"
        Of the parameter, for messages.

    Returns
    -------
    ends : ndarray of shape (r, c)
    """
    split, n_ends = calibration.method == "split", len(calibration.ends.signs)
    if split:
        values = values[np.newaxis]
    shape = (calibration.n_folds, n_ends)
    if values.ndim != 3 or (values.shape[0], values.shape[2]) != shape:
        wanted = "(n" if split else f"({calibration.n_folds}, n"
        raise ValueError(
            f"The predictions for {caller} must have shape {wanted}, {n_ends}), as "
            f"those that were calibrated. Got shape {values.shape[1 if split else 0 :]}"
            f"; pass predictions of the same models at the same levels."
        )
    require_finite(values, f"predictions for {caller}")
    codes = _read_new_groups(calibration, groups, values.shape[1], caller)
    weight = _read_new_weights(
        calibration, weight_new, values.shape[1], caller, weight_name
    )
    found = calibration.ends.apply(values, codes, weight)
    if weight is not None:
        _warn_of_heavy_rows(calibration, found, weight, caller)
    return found


def _read_new_groups(
    calibration: Calibration, groups: Any, n: int, caller: str
) -> NDArray[np.intp]:
    """Return the places (n,) of the groups of new rows in the calibration."""
    if (groups is None) != (calibration.groups is None):
        if groups is None:
            got = "Got None; pass the group of each new row"
        else:
            got = "Got groups; leave them out, or pass groups to the calibration too"
        raise ValueError(
            f"The 'groups' of {caller} must be given where the calibration had groups, "
            f"and only there. {got}."
        )
    if groups is None or calibration.groups is None:
        return np.zeros(n, np.intp)
    labels, codes = group_codes(groups, caller)
    require_length(codes, n, "groups", caller)
    place = {label: number for number, label in enumerate(calibration.groups)}
    unknown = [number for number, label in enumerate(labels) if label not in place]
    if unknown:
        raise ValueError(
            f"The 'groups' of {caller} must be among those of the calibration. Got "
            f"{labels[unknown[0]]!r}{and_more(len(unknown) - 1)} in "
            f"{np.isin(codes, unknown).sum()} rows; calibrate with rows of this group, "
            f"or give these rows another one."
        )
    return np.array([place[label] for label in labels], np.intp)[codes]


def _read_new_weights(
    calibration: Calibration, weight_new: Any, n: int, caller: str, name: str
) -> Array | None:
    """Return the weights (n,) of new rows, None if all rows count the same."""
    if (weight_new is None) == calibration.weighted:
        if weight_new is None:
            got = "Got None; pass the weight of each new row, on the same scale"
        else:
            got = "Got weights; leave them out, or pass weights to the calibration too"
        raise ValueError(
            f"The '{name}' of {caller} must be given where the calibration had "
            f"weights, and only there. {got}."
        )
    if weight_new is None:
        return None
    weight = as_numbers(weight_new)
    require_length(weight, n, name, caller)
    if not (np.isfinite(weight).all() and (weight >= 0.0).all()):
        raise ValueError(
            f"The '{name}' of {caller} must be finite numbers >= 0. Got values from "
            f"{weight.min()} to {weight.max()}; correct these rows."
        )
    return weight


def _warn_of_heavy_rows(
    calibration: Calibration, found: Array, weight: Array, caller: str
) -> None:
    infinite = np.isinf(found).any(axis=1)
    if not infinite.any():
        return
    share = float(np.nanmax(calibration.ends.shares))
    total = min(cells[0].total for cells in calibration.ends.cells)
    which = "" if calibration.groups is None else " in the smallest group"
    warn(
        f"{caller} expected calibration rows of {share / (1.0 - share):g} times the "
        f"weight of a new row. Got new rows of weight up to {weight[infinite].max():g} "
        f"for a total of {total:g}{which}, so {infinite.sum()} of {len(weight)} rows "
        f"have infinite bounds; calibrate with more rows like these.",
        SmallCalibrationWarning,
    )


def and_more(count: int, text: str = " (and {} more)") -> str:
    return text.format(count) if count > 0 else ""
