"""Estimators whose grids and intervals are calibrated when they predict."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from statlearn.metrics import pinball_loss
from statlearn.quantile._calibration_rows import read_predictions, read_rows
from statlearn.quantile._calibrations import apply_to_rows
from statlearn.quantile._conformal import (
    calibrate_grid_scores,
    calibrate_interval_scores,
)
from statlearn.quantile._fit_rows import FitRows, read_fit_rows, take
from statlearn.quantile._grid import GridRegressor, interpolate_quantiles
from statlearn.quantile._monotone import monotone_rows
from statlearn.utils._levels import find_level

Array = NDArray[np.float64]


class CalibratedGridRegressor(GridRegressor):
    """Base of the estimators that predict calibrated quantiles and intervals.

    A subclass calls `_store_scores` in ``fit`` and gives `_base_grids` and
    `_full_grid`. New rows may come with groups and weights.

    Attributes
    ----------
    conformity_scores_ : ndarray of shape (n_calibration, q)
    offsets_ : ndarray of shape (q,) or (n_groups, q)
    n_calibration_ : int
    groups_ : list of length n_groups
    """

    # Whether both ends of an interval move by the same amount.
    symmetric: bool = True
    # Whether it predicts without calibration as well.
    _calibration_optional: ClassVar[bool] = False

    _calibrated: ClassVar[tuple[str, ...]] = (
        "_calibration_rows",
        "_grid_calibration",
        "conformity_scores_",
        "groups_",
        "n_calibration_",
        "offsets_",
    )

    @abstractmethod
    def _base_grids(self, X: Any) -> Array:
        """Return quantiles (n, q) before calibration, (K, n, q) with folds."""

    @abstractmethod
    def _full_grid(self, X: Any) -> Array:
        """Return the quantiles (n, q) of the model that is fitted to all its rows."""

    def predict(self, X: Any, groups: Any = None, sample_weight: Any = None) -> Array:
        """Predict the median.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        groups : array-like of shape (n_samples,), default=None
            Their groups, if groups were calibrated by themselves.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights, if calibration had weights; by default 1.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Quantiles of level 0.5, on a line between its neighbours; of the nearest
            level where 0.5 is outside the grid.
        """
        return self._median(X, groups=groups, sample_weight=sample_weight)

    def predict_quantiles(
        self, X: Any, levels: Any = None, groups: Any = None, sample_weight: Any = None
    ) -> Array:
        """Predict calibrated quantiles.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        levels : array-like of shape (q,), default=None
            Levels within those of the fit, strictly increasing; by default these
            themselves. Others lie on lines between their neighbours.
        groups : array-like of shape (n_samples,), default=None
            Their groups, if groups were calibrated by themselves.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights, if calibration had weights; by default 1.

        Returns
        -------
        grid : ndarray of shape (n_samples, q)
            One column for each level, not decreasing.

        Raises
        ------
        ValueError
            If a level lies outside those of the fit, or a group is unknown.
        """
        return self._quantiles(X, levels, groups=groups, sample_weight=sample_weight)

    def predict_interval(
        self,
        X: Any,
        coverage: float = 0.8,
        groups: Any = None,
        sample_weight: Any = None,
    ) -> Array:
        """Predict calibrated intervals.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        coverage : float, default=0.8
            Share in (0, 1) of targets that the intervals should hold.
        groups : array-like of shape (n_samples,), default=None
            Their groups, if groups were calibrated by themselves.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights, if calibration had weights; by default 1.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2)
            Quantiles of the levels (1 - coverage) / 2 and (1 + coverage) / 2, moved by
            what their scores ask for.

        Raises
        ------
        ValueError
            If the coverage is no such share, or more than the levels of the fit reach,
            or a group is unknown.
        """
        if not self._is_calibrated():
            return self._interval(
                X, coverage, groups=groups, sample_weight=sample_weight
            )
        ends = self._read_coverage(coverage)
        scores = interpolate_quantiles(self.conformity_scores_, self.levels_, ends)
        calibration = calibrate_interval_scores(
            scores,
            float(coverage),
            self.symmetric,
            self._calibration_rows,
            type(self).__name__,
        )
        pair = interpolate_quantiles(self._base_grids(X), self.levels_, ends)
        found = self._apply(calibration, pair, groups, sample_weight)
        return monotone_rows(found, "sort")

    def predict_cdf(
        self, X: Any, values: Any, groups: Any = None, sample_weight: Any = None
    ) -> Array:
        """Predict the probability that a target is not above values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        values : float, array-like of shape (n_values,) or (n_samples, 1)
            Values for every row, or a column with one value for each row.
        groups : array-like of shape (n_samples,), default=None
            Their groups, if groups were calibrated by themselves.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights, if calibration had weights; by default 1.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_values) or (n_samples,)
            One axis for a single number or a column of values.
        """
        return self._cdf(X, values, groups=groups, sample_weight=sample_weight)

    def sample(
        self,
        X: Any,
        n_draws: int = 1,
        random_state: Any = None,
        groups: Any = None,
        sample_weight: Any = None,
    ) -> Array:
        """Draw targets from the predicted distributions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        n_draws : int, default=1
            Draws for each row, independent of each other.
        random_state : int, Generator, RandomState or None, default=None
            Source of the draws.
        groups : array-like of shape (n_samples,), default=None
            Their groups, if groups were calibrated by themselves.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights, if calibration had weights; by default 1.

        Returns
        -------
        draws : ndarray of shape (n_samples, n_draws)
            On lines between quantiles, beyond them on lines in normal scores.
        """
        return self._draws(
            X, n_draws, random_state, groups=groups, sample_weight=sample_weight
        )

    def score(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None
    ) -> float:
        """Return minus the mean pinball loss over rows and levels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows in the mean; each is predicted as a new
            row of weight 1.
        groups : array-like of shape (n_samples,), default=None
            Their groups, if groups were calibrated by themselves.

        Returns
        -------
        score : float
            At most zero, the greater the better; unlike an R^2 in units of `y`.
        """
        grid = self.predict_quantiles(X, groups=groups)
        return -pinball_loss(y, grid, self.levels_, sample_weight=sample_weight)

    # -- calibration ------------------------------------------------------------

    def calibrate(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None
    ) -> Self:
        """Calibrate on rows of one's own, in place of what `fit` has calibrated.

        It is a split calibration of the model that is fitted to all its rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows that nothing was fitted to.
        y : array-like of shape (n_samples,)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights: counts, or density ratios of new rows to these.
        groups : array-like of shape (n_samples,), default=None
            Labels of groups that are calibrated each by itself.

        Returns
        -------
        self : estimator
            The calibrated estimator.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ValueError
            For bad weights, groups or targets.
        """
        check_is_fitted(self)
        rows = read_fit_rows(X, y, sample_weight, groups, type(self).__name__)
        self._calibrate(rows, rows.groups)
        return self

    def _calibrate(self, rows: FitRows, groups: Any) -> None:
        """Calibrate the model of all rows on others, each of the groups by itself."""
        self._store_scores(
            rows.y[:, np.newaxis] - self._full_grid(rows.X),
            method="split",
            folds=None,
            sample_weight=rows.weight,
            groups=groups,
        )

    def _forget_calibration(self) -> None:
        for name in self._calibrated:
            self.__dict__.pop(name, None)

    def _store_scores(
        self,
        scores: Array,
        *,
        method: str,
        folds: NDArray[np.intp] | None,
        sample_weight: Array | None,
        groups: Any,
    ) -> None:
        """Calibrate with scores (n, q), targets minus quantiles of held-out rows."""
        self._forget_calibration()
        counted = np.arange(len(scores))
        if sample_weight is not None:
            counted = np.flatnonzero(sample_weight)
        scores = scores[counted]
        caller = type(self).__name__
        self._calibration_rows = read_rows(
            read_predictions(scores, len(self.levels_), "grid", caller),
            np.zeros(len(scores)),
            method,
            take(folds, counted),
            take(sample_weight, counted),
            take(groups, counted),
            caller,
        )
        self._grid_calibration = calibrate_grid_scores(
            scores, self.levels_, self._calibration_rows, caller
        )
        self.conformity_scores_ = scores
        self.offsets_ = self._grid_calibration.offsets
        self.n_calibration_ = len(scores)
        if self._grid_calibration.groups is not None:
            self.groups_ = self._grid_calibration.groups

    def _is_calibrated(self) -> bool:
        """Return whether there is a calibration, and raise if there has to be one."""
        check_is_fitted(self)
        if hasattr(self, "offsets_"):
            return True
        if self._calibration_optional:
            return False
        raise NotFittedError(
            f"{type(self).__name__} expected calibration rows before it predicts. Got "
            f"none; call calibrate(X, y) first."
        )

    def _apply(
        self, calibration: Any, values: Array, groups: Any, weight: Any
    ) -> Array:
        if weight is None and calibration.weighted:
            weight = np.ones(values.shape[-2])
        return apply_to_rows(
            calibration,
            values,
            groups,
            weight,
            type(self).__name__,
            "sample_weight",
        )

    def _predict_grid(
        self, X: Any, *, groups: Any = None, sample_weight: Any = None
    ) -> Array:
        if not self._is_calibrated():
            for name, given in (("groups", groups), ("sample_weight", sample_weight)):
                if given is not None:
                    raise ValueError(
                        f"The '{name}' of {type(self).__name__} must be None where "
                        f"nothing is calibrated with them. Got {name}; call "
                        f"calibrate(X, y, {name}=...) first, or leave them out."
                    )
            return self._full_grid(X)
        grids = self._base_grids(X)
        median = find_level(self.levels_, 0.5)
        if grids.ndim == 3 and median is not None:
            # The level that is not calibrated is that of the model of all rows.
            grids[:, :, median] = self._full_grid(X)[:, median]
        found = self._apply(self._grid_calibration, grids, groups, sample_weight)
        return monotone_rows(found, "sort")
