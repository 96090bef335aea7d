"""Rows in which one feature runs through its range while the others are held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.utils import check_array
from sklearn.utils.sparsefuncs import csc_median_axis_0

from statlearn.utils._fitted import column_names
from statlearn.utils._numbers import is_integer

Array = NDArray[np.float64]


def feature_position(
    feature: str | int, names: Sequence[str], parameter: str, caller: str
) -> int:
    """Return the column of a feature given by name or position."""
    if is_integer(feature) and -len(names) <= int(feature) < len(names):
        return int(feature) % len(names)
    if isinstance(feature, str) and feature in names:
        return list(names).index(str(feature))
    shown = ", ".join(repr(str(name)) for name in names[:10])
    more = ", ..." if len(names) > 10 else ""
    raise ValueError(
        f"The '{parameter}' parameter of {caller} must name one of the {len(names)} "
        f"features, or give its position. Got {feature!r}; the features are "
        f"{shown}{more}."
    )


@dataclass(frozen=True)
class Profile:
    """One feature of a table.

    Attributes
    ----------
    X : data frame, (n, p) array or CSC matrix
    names : p strings
    position : int
        Column of the feature.
    caller : str
        Method named in messages.
    """

    X: Any
    names: list[str]
    position: int
    caller: str

    @classmethod
    def along(
        cls, X: Any, feature: str | int, known_names: Any, caller: str
    ) -> Profile:
        """Find the feature in a table; an array takes the names of the estimator."""
        if hasattr(X, "columns"):
            names = [str(name) for name in X.columns]
        else:
            X = check_array(
                X, accept_sparse="csc", dtype=None, ensure_all_finite="allow-nan"
            )
            p = X.shape[1]
            found = known_names is not None and len(known_names) == p
            names = list(known_names) if found else column_names(p)
        position = feature_position(feature, names, "feature", caller)
        return cls(X, names, position, caller)

    @property
    def name(self) -> str:
        """Name of the feature."""
        return str(self.names[self.position])

    def grid(self, resolution: int) -> Array:
        """Return the values of the feature to show, ascending."""
        column = self._column(self.position)
        if not _is_numeric(column):
            raise TypeError(
                f"The 'feature' parameter of {self.caller} must name a numeric column. "
                f"Got {self.name!r} of type {column.dtype}; choose another one, or "
                f"predict yourself and use from_predictions."
            )
        column = column.astype(np.float64)
        values = np.unique(column[np.isfinite(column)])
        if len(values) < 2 or resolution < 2:
            raise ValueError(
                f"{self.caller} expected a feature with at least 2 different values "
                f"and grid_resolution >= 2. Got {len(values)} of {self.name!r} and "
                f"grid_resolution={resolution}; choose another feature or value."
            )
        if len(values) <= resolution:
            return values
        return np.linspace(values[0], values[-1], resolution)

    def rows(self, values: Array, at: str | ArrayLike) -> Any:
        """Return a table like X with the feature at the values, the rest held."""
        held = self._held(at)
        count = len(values)
        if hasattr(self.X, "columns"):
            columns = {
                name: np.full(count, value)
                for name, value in zip(self.X.columns, held, strict=True)
            }
            columns[self.X.columns[self.position]] = values
            return type(self.X)(columns)
        dtype = object if self.X.dtype == object else np.float64
        table = np.tile(np.array(held, dtype=dtype), (count, 1))
        table[:, self.position] = values
        return table

    def _held(self, at: str | ArrayLike) -> list[Any]:
        """Return one value for each feature."""
        p = len(self.names)
        if isinstance(at, str) and at == "median":
            if issparse(self.X):
                return list(csc_median_axis_0(self.X))
            return [_typical(self._column(j)) for j in range(p)]
        row = np.asarray(at, dtype=object).ravel()
        if row.shape != (p,):
            raise ValueError(
                f"The 'at' parameter of {self.caller} must be 'median' or a row of "
                f"{p} values. Got {at!r}; pass X[i] for instance."
            )
        return row.tolist()

    def _column(self, j: int) -> NDArray[Any]:
        if hasattr(self.X, "columns"):
            return np.asarray(self.X[self.X.columns[j]])
        if issparse(self.X):
            return self.X[:, [j]].toarray().ravel()
        return self.X[:, j]


def _is_numeric(column: NDArray[Any]) -> bool:
    if column.dtype == object:
        return all(isinstance(v, int | float | np.number) for v in column.tolist())
    return column.dtype.kind in "biuf"


def _typical(column: NDArray[Any]) -> Any:
    """Median of a numeric column, most frequent value of another."""
    if _is_numeric(column):
        return float(np.nanmedian(column.astype(np.float64)))
    values, counts = np.unique(column.astype(str), return_counts=True)
    return str(values[counts.argmax()])
