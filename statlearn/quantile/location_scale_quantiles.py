"""`LocationScaleQuantiles`: quantiles around the predictions of any regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, indexable

from statlearn.quantile._base_models import HoldsEstimator, fit_base
from statlearn.quantile._cross_fitting import Folds, read_folds
from statlearn.quantile._grid import GridRegressor
from statlearn.utils._levels import read_levels
from statlearn.utils._sklearn import HasMethods, fit_context, take_rows
from statlearn.utils._validation import read_sample_weight

Array = NDArray[np.float64]

# The scale of a row is at least this share of the mean absolute residual: a predicted
# scale of zero would make its residual infinitely large.
_LEAST_SCALE = 0.05
# Weights that are no integers add up to a share of their total up to rounding.
_ROUNDING = 1e-12


class LocationScaleQuantiles(HoldsEstimator, GridRegressor):
    r"""A grid of quantiles from any regressor and its errors on rows it has not seen.

    The quantiles of a row are the prediction plus quantiles of out-of-fold residuals:
    the same for all rows, or in proportion to a scale that a second regressor predicts.
    For a regressor with a good mean and errors of one shape; where the shape changes
    with the row, fit quantiles instead.

    Parameters
    ----------
    estimator : estimator
        A regressor of the mean, or of another location.
    levels : array-like of shape (n_levels,)
        Quantile levels, strictly increasing in (0, 1).
    scale_estimator : estimator, default=None
        A regressor that learns the absolute residuals. None takes a constant scale.
    cv : int, splitter or iterable, default=5
        Folds for the residuals; an integer means that many of consecutive rows.

    Attributes
    ----------
    estimator_ : estimator
        Fitted to all rows.
    scale_estimator_ : estimator or None
        Fitted to the absolute out-of-fold residuals.
    levels_ : ndarray of shape (n_levels,)
        The levels.
    residuals_ : ndarray of shape (n_samples,)
        Out-of-fold residuals, nan for rows that no fold holds out.
    residual_quantiles_ : ndarray of shape (n_levels,)
        Quantiles of the residuals divided by their scale.
    least_scale_ : float
        Predicted scales below it are raised to it; 1 with a constant scale.
    n_features_in_ : int
        Number of features, if the estimator knows it.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, if the estimator knows them.

    See Also
    --------
    MultiQuantileRegressor : A grid from an estimator of one quantile.
    LinearQuantileRegression : Linear quantiles.
    sklearn.model_selection.cross_val_predict : Out-of-fold predictions alone.

    Notes
    -----
    With the out-of-fold location m and scale s of each training row,

    .. math:: \hat q_\tau(x) = \hat\mu(x) + \hat\sigma(x)\, c_\tau, \qquad
        c_\tau = \min \Bigl\{ c : \sum_{i: (y_i - m_i) / s_i \le c} w_i
        \ge \tau \sum_i w_i \Bigr\},

    where w are the sample weights; :math:`\hat\mu` and :math:`\hat\sigma` are fitted to
    all rows. Quantiles never cross. A scale is no less than 5 % of the mean absolute
    residual. Rows whose fold has no residuals to learn a scale from, as the first fold
    of a time series, are left out of the quantiles.

    Sample weights reach both estimators and count rows in the quantiles. One fit of
    `estimator` a fold and one more, and as many of `scale_estimator`. With metadata
    routing, request both of this estimator by
    ``set_fit_request(sample_weight=True, groups=True)``; it hands weights on.

    References
    ----------
    Xuming He. Quantile Curves without Crossing. The American Statistician 51(2), 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from statlearn.quantile import LocationScaleQuantiles
    >>> X = np.arange(100.0)[:, None]
    >>> y = 2.0 * X[:, 0] + np.tile([-4.0, -1.0, 0.0, 1.0, 4.0], 20)
    >>> model = LocationScaleQuantiles(LinearRegression(), levels=[0.1, 0.5, 0.9])
    >>> model.fit(X, y).predict_quantiles([[10.0]]).round(1)
    array([[15.8, 19.8, 23.8]])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "levels": ["array-like"],
        "scale_estimator": [HasMethods(["fit", "predict"]), None],
        "cv": ["cv_object"],
    }

    def __init__(self, estimator, *, levels, scale_estimator=None, cv=5):
        self.estimator = estimator
        self.levels = levels
        self.scale_estimator = scale_estimator
        self.cv = cv

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None
    ) -> LocationScaleQuantiles:
        """Fit location and scale, and take quantiles of out-of-fold residuals.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, handed on as they are.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, taken by position.
        groups : array-like of shape (n_samples,), default=None
            Groups of rows, for a `cv` that keeps them together.

        Returns
        -------
        self : LocationScaleQuantiles
            The fitted estimator.

        Raises
        ------
        TypeError
            If there are weights and an estimator takes none.
        ValueError
            For bad levels or weights, folds that overlap or are more than the rows, and
            if no row of positive weight is held out.
        """
        caller = type(self).__name__
        levels = read_levels(self.levels, caller)
        y = self._read_target(y)
        weight = None
        if sample_weight is not None:
            weight = read_sample_weight(sample_weight, y, caller)
        X, y = self._read_rows(X, y)
        folds = read_folds(self.cv, X, y, groups, caller)
        location = _out_of_fold(self.estimator, X, y, weight, folds)
        residuals = y - location
        scale, least = self._out_of_fold_scale(X, residuals, weight, folds)
        counted = np.ones(len(y)) if weight is None else weight
        usable = np.isfinite(residuals) & np.isfinite(scale) & (counted > 0.0)
        if not usable.any():
            raise ValueError(
                f"{caller} expected a row with positive weight that its 'cv' holds "
                f"out. Got none; pass other folds."
            )
        self.residual_quantiles_ = weighted_quantiles(
            residuals[usable] / scale[usable], levels, counted[usable]
        )
        self.levels_, self.residuals_, self.least_scale_ = levels, residuals, least
        self.scale_estimator_ = None
        if self.scale_estimator is not None:
            known = np.flatnonzero(np.isfinite(residuals))
            self.scale_estimator_ = _fit_to(
                self.scale_estimator, X, np.abs(residuals), weight, known
            )
        self.estimator_ = fit_base(self.estimator, X, y, weight)
        self._learn_features(self.estimator_)
        return self

    def _read_rows(self, X: Any, y: NDArray[Any]) -> tuple[Any, Array]:
        """Return rows that can be taken by number, and as many targets."""
        X, y = indexable(X, y)
        X = X if hasattr(X, "shape") else np.asarray(X)
        return X, check_array(
            y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self
        )

    def _out_of_fold_scale(
        self, X: Any, residuals: Array, weight: Array | None, folds: Folds
    ) -> tuple[Array, float]:
        """Return out-of-fold scales (n,), nan where none is known, and the least."""
        if self.scale_estimator is None:
            return np.ones(len(residuals)), 1.0
        size = np.abs(residuals)
        known = np.isfinite(size)
        counted = known.astype(float) if weight is None else known * weight
        total = counted.sum()
        mean = counted[known] @ size[known] / total if total > 0.0 else 0.0
        least = float(_LEAST_SCALE * mean) or 1.0
        scale = _out_of_fold(self.scale_estimator, X, size, weight, folds)
        return np.maximum(scale, least), least

    def _predict_grid(self, X: Any) -> Array:
        location = np.asarray(self.estimator_.predict(X), dtype=np.float64)
        scale = np.ones(len(location))
        if self.scale_estimator_ is not None:
            scale = np.maximum(self.scale_estimator_.predict(X), self.least_scale_)
        return location[:, None] + scale[:, None] * self.residual_quantiles_


