"""What a fitted linear regression tells: predictions, estimates, outliers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from statlearn.utils._fitted import feature_names
from statlearn.utils._numbers import positive_number, read_coverage
from statlearn.utils._tables import facts, number
from statlearn.utils._wald import WaldTable, wald_table

Array = NDArray[np.float64]


class FittedLinearRegression(RegressorMixin, BaseEstimator):
    """Methods on the attributes that `ReweightedLinearRegression.fit` sets."""

    weighting: Any
    fit_intercept: bool
    coef_: Array
    intercept_: float
    weights_: Array
    residuals_: Array
    scale_: float
    _rounding_: float
    cov_: Array | None
    bse_: Array | None
    n_iter_: int
    n_features_in_: int

    def predict(self, X: Any) -> Array:
        """Predict responses.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            ``X @ coef_ + intercept_``.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return X @ self.coef_ + self.intercept_

    # -- reading the fit ---------------------------------------------------------

    def outliers(self, threshold: float = 2.5) -> NDArray[np.bool_]:
        """Tell which training rows lie far from the fit.

        Parameters
        ----------
        threshold : float, default=2.5
            Largest distance that is usual, in units of `scale_`. Of normal errors 1.2 %
            are larger than 2.5.

        Returns
        -------
        outliers : ndarray of bool of shape (n_samples,)
            True for rows with ``abs(residuals_) > threshold * scale_``.
        """
        check_is_fitted(self)
        caller = f"{type(self).__name__}.outliers"
        limit = positive_number(threshold, "threshold", caller, "pass for example 2.5")
        return np.abs(self.residuals_) > max(limit * self.scale_, self._rounding_)

    def conf_int(self, coverage: float = 0.95) -> Array:
        """Return normal confidence intervals of the coefficients.

        Parameters
        ----------
        coverage : float, default=0.95
            Share of the intervals that hold the coefficient, in (0, 1).

        Returns
        -------
        interval : ndarray of shape (p, 2)
            Lower and upper ends, the intercept first.
        """
        return self.wald_table(coverage).interval

    def wald_table(self, coverage: float = 0.95) -> WaldTable:
        """Return coefficients with standard errors, tests and intervals.

        Parameters
        ----------
        coverage : float, default=0.95
            Coverage of the intervals, in (0, 1).

        Returns
        -------
        table : WaldTable
            With ``summary()`` and ``to_frame()``; the intercept first. Statistics are
            compared with the normal distribution.
        """
        check_is_fitted(self)
        share = read_coverage(coverage, type(self).__name__)
        if self.bse_ is None:
            raise ValueError(
                "Standard errors need a 'cov_type'. Got cov_type=None in this fit; fit "
                "again with cov_type='auto'."
            )
        names = np.array([*self._intercept_name(), *self._feature_names()])
        return wald_table(names, self._full_coef(), self.bse_, share)

    def summary(self, coverage: float = 0.95) -> str:
        """Return the fit as text.

        Parameters
        ----------
        coverage : float, default=0.95
            Coverage of the intervals, in (0, 1).

        Returns
        -------
        text : str
            How it was fitted, a line for each coefficient, and how many rows the
            weights put aside.
        """
        table = self.wald_table(coverage)
        head = facts(
            [
                ("weighting", str(self.weighting)),
                ("rows", str(len(self.weights_))),
                ("steps", str(self.n_iter_)),
                ("scale", number(self.scale_)),
                ("weights below 0.1", str(int(np.sum(self.weights_ < 0.1)))),
                ("farther than 2.5 scales", str(int(self.outliers().sum()))),
            ]
        )
        return f"{head}\n\n{table.summary()}"

    # -- names ---------------------------------------------------------------

    def _full_coef(self) -> Array:
        return np.r_[[self.intercept_] * bool(self.fit_intercept), self.coef_]

    def _intercept_name(self) -> list[str]:
        return ["intercept"] * bool(self.fit_intercept)

    def _feature_names(self) -> list[str]:
        return feature_names(self)
