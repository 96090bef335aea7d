"""What the first observation of a trajectory promises of its return."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.base import clone
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from statlearn.offline_rl._returns import unit_of

Array = NDArray[np.float64]

_N_FOLDS = 5
# So many trajectories for each coefficient make the values of a linear fit to them
# as good as those of a fit to others.
_ENOUGH = 10
_PENALTIES = np.logspace(-3, 3, 13)
# Directions of smaller variance, relative to the largest, are dependent on others.
_DEPENDENT = 1e-12


def initial_values(
    observations: NDArray[Any], returns: Array, estimator: Any, cv: Any, caller: str
) -> Array:
    """Return the value (N,) of each initial observation.

    Parameters
    ----------
    observations : (N, ...) array
        First observations, flattened here.
    returns : (N,) array
    estimator : regressor or None
        None stands for a linear fit: by least squares where it is in-sample, else
        with a penalty chosen by cross-validation.
    cv : "auto", None, int or splitter
        None predicts the trajectories of the fit itself; "auto" does so for the linear
        fit with trajectories enough, else predicts each fold by a fit to the others.
    caller : str
        For messages.
    """
    X = _varying(observations, len(returns), caller)
    n, d = X.shape
    if d == 0 or n <= 2:
        # Nothing to tell trajectories apart, or nothing left to learn it from.
        return group_means(returns, np.zeros(n, np.intp))
    unit = unit_of(returns)  # squares of huge returns would overflow
    y = returns / unit
    enough = estimator is None and n > _ENOUGH * (d + 1)
    if cv is None or (isinstance(cv, str) and enough):
        if estimator is None:
            found = least_squares_values(X, y)
        else:
            found = clone(estimator).fit(X, y).predict(X)
    else:
        if estimator is None:
            estimator = make_pipeline(StandardScaler(), RidgeCV(_PENALTIES))
        folds = _N_FOLDS if isinstance(cv, str) else cv
        if isinstance(folds, Integral):
            # Shuffled, since data sets are often sorted by who made them.
            folds = KFold(min(int(folds), n), shuffle=True, random_state=0)
        found = cross_val_predict(clone(estimator), X, y, cv=folds)
    with np.errstate(over="ignore"):  # of which the caller tells
        return np.asarray(found, dtype=np.float64).reshape(n) * unit


def group_means(returns: Array, codes: NDArray[np.intp]) -> Array:
    """Return the mean return (N,) of the group of each trajectory."""
    unit = unit_of(returns)
    total = np.bincount(codes, weights=returns / unit)
    return (total / np.bincount(codes))[codes] * unit


def least_squares_values(X: Array, y: Array) -> Array:
    """Return the fitted values (N,) of a linear regression of y on X (N, d).

    By the correlations of the columns, in O(N d^2): a fraction of the time of a
    singular value decomposition, with digits enough for values.
    """
    Z = X - X.mean(axis=0)
    Z /= np.abs(Z).max(axis=0)
    Z /= np.sqrt(np.einsum("ij,ij->j", Z, Z))
    mean = y.mean()
    variances, directions = eigh(Z.T @ Z)
    kept = directions[:, variances > _DEPENDENT * variances[-1]]
    scale = variances[variances > _DEPENDENT * variances[-1]]
    coef = kept @ ((kept.T @ (Z.T @ (y - mean))) / scale)
    return mean + Z @ coef


def _varying(observations: NDArray[Any], n: int, caller: str) -> Array:
    """Return the columns (n, d) of first observations that are not constant."""
    X = observations.reshape(n, -1)
    low, high = X.min(axis=0), X.max(axis=0)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError(
            f"{caller} expected finite first observations. Got NaN or infinity in some "
            f"of {n} trajectories; drop these, or pass groups."
        )
    varying = low != high
    X = X.astype(np.float64)
    return X if varying.all() else X[:, varying]