def weighted_quantiles(values: Array, levels: Array, weight: Array) -> Array:
    """Return the smallest values that reach each level's share of the weight.

    Parameters
    ----------
    values : ndarray of shape (n,)
        One or more.
    levels : ndarray of shape (q,)
        In (0, 1).
    weight : ndarray of shape (n,)
        Positive.

    Returns
    -------
    quantiles : ndarray of shape (q,)
        Values that minimise the weighted pinball loss.
    """
    order = np.argsort(values)
    reached = np.cumsum(weight[order])
    wanted = levels * reached[-1] * (1.0 - _ROUNDING)
    return values[order[np.searchsorted(reached, wanted)]]


def _out_of_fold(
    estimator: Any, X: Any, target: Array, weight: Array | None, folds: Folds
) -> Array:
    """Return predictions (n,) by models without the fold of the row, else nan.

    Rows whose target is missing are not fitted to.
    """
    found = np.full(len(target), np.nan)
    for train, test in zip(folds.train, folds.test, strict=True):
        rows = train[np.isfinite(target[train])]
        if len(rows) and (weight is None or weight[rows].any()):
            fitted = _fit_to(estimator, X, target, weight, rows)
            found[test] = fitted.predict(take_rows(X, test))
    return found


def _fit_to(
    estimator: Any,
    X: Any,
    target: Array,
    weight: Array | None,
    rows: NDArray[np.intp],
) -> Any:
    share = None if weight is None else weight[rows]
    return fit_base(estimator, take_rows(X, rows), target[rows], share)
