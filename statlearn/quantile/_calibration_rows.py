"""How calibration rows are read: predictions, targets, weights, groups and folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.quantile._conformal_scores import Ends
from statlearn.utils._groups import group_codes
from statlearn.utils._validation import as_numbers, read_sample_weight

Array = NDArray[np.float64]

METHODS = ("split", "cv+", "jackknife-minmax")


def read_predictions(values: Any, n_columns: int, name: str, caller: str) -> Array:
    """Return finite predictions (n, c) of calibration rows."""
    array = as_numbers(values)
    if array.ndim != 2 or array.shape[1] != n_columns or not len(array):
        raise ValueError(
            f"The '{name}' of {caller} must have shape (n, {n_columns}) with n >= 1. "
            f"Got shape {array.shape}; pass one column for each level."
        )
    require_finite(array, f"'{name}' of {caller}")
    return array


def stack_ends(lower: Any, upper: Any, caller: str) -> Array:
    """Return lower and upper ends of one shape as an array (..., 2)."""
    ends = as_numbers(lower), as_numbers(upper)
    if ends[0].shape != ends[1].shape or ends[0].ndim == 0:
        raise ValueError(
            f"The 'lower' and 'upper' of {caller} must be numbers of the same shape. "
            f"Got {ends[0].shape} and {ends[1].shape}; pass both for the same rows."
        )
    return np.stack(ends, axis=-1)


def require_finite(values: Array, what: str) -> None:
    """Raise if predictions are missing or infinite."""
    bad = ~np.isfinite(values)
    if bad.any():
        raise ValueError(
            f"The {what} must be finite numbers. Got NaN or infinity in {bad.sum()} of "
            f"{bad.size} values; mend the model that predicts them, or leave these "
            f"rows out."
        )


def require_length(values: NDArray[Any], n: int, name: str, caller: str) -> None:
    """Raise unless there is one value for each of n rows."""
    if values.shape != (n,):
        raise ValueError(
            f"The '{name}' of {caller} must have shape ({n},), one for each row. Got "
            f"shape {values.shape}; pass both for the same rows."
        )


def read_groups(groups: Any, n: int, caller: str) -> NDArray[Any]:
    """Return the labels (n,) of the groups of n rows."""
    labels, codes = group_codes(groups, caller)
    require_length(codes, n, "groups", caller)
    # Labels can be pairs, which `np.array` would make an array of two axes.
    return np.fromiter(labels, object, len(labels))[codes]


@dataclass(frozen=True, slots=True)
class CalibrationRows:
    """Calibration rows that have weight.

    Attributes
    ----------
    kept : ndarray of shape (n,)
        Their positions among those that were given.
    y : ndarray of shape (n,)
    weight : ndarray of shape (n,) or None
    labels : list of length G or None
    codes : ndarray of shape (n,)
        Positions of groups among the labels; zeros without groups.
    folds : ndarray of shape (n,) or None
    n_folds : int
    method : str
    """

    kept: NDArray[np.intp]
    y: Array
    weight: Array | None
    labels: list[Any] | None
    codes: NDArray[np.intp]
    folds: NDArray[np.intp] | None
    n_folds: int
    method: str

    @property
    def weighted(self) -> bool:
        return self.weight is not None

    def calibration(self, signs: Array, shares: Array, scores: Array) -> dict[str, Any]:
        """Return the fields that every calibration has."""
        ends = Ends.of(
            signs,
            shares,
            scores,
            method=self.method,
            weight=self.weight,
            codes=self.codes,
            folds=self.folds,
            n_folds=self.n_folds,
        )
        offsets = ends.offsets()
        return {
            "method": self.method,
            "offsets": offsets[0] if self.labels is None else offsets,
            "groups": self.labels,
            "n_calibration": len(self.y),
            "n_folds": self.n_folds,
            "weighted": self.weighted,
            "ends": ends,
        }


def read_rows(
    values: Array,
    y: Any,
    method: str,
    folds: Any,
    sample_weight: Any,
    groups: Any,
    caller: str,
) -> CalibrationRows:
    if method not in METHODS:
        raise ValueError(
            f"The 'method' of {caller} must be one of {', '.join(map(repr, METHODS))}. "
            f"Got {method!r}; pass for example 'split'."
        )
    n = len(values)
    target = as_numbers(y)
    require_length(target, n, "y", caller)
    require_finite(target, f"'y' of {caller}")
    held, n_folds = _read_folds(folds, n, method, caller)
    weight, kept = None, np.arange(n)
    if sample_weight is not None:
        weight = read_sample_weight(sample_weight, target, caller)
        kept = np.flatnonzero(weight)
        weight = weight[kept]
    labels, codes = None, np.zeros(len(kept), np.intp)
    if groups is not None:
        all_labels, all_codes = group_codes(groups, caller)
        require_length(all_codes, n, "groups", caller)
        # A group without weight has no offset, and is unknown later.
        present, codes = np.unique(all_codes[kept], return_inverse=True)
        labels = [all_labels[number] for number in present]
    held = None if held is None else held[kept]
    return CalibrationRows(
        kept, target[kept], weight, labels, codes, held, n_folds, method
    )


def _read_folds(
    folds: Any, n: int, method: str, caller: str
) -> tuple[NDArray[np.intp] | None, int]:
    """Return the fold of each row and the number of folds."""
    if (folds is None) != (method == "split"):
        raise ValueError(
            f"The 'folds' of {caller} must be given for 'cv+' and 'jackknife-minmax', "
            f"and only then. Got {'None' if folds is None else 'folds'} with "
            f"method={method!r}; pass the fold in which each row was held out, or "
            f"choose another method."
        )
    if folds is None:
        return None, 1
    found = np.asarray(folds)
    require_length(found, n, "folds", caller)
    if found.dtype.kind not in "iu" or found.min() < 0:
        raise ValueError(
            f"The 'folds' of {caller} must be integers from 0 on, the place of each "
            f"row's model among the fold predictions. Got {found.dtype} from "
            f"{found.min()}; leave out rows that were in no fold."
        )
    return found.astype(np.intp), int(found.max()) + 1
