"""Quantiles between the levels of a grid, and what follows for all its estimators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from statlearn.metrics._quantiles import pinball_loss
from statlearn.quantile._distribution import (
    between,
    grid_cdf,
    grid_sample,
    place_levels,
)
from statlearn.utils._grids import FloatArray, read_grid
from statlearn.utils._levels import SAME_LEVEL, read_levels
from statlearn.utils._numbers import positive_integer, read_coverage
from statlearn.utils._rng import as_generator
from statlearn.utils._validation import as_numbers

Array = NDArray[np.float64]


def interpolate_quantiles(grid: Any, levels: Any, new_levels: Any) -> FloatArray:
    r"""Return quantiles at other levels, by straight lines between those of a grid.

    Parameters
    ----------
    grid : array-like of shape (..., q)
        Quantiles; infinite ones are allowed.
    levels : array-like of shape (q,)
        Their levels, strictly increasing in (0, 1).
    new_levels : array-like of shape (r,)
        Levels wanted, strictly increasing, none of them below the first or above the
        last of `levels`.

    Returns
    -------
    grid : ndarray of shape (..., r)
        Of the same floating type. Columns at levels of the grid are the same to the
        last bit.

    Raises
    ------
    ValueError
        If a level lies outside the grid, a quantile is missing, or shapes disagree.

    See Also
    --------
    sort_quantiles : Puts the quantiles of a row in order first.
    scipy.interpolate.make_interp_spline : Other curves than straight lines.

    Notes
    -----
    For :math:`\tau_k \le \tau \le \tau_{k+1}`,

    .. math:: q(\tau) = q_k + \frac{\tau - \tau_k}{\tau_{k+1} - \tau_k}
              (q_{k+1} - q_k).

    Between a finite and an infinite quantile the answer is the infinite one; between
    two that are infinite with opposite signs, the nearer of them, the lower one half
    way. Levels that differ by less than 1e-9 are the same. O(n r) time and memory.

    Examples
    --------
    >>> from statlearn.quantile import interpolate_quantiles
    >>> interpolate_quantiles([[1.0, 2.0, 4.0]], [0.1, 0.5, 0.9], [0.3, 0.5, 0.7])
    array([[1.5, 2. , 3. ]])
    """
    caller = "interpolate_quantiles"
    known = read_levels(levels, caller)
    wanted = read_levels(new_levels, caller)
    values = read_grid(grid, caller, known)
    refuse_outside(wanted, known, caller)
    return _interpolate(values, known, wanted)


def refuse_outside(wanted: Array, levels: Array, caller: str) -> None:
    """Raise if a level wanted (r,) lies outside the levels (q,) of a grid."""
    outside = (wanted < levels[0] - SAME_LEVEL) | (wanted > levels[-1] + SAME_LEVEL)
    if outside.any():
        raise ValueError(
            f"The levels asked of {caller} must lie within those of the grid, "
            f"[{levels[0]:g}, {levels[-1]:g}]. Got {wanted[outside][0]:g}; leave it "
            f"out, or make the grid at levels that enclose it."
        )


def _interpolate(grid: FloatArray, levels: Array, wanted: Array) -> FloatArray:
    """Return quantiles (..., r) at levels (r,) within those of a grid (..., q)."""
    lower, upper, share = place_levels(levels, wanted)
    return between(grid[..., lower], grid[..., upper], share.astype(grid.dtype))


class GridRegressor(RegressorMixin, BaseEstimator, ABC):
    """Base of the estimators that predict a grid of quantiles.

    A subclass sets ``levels_`` in ``fit`` and gives ``_predict_grid``. Where that takes
    more than X, such as groups, public methods of the subclass hand it on to those with
    an underscore.

    Attributes
    ----------
    levels_ : ndarray of shape (q,)
    """

    levels_: Array

    @abstractmethod
    def _predict_grid(self, X: Any, *args: Any, **beside: Any) -> Array:
        """Return the quantiles (n, q) at ``levels_``."""

    def __sklearn_tags__(self) -> Tags:
        """Return tags; the score is minus a loss, and no R^2."""
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags

    def predict(self, X: Any) -> Array:
        """Predict the median.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Quantiles of level 0.5, on a line between its neighbours; of the nearest
            level where 0.5 is outside the grid.
        """
        return self._median(X)

    def _median(self, X: Any, **beside: Any) -> Array:
        check_is_fitted(self)
        middle = np.clip([0.5], self.levels_[0], self.levels_[-1])
        return _interpolate(self._predict_grid(X, **beside), self.levels_, middle)[:, 0]

    def predict_quantiles(self, X: Any, levels: Any = None) -> Array:
        """Predict quantiles.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        levels : array-like of shape (q,), default=None
            Levels within those of the fit, strictly increasing; by default these
            themselves. Others lie on lines between their neighbours.

        Returns
        -------
        grid : ndarray of shape (n_samples, q)
            One column for each level.

        Raises
        ------
        ValueError
            If a level lies outside those of the fit.
        """
        return self._quantiles(X, levels)

    def _quantiles(self, X: Any, levels: Any, **beside: Any) -> Array:
        check_is_fitted(self)
        if levels is None:
            return self._predict_grid(X, **beside)
        wanted = read_levels(levels, type(self).__name__)
        refuse_outside(wanted, self.levels_, type(self).__name__)
        return _interpolate(self._predict_grid(X, **beside), self.levels_, wanted)

    def predict_interval(self, X: Any, coverage: float = 0.8) -> Array:
        """Predict central intervals.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        coverage : float, default=0.8
            Share in (0, 1) of targets that the intervals should hold.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2)
            Quantiles of the levels (1 - coverage) / 2 and (1 + coverage) / 2.

        Raises
        ------
        ValueError
            If the coverage is no such share, or more than the levels of the fit reach.
        """
        return self._interval(X, coverage)

    def _interval(self, X: Any, coverage: float, **beside: Any) -> Array:
        check_is_fitted(self)
        ends = self._read_coverage(coverage)
        return _interpolate(self._predict_grid(X, **beside), self.levels_, ends)

    def predict_cdf(self, X: Any, values: Any) -> Array:
        """Predict the probability that a target is not above values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        values : float, array-like of shape (n_values,) or (n_samples, 1)
            Values for every row, or a column with one value for each row.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_values) or (n_samples,)
            One axis for a single number or a column of values.

        Raises
        ------
        ValueError
            If values are missing or of another shape, or the fit has one level only.
        """
        return self._cdf(X, values)

    def _cdf(self, X: Any, values: Any, **beside: Any) -> Array:
        check_is_fitted(self)
        self._require_two_levels()
        grid = self._predict_grid(X, **beside)
        wanted = as_numbers(values)
        fits = wanted.ndim <= 1 or wanted.shape == (len(grid), 1)
        if not fits or not wanted.size or np.isnan(wanted).any():
            raise ValueError(
                f"The 'values' of {type(self).__name__} must be numbers: one, a list "
                f"for all rows, or a column (n_samples, 1). Got shape {wanted.shape} "
                f"for {len(grid)} rows with {np.isnan(wanted).sum()} missing; reshape "
                f"or fill them."
            )
        found = grid_cdf(grid, self.levels_, np.atleast_1d(wanted))
        return found if wanted.ndim == 1 else found[:, 0]

    def sample(self, X: Any, n_draws: int = 1, random_state: Any = None) -> Array:
        """Draw targets from the predicted distributions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        n_draws : int, default=1
            Draws for each row, independent of each other.
        random_state : int, Generator, RandomState or None, default=None
            Source of the draws.

        Returns
        -------
        draws : ndarray of shape (n_samples, n_draws)
            On lines between quantiles, beyond them on lines in normal scores.

        Raises
        ------
        TypeError
            If the number of draws is no integer.
        ValueError
            If it is not positive, or the fit has one level only.
        """
        return self._draws(X, n_draws, random_state)

    def _draws(self, X: Any, n_draws: Any, random_state: Any, **beside: Any) -> Array:
        check_is_fitted(self)
        self._require_two_levels()
        hint = "pass the number of draws for each row"
        n_draws = positive_integer(n_draws, "n_draws", type(self).__name__, hint)
        rng = as_generator(random_state)
        grid = self._predict_grid(X, **beside)
        return grid_sample(grid, self.levels_, n_draws, rng)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return minus the mean pinball loss over rows and levels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows.

        Returns
        -------
        score : float
            At most zero, the greater the better; unlike an R^2 in units of `y`.
        """
        grid = self.predict_quantiles(X)
        return -pinball_loss(y, grid, self.levels_, sample_weight=sample_weight)

    def _read_coverage(self, coverage: Any) -> Array:
        """Return the levels (2,) of a central interval."""
        caller = type(self).__name__
        share = read_coverage(coverage, caller)
        ends = np.array([(1.0 - share) / 2.0, (1.0 + share) / 2.0])
        widest = 1.0 - 2.0 * max(self.levels_[0], 1.0 - self.levels_[-1])
        if share > widest + 2.0 * SAME_LEVEL:
            raise ValueError(
                f"The 'coverage' of {caller} must be within its levels, from "
                f"{self.levels_[0]:g} to {self.levels_[-1]:g}, so at most "
                f"{max(widest, 0.0):g}. Got {share:g}; fit with levels that include "
                f"{ends[0]:g} and {ends[1]:g}."
            )
        return ends

    def _require_two_levels(self) -> None:
        if len(self.levels_) < 2:
            raise ValueError(
                f"{type(self).__name__} expected two levels or more for a whole "
                f"distribution. Got {self.levels_.tolist()}; fit with more levels."
            )
