"""`ConformalQuantileRegressor`: quantiles and intervals that hold what they promise."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from statlearn.quantile._base_models import (
    HoldsEstimator,
    fit_base,
    predict_grid,
    require_quantiles,
)
from statlearn.quantile._calibrated_grid import CalibratedGridRegressor
from statlearn.quantile._calibration_rows import METHODS
from statlearn.quantile._calibration_split import split_rows
from statlearn.quantile._cross_fitting import cross_fit, read_folds, seeded
from statlearn.quantile._fit_rows import FitRows, read_fit_rows, take
from statlearn.utils._delegate import model_inside
from statlearn.utils._levels import read_levels
from statlearn.utils._rng import as_generator
from statlearn.utils._sklearn import (
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    fit_context,
)

Array = NDArray[np.float64]

# For estimators that predict any level and name none.
_DEFAULT_LEVELS = np.arange(1, 20) / 20


class ConformalQuantileRegressor(HoldsEstimator, CalibratedGridRegressor):
    r"""Calibrate the quantiles and intervals of any quantile estimator.

    Rows that the estimator was not fitted to tell how far its quantiles are off; they
    are moved by as much, so that each level, and each interval, holds as many new rows
    as it says, whatever the estimator and the distribution. It holds on average over
    all rows, or over those of a group, but not at each x by itself.

    Parameters
    ----------
    estimator : estimator
        Gives quantiles by ``predict_quantiles(X, levels)`` or
        ``predict(X, quantiles=[...])``; also a pipeline or a search that ends in one.
        A fitted one in :class:`sklearn.frozen.FrozenEstimator` is not fitted again.
    method : {"split", "cv+", "jackknife-minmax"}, default="split"
        Hold some rows out for calibration; or cross-fit, so that all rows serve both,
        with a model for each fold to predict new rows. "jackknife-minmax" has the
        stronger guarantee and wider intervals.
    levels : array-like of shape (n_levels,), default=None
        Quantile levels, strictly increasing in (0, 1). By default those of
        `estimator`, and 0.05, 0.1, ..., 0.95 if it names none.
    symmetric : bool, default=True
        Move both ends of an interval by the same amount, or each by itself so that as
        much is missed on either side.
    cv : int, splitter or iterable, default=5
        Folds of "cv+" and "jackknife-minmax"; an integer means folds of consecutive
        rows. Rows that are never held out, as the first ones of a time series, only
        serve for fitting.
    calibration_size : float, int or None, default=0.25
        Share or number of rows that "split" holds out. None fits to all rows and
        leaves calibration to :meth:`calibrate`.
    group_conditional : bool, default=True
        Calibrate each group of rows by itself. Otherwise groups are rows that belong
        together, and folds and splits do not part them.
    random_state : int, Generator, RandomState or None, default=None
        Which rows are held out, and seeds for estimators whose own is None.
    n_jobs : int, default=None
        Folds that are fitted at the same time, through joblib. Results do not depend
        on it.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone: on the rows that were not held out, or on all rows with folds.
    fold_estimators_ : list of estimators of length n_folds
        Clones fitted without each fold. Only with folds.
    levels_ : ndarray of shape (n_levels,)
        The levels.
    conformity_scores_ : ndarray of shape (n_calibration, n_levels)
        Targets of the calibration rows minus their predicted quantiles.
    offsets_ : ndarray of shape (n_levels,) or (n_groups, n_levels)
        What is added to each level, a row for each group if there are groups. With
        weights, for a new row of weight 1; for "cv+", if all folds predict the same.
    n_calibration_ : int
        Rows that calibrate, those of zero weight not counted.
    groups_ : list of length n_groups
        Labels of the groups. Only if groups are calibrated by themselves.
    n_features_in_ : int
        Number of features, if the estimator knows it.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, if the estimator knows them.

    See Also
    --------
    calibrate_grid : The calibration of levels alone.
    calibrate_interval : The calibration of intervals alone.
    QuantileAggregator : Several estimators, combined and calibrated.
    sklearn.calibration.CalibratedClassifierCV : Calibrates probabilities.

    Notes
    -----
    :meth:`predict_quantiles` moves each level by itself, from one side: a level above
    the median by the :math:`\lceil \tau (n + 1) \rceil`-th smallest of the
    scores :math:`y_i - q_i(\tau)`, one below as its mirror image; the median stays.
    The row is then sorted. :meth:`predict_interval` is conformalized quantile
    regression for the coverage asked for, on the pair of levels that it would have
    without calibration, and covers it with probability of at least

    .. math:: P\{y \in C(x)\} \ge 1 - \alpha \; \text{(split, jackknife-minmax)},
              \qquad \ge 1 - 2 \alpha - \sqrt{2 / n} \; \text{(cv+)},

    where "cv+" covers about :math:`1 - \alpha` in practice. Formulas are in the notes
    of :func:`calibrate_interval`. Ends that cross because an interval has shrunk are
    put in order.

    Where rows are too few for a level or a coverage, bounds are infinite and a warning
    says how many rows are enough; a finite bound would have no guarantee.

    Weights reach the estimator, which may take them as it likes, and calibration, where
    they are counts of rows, or density ratios under covariate shift. A new row has
    the weight that predict methods are given as ``sample_weight``, by default 1. With
    metadata routing, request weights and groups of this estimator by
    ``set_fit_request(sample_weight=True, groups=True)`` and likewise for ``predict``
    and ``score``.

    "split" fits once, folds K times and once more to all rows; the latter gives the
    median. To predict r rows costs K predictions and, for "cv+", at most
    :math:`O(r q K \log n \log(n / K))` in bounded memory.

    References
    ----------
    Yaniv Romano, Evan Patterson, Emmanuel J. Candès. Conformalized Quantile
    Regression. NeurIPS, 2019.

    Rina Foygel Barber, Emmanuel J. Candès, Aaditya Ramdas, Ryan J. Tibshirani.
    Predictive Inference with the Jackknife+. Annals of Statistics, 2021.

    Ryan J. Tibshirani, Rina Foygel Barber, Emmanuel J. Candès, Aaditya Ramdas.
    Conformal Prediction Under Covariate Shift. NeurIPS, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from statlearn.quantile import ConformalQuantileRegressor
    >>> from statlearn.quantile import LocationScaleQuantiles
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 1))
    >>> y = X[:, 0] + rng.standard_t(3, size=400)
    >>> base = LocationScaleQuantiles(LinearRegression(), levels=[0.1, 0.5, 0.9])
    >>> model = ConformalQuantileRegressor(base, random_state=0).fit(X, y)
    >>> model.n_calibration_
    100
    >>> model.predict_interval(X[:2], coverage=0.8).shape
    (2, 2)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "method": [StrOptions(set(METHODS))],
        "levels": ["array-like", None],
        "symmetric": ["boolean"],
        "cv": ["cv_object"],
        "calibration_size": [
            Interval(RealNotInt, 0, 1, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        "group_conditional": ["boolean"],
        "random_state": ["random_state", np.random.Generator],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator,
        *,
        method="split",
        levels=None,
        symmetric=True,
        cv=5,
        calibration_size=0.25,
        group_conditional=True,
        random_state=None,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.method = method
        self.levels = levels
        self.symmetric = symmetric
        self.cv = cv
        self.calibration_size = calibration_size
        self.group_conditional = group_conditional
        self.random_state = random_state
        self.n_jobs = n_jobs

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None
    ) -> ConformalQuantileRegressor:
        """Fit the estimator, and calibrate it on rows that it has not seen.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, handed on as they are.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, for the estimator and for calibration.
        groups : array-like of shape (n_samples,), default=None
            Labels: calibrated each by itself, or not to be parted, see
            `group_conditional`.

        Returns
        -------
        self : ConformalQuantileRegressor
            The fitted estimator.

        Raises
        ------
        TypeError
            If the estimator gives no quantiles, or takes no weights where there are
            some.
        ValueError
            For bad levels, weights or groups, too few rows, folds that hold a row out
            twice, and folds of an estimator that is frozen.
        """
        levels = self._read_levels()
        rows = read_fit_rows(X, y, sample_weight, groups, type(self).__name__)
        self._forget_calibration()
        self.__dict__.pop("fold_estimators_", None)
        self.levels_ = levels
        if self.method == "split":
            self._fit_split(rows)
        else:
            self._fit_folds(rows)
        self._learn_features(self.estimator_)
        return self

    def calibrate(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None
    ) -> ConformalQuantileRegressor:
        """Calibrate the fitted estimator on rows of one's own.

        Replaces what `fit` has calibrated, by split calibration of `estimator_`. A
        frozen estimator needs no `fit` before.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows that the estimator was not fitted to.
        y : array-like of shape (n_samples,)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights: counts, or density ratios of new rows to these.
        groups : array-like of shape (n_samples,), default=None
            Labels of groups, calibrated each by itself if `group_conditional`.

        Returns
        -------
        self : ConformalQuantileRegressor
            The calibrated estimator.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ValueError
            For bad weights, groups or targets.
        """
        if isinstance(self.estimator, FrozenEstimator) and not hasattr(self, "levels_"):
            self.levels_ = self._read_levels()
            self._thaw()
            self._learn_features(self.estimator_)
        super().calibrate(X, y, sample_weight, self._cells(groups))
        self.__dict__.pop("fold_estimators_", None)
        return self

    # -- fitting ----------------------------------------------------------------

    def _read_levels(self) -> Array:
        """Return the levels, and refuse what could not be fitted or calibrated."""
        caller = type(self).__name__
        frozen = isinstance(self.estimator, FrozenEstimator)
        estimator = self.estimator.estimator if frozen else self.estimator
        require_quantiles(estimator)
        if frozen and self.method != "split":
            raise ValueError(
                f"The 'method' of {caller} must be 'split' for a frozen estimator, "
                f"which folds cannot fit. Got {self.method!r}; pass method='split', or "
                f"the estimator itself."
            )
        if self.levels is not None:
            return read_levels(self.levels, caller)
        model, _ = model_inside(estimator, None, "predict_quantiles")
        known = getattr(model, "levels_", getattr(model, "levels", None))
        return _DEFAULT_LEVELS.copy() if known is None else read_levels(known, caller)

    def _cells(self, groups: Any) -> Any:
        """Return the groups that are calibrated by themselves."""
        return groups if self.group_conditional else None

    def _thaw(self) -> None:
        self.estimator_ = self.estimator.estimator
        check_is_fitted(self.estimator_)

    def _fit_split(self, rows: FitRows) -> None:
        """Fit to some rows, or take what is frozen, and calibrate on the others."""
        if isinstance(self.estimator, FrozenEstimator):
            self._thaw()
            self._calibrate(rows, self._cells(rows.groups))
            return
        rng, size = as_generator(self.random_state), self.calibration_size
        if rows.weight is not None:
            # Rows without weight must not change what is drawn.
            rows = rows.take(np.flatnonzero(rows.weight))
        held = rows
        if size is not None:
            drawn = split_rows(
                len(rows.y),
                size,
                rows.groups,
                not self.group_conditional,
                rng,
                type(self).__name__,
            )
            rows, held = (rows.take(part) for part in drawn)
        model = seeded(self.estimator, int(rng.integers(2**31)))
        self.estimator_ = fit_base(model, rows.X, rows.y, rows.weight)
        if size is not None:
            self._calibrate(held, self._cells(held.groups))

    def _fit_folds(self, rows: FitRows) -> None:
        """Fit without each fold and to all rows, and calibrate across the folds."""
        together = None if self.group_conditional else rows.groups
        folds = read_folds(self.cv, rows.X, rows.y, together, type(self).__name__)
        fit = cross_fit(
            [(type(self.estimator).__name__, self.estimator)],
            rows.X,
            rows.y,
            self.levels_,
            folds,
            sample_weight=rows.weight,
            random_state=self.random_state,
            n_jobs=self.n_jobs,
            keep=True,
        )
        self.estimator_ = fit.estimators[0]
        self.fold_estimators_ = [models[0] for models in fit.fold_estimators]
        self._store_scores(
            rows.y[folds.covered, np.newaxis] - fit.stack[:, 0],
            method=self.method,
            folds=folds.fold,
            sample_weight=take(rows.weight, folds.covered),
            groups=self._cells(take(rows.groups, folds.covered)),
        )

    # -- prediction -------------------------------------------------------------

    def _base_grids(self, X: Any) -> Array:
        if not hasattr(self, "fold_estimators_"):
            return self._full_grid(X)
        models = self.fold_estimators_
        return np.stack([predict_grid(model, X, self.levels_) for model in models])

    def _full_grid(self, X: Any) -> Array:
        return predict_grid(self.estimator_, X, self.levels_)
