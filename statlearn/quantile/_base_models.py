"""Base models: how any estimator is fitted, and asked for a grid of quantiles."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import column_or_1d, get_tags

from statlearn.utils._delegate import model_inside, weight_keyword
from statlearn.utils._levels import read_levels
from statlearn.utils._validation import require_target

Array = NDArray[np.float64]


class HoldsEstimator(MetaEstimatorMixin, BaseEstimator):
    """Base of the estimators whose parameter ``estimator`` is fitted by clones.

    Rows reach them as they are.
    """

    estimator: Any

    def __sklearn_tags__(self) -> Any:
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags = deepcopy(inner.input_tags)
        tags.non_deterministic = inner.non_deterministic
        return tags

    def _read_target(self, y: Any) -> NDArray[Any]:
        """Return the target as an array (n,), whose values the clones check."""
        require_target(y, type(self).__name__)
        return column_or_1d(y, warn=True)

    def _learn_features(self, fitted: Any) -> None:
        """Store what a fitted clone knows about the columns of X."""
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(fitted, name):
                setattr(self, name, getattr(fitted, name))


def require_quantiles(estimator: Any, name: str | None = None) -> None:
    """Raise unless an estimator, fitted or not, can give a grid of quantiles.

    Parameters
    ----------
    estimator : estimator
        With ``predict_quantiles(X, levels)`` or ``predict(X, quantiles=[...])``; a
        pipeline or a search has what its last step or its estimator has.
    name : str, default=None
        Name of the model for messages; its class by default.

    Raises
    ------
    TypeError
        If it has neither.
    """
    model, _ = model_inside(estimator, None, "predict_quantiles")
    if hasattr(model, "predict_quantiles") or _takes_quantiles(model):
        return
    raise TypeError(
        f"The model {name or type(estimator).__name__!r} must give quantiles, by "
        f"predict_quantiles(X, levels) or predict(X, quantiles=[...]). Got "
        f"{type(model).__name__}, which has neither; wrap it in "
        f"MultiQuantileRegressor if it fits one level, or in LocationScaleQuantiles "
        f"if it predicts the mean."
    )


def levels_for(estimator: Any, levels: Any, caller: str) -> Array:
    """Return levels given, or those of a fitted estimator."""
    model, _ = model_inside(estimator, None, "levels_")
    known = getattr(model, "levels_", None) if levels is None else levels
    if known is None:
        raise TypeError(
            f"The 'estimator' of {caller} must be fitted and have levels_. Got "
            f"{type(estimator).__name__} without; pass levels=[...]."
        )
    return read_levels(known, caller)


def predict_grid(
    estimator: Any, X: Any, levels: Array, name: str | None = None
) -> Array:
    """Return the quantiles that a fitted estimator predicts.

    Parameters
    ----------
    estimator : estimator
        As for :func:`require_quantiles`.
    X : array-like of shape (n, n_features)
        Rows, handed on as they are.
    levels : ndarray of shape (q,)
    name : str, default=None
        Name of the model for messages; its class by default.

    Returns
    -------
    grid : ndarray of shape (n, q)
        May cross, and hold infinite values, but no missing ones.

    Raises
    ------
    TypeError
        If the estimator gives no quantiles.
    ValueError
        If what it gives has another shape, or holds NaN.
    """
    require_quantiles(estimator, name)
    model, rows = model_inside(estimator, X, "predict_quantiles")
    if hasattr(model, "predict_quantiles"):
        found = model.predict_quantiles(rows, levels)
    else:
        found = model.predict(rows, quantiles=levels.tolist())
    return _read_grid(found, len(levels), name or type(estimator).__name__)


def predict_stack(named: Iterable[tuple[str, Any]], X: Any, levels: Array) -> Array:
    """Return what fitted models, each with a name for messages, predict (n, m, q)."""
    grids = [predict_grid(model, X, levels, name) for name, model in named]
    return np.stack(grids, axis=1)


def fit_base(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    name: str | None = None,
    **params: Any,
) -> Any:
    """Return a fitted clone of an estimator.

    Weights are never dropped in silence: a model that takes none is refused.

    Parameters
    ----------
    estimator : estimator
    X : array-like of shape (n, n_features)
        Rows, handed on as they are.
    y : array-like of shape (n,)
    sample_weight : array-like of shape (n,), default=None
    name : str, default=None
        Name of the model for messages; its class by default.
    **params : dict
        Further metadata for its ``fit``.

    Returns
    -------
    fitted : estimator

    Raises
    ------
    TypeError
        If there are weights and its ``fit`` takes none.
    """
    model = clone(estimator)
    if sample_weight is None:
        return model.fit(X, y, **params)
    keyword = weight_keyword(model)
    if keyword is None:
        raise TypeError(
            f"The model {name or type(model).__name__!r} must accept sample_weight in "
            f"fit where weights are given. Got {type(model).__name__}, which does not; "
            f"leave the weights or the model out, or, if it hands weights on to "
            f"another one and metadata routing is enabled, call "
            f"set_fit_request(sample_weight=True) on the latter."
        )
    return model.fit(X, y, **{**params, keyword: sample_weight})


def _takes_quantiles(model: Any) -> bool:
    predict = getattr(model, "predict", None)
    return predict is not None and "quantiles" in inspect.signature(predict).parameters


def _read_grid(found: Any, n_levels: int, name: str) -> Array:
    """Return predictions as an array (n, q), or say what is wrong with them."""
    grid = np.asarray(found, dtype=np.float64)
    if grid.ndim == 1 and n_levels == 1:
        grid = grid[:, np.newaxis]
    if grid.ndim != 2 or grid.shape[1] != n_levels:
        raise ValueError(
            f"The model {name!r} must predict one column for each of {n_levels} "
            f"levels. Got shape {grid.shape}; correct its predict_quantiles."
        )
    missing = np.isnan(grid).any(axis=1)
    if missing.any():
        raise ValueError(
            f"The model {name!r} must predict numbers. Got NaN in {missing.sum()} of "
            f"{len(grid)} rows, the first at row {np.argmax(missing)}; mend the model, "
            f"or leave it or these rows out."
        )
    return grid
