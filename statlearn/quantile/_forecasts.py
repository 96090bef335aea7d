"""Forecasts that are given to an aggregator in the place of models and rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import indexable

from statlearn.utils._validation import as_numbers

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Forecasts:
    """Given forecasts of rows, and features for weights that depend on them.

    Attributes
    ----------
    P : ndarray of shape (n, m, q)
    X : array-like of shape (n, n_features) or None
    """

    P: Array
    X: Any = None


def read_forecasts(
    P: Any, levels: Array, caller: str, n_models: int | None = None, *, name: str = "P"
) -> Array:
    """Return forecasts (n, m, q) as finite numbers, or say what they should be.

    Parameters
    ----------
    P : array-like of shape (n, m, q)
    levels : ndarray of shape (q,)
    caller : str
    n_models : int, default=None
        The number m where it is known.
    name : str, default="P"
        Name of the parameter for messages.

    Returns
    -------
    P : ndarray of shape (n, m, q)
        With one or more rows, models and levels.

    Raises
    ------
    ValueError
        For another shape, or forecasts that are missing; the model is named.
    """
    found, m = as_numbers(P), "m models" if n_models is None else f"{n_models} models"
    right = found.ndim == 3 and found.shape[2] == len(levels) and found.size > 0
    if not right or (n_models is not None and found.shape[1] != n_models):
        raise ValueError(
            f"The '{name}' of {caller} must hold numbers of shape (n, {m}, "
            f"{len(levels)} levels). Got shape {found.shape}; put the grids of the "
            f"models on axis 1, as np.stack(grids, axis=1) does."
        )
    if not np.isfinite(found).all():
        rows = (~np.isfinite(found)).any(axis=2).sum(axis=0)
        worst = int(rows.argmax())
        others = [str(model) for model in np.flatnonzero(rows) if model != worst]
        more = f", and from models {', '.join(others)}" if others else ""
        raise ValueError(
            f"The '{name}' of {caller} must hold finite numbers. Got NaN or infinity "
            f"from model {worst} (counted from 0) in {rows[worst]} of {len(found)} rows"
            f"{more}; drop or fill these predictions."
        )
    return found


def read_fit_forecasts(
    P: Any, y: Any, X: Any, levels: Array, local: Any, caller: str
) -> Forecasts:
    """Return forecasts to learn weights from, with features if these are `local`.

    Parameters
    ----------
    P : array-like of shape (n, m, q)
    y : array-like of shape (n,)
    X : array-like of shape (n, n_features) or None
    levels : ndarray of shape (q,)
    local : None, str or object
        As the aggregator has it.
    caller : str

    Returns
    -------
    given : Forecasts

    Raises
    ------
    ValueError
        For another shape, missing forecasts, or features that are needed.
    """
    P = read_forecasts(P, levels, caller)
    if local is not None and X is None:
        raise ValueError(
            f"The 'X' of {caller}.fit_predictions must hold features for weights "
            f"that depend on them. Got None with local={local!r}; pass X, or "
            f"local=None."
        )
    if np.ndim(y) and len(P) != len(y):
        raise ValueError(
            f"The 'P' of {caller}.fit_predictions must have shape (n, m, q) with n "
            f"rows as y. Got shape {P.shape} for {len(y)} targets; put "
            f"rows first, as np.stack(grids, axis=1) does."
        )
    if local is None:
        return Forecasts(P)
    features, _ = indexable(X, P)
    return Forecasts(P, features)


def read_new_forecasts(
    X: Any, levels: Array, n_models: int, local: Any, caller: str
) -> Forecasts:
    """Return forecasts to combine, which came in the place of X or as they are.

    Parameters
    ----------
    X : Forecasts, or array-like of shape (n, m, q)
    levels : ndarray of shape (q,)
    n_models : int
        The number m of the fit.
    local : None, str or object
        As the aggregator has it.
    caller : str
    """
    given = X if isinstance(X, Forecasts) else Forecasts(X)
    P = read_forecasts(given.P, levels, caller, n_models)
    if local is not None and given.X is None:
        raise ValueError(
            f"The 'X' of {caller}.combine must hold features for weights that "
            f"depend on them. Got None with local={local!r}; pass X."
        )
    return Forecasts(P, given.X)
