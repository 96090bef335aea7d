"""`LinearQuantileRegression`: exact linear quantiles at many levels."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from statlearn.quantile._grid import GridRegressor
from statlearn.quantile._linear_design import LinearDesign, make_design, penalty_rows
from statlearn.quantile._linear_fit import LinearFit, fit_by_interior_point
from statlearn.quantile._non_crossing import Box, fit_by_linear_program, fit_in_order
from statlearn.quantile._standard_errors import bootstrap_covariance, kernel_covariance
from statlearn.utils._fitted import feature_names
from statlearn.utils._levels import find_level, read_levels
from statlearn.utils._numbers import read_coverage
from statlearn.utils._rng import as_generator
from statlearn.utils._scale import ZERO
from statlearn.utils._sklearn import (
    Interval,
    StrOptions,
    blas_threads_for,
    fit_context,
)
from statlearn.utils._tables import facts, number
from statlearn.utils._validation import read_sample_weight
from statlearn.utils._wald import WaldTable, wald_table
from statlearn.utils._warn import warn

Array = NDArray[np.float64]


class LinearQuantileRegression(GridRegressor):
    r"""Linear regression of conditional quantiles, exact and at many levels at once.

    For quantiles that are near linear in the features, with standard errors, or as one
    model of several in an ensemble. An interior point method ends in a vertex of the
    linear program, tens of times faster than a general solver. Quantiles may cross
    unless `non_crossing` is set.

    Parameters
    ----------
    levels : array-like of shape (n_levels,), default=(0.1, 0.5, 0.9)
        Quantile levels, strictly increasing in (0, 1).
    alpha : float, default=0.0
        Penalty on the sum of absolute slopes, beside the mean loss, for every level; in
        the unit of the loss as in scikit-learn's ``QuantileRegressor``. The intercept
        is free. A penalised fit has no standard errors.
    fit_intercept : bool, default=True
        Whether to add an intercept.
    non_crossing : bool or "box", default=False
        Whether levels are fitted together so that quantiles do not cross: True at the
        training rows and everywhere between them, "box" wherever each feature is within
        its range in training, which costs more of the fit the more features there are.
        Neither says anything beyond.
    solver : {"auto", "interior-point", "highs"}, default="auto"
        The interior point method, which "auto" takes, or SciPy's HiGHS. Where free
        levels cross, only HiGHS can put them in order.
    tol : float, default=1e-9
        Of the duality gap, relative to the objective, for the interior point method.
    max_iter : int, default=500
        Most steps of the interior point method.
    cov_type : {"kernel", "robust", "iid", "bootstrap"} or None, default="kernel"
        Covariance of the coefficients of a level. "kernel" is Powell's sandwich with a
        density at each row; "robust" and "iid" have one density for all rows, which
        "robust" combines with the squares of the scores, as statsmodels does;
        "bootstrap" draws rows. None saves the time.
    bandwidth : {"hall-sheather", "bofinger"}, default="hall-sheather"
        Bandwidth of the density, whose kernel is that of Epanechnikov.
    n_bootstrap : int, default=200
        Resamples of ``cov_type="bootstrap"``.
    random_state : int, Generator, RandomState or None, default=None
        Source of the resamples.

    Attributes
    ----------
    coef_ : ndarray of shape (n_levels, n_features)
        Slopes.
    intercept_ : ndarray of shape (n_levels,)
        Intercepts, zero without.
    levels_ : ndarray of shape (n_levels,)
        The levels.
    objective_ : ndarray of shape (n_levels,)
        Mean pinball loss plus penalty.
    duality_gap_ : ndarray of shape (n_levels,)
        How far at most the objective is above the smallest one. After a joint fit it is
        that of the sum over levels, in every entry.
    n_iter_ : ndarray of shape (n_levels,)
        Steps of the solver.
    cov_ : ndarray of shape (n_levels, p, p) or None
        Covariances of the coefficients, the intercept first; None with a penalty or
        ``cov_type=None``, nan where the residuals do not tell.
    bse_ : ndarray of shape (n_levels, p) or None
        Standard errors; infinite for coefficients of dependent columns.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X had any.

    See Also
    --------
    MultiQuantileRegressor : A grid from any estimator of one quantile.
    sklearn.linear_model.QuantileRegressor : One level, the same problem by HiGHS.
    statsmodels.regression.quantile_regression.QuantReg : One level, approximately.

    Notes
    -----
    For every level :math:`\tau` the fit minimises

    .. math:: \frac{1}{W} \sum_i s_i\, \psi_\tau(y_i - b_0 - x_i^\top b)
        + \alpha \lVert b \rVert_1, \qquad \psi_\tau(e) = \max(\tau e, (\tau - 1) e),

    where s are the sample weights and W is their sum; with `non_crossing` the sum of
    these over the levels, under
    :math:`q_{\tau_k}(x) \le q_{\tau_{k+1}}(x)`, which holds up to 1e-8 of the spread of
    y. A solution passes through as many rows as there are coefficients, and is checked
    by its dual. It need not be unique; of dependent columns the shortest coefficients
    are taken, in units of the columns.

    Sample weights count rows: integer weights are the same as repeated rows, also for
    standard errors. They are those of a free fit; constraints that bind are not allowed
    for. A resample has as many rows as the weights add up to.

    A step costs :math:`O(n p^2)` a level; 10 to 25 of them are usual, and up to 100 at
    levels such as 0.999 of many rows, of which few stay themselves. Memory is
    :math:`O(n p)` for a few levels at a time. X is dense and computed in float64.

    References
    ----------
    Roger Koenker, Gilbert Bassett. Regression Quantiles. Econometrica 46(1), 1978.

    Stephen Portnoy, Roger Koenker. The Gaussian Hare and the Laplacian Tortoise.
    Statistical Science 12(4), 1997.

    James L. Powell. Estimation of Monotonic Regression Models under Quantile
    Restrictions. Nonparametric and Semiparametric Methods in Econometrics, 1991.

    Howard D. Bondell, Brian J. Reich, Huixia Wang. Noncrossing Quantile Regression
    Curve Estimation. Biometrika 97(4), 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.quantile import LinearQuantileRegression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(0.0, 10.0, size=(500, 1))
    >>> y = 1.0 + X[:, 0] * (2.0 + 0.3 * rng.normal(size=500))
    >>> model = LinearQuantileRegression([0.1, 0.5, 0.9]).fit(X, y)
    >>> model.coef_.round(2).ravel()
    array([1.64, 1.97, 2.37])
    >>> model.predict_interval([[5.0]], coverage=0.8).round(1)
    array([[ 9.2, 12.8]])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "levels": ["array-like"],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "fit_intercept": ["boolean"],
        "non_crossing": ["boolean", StrOptions({"box"})],
        "solver": [StrOptions({"auto", "interior-point", "highs"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "cov_type": [StrOptions({"kernel", "robust", "iid", "bootstrap"}), None],
        "bandwidth": [StrOptions({"hall-sheather", "bofinger"})],
        "n_bootstrap": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        levels=(0.1, 0.5, 0.9),
        *,
        alpha=0.0,
        fit_intercept=True,
        non_crossing=False,
        solver="auto",
        tol=1e-9,
        max_iter=500,
        cov_type="kernel",
        bandwidth="hall-sheather",
        n_bootstrap=200,
        random_state=None,
    ):
        self.levels = levels
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.non_crossing = non_crossing
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.cov_type = cov_type
        self.bandwidth = bandwidth
        self.n_bootstrap = n_bootstrap
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None
    ) -> LinearQuantileRegression:
        """Fit all levels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Responses.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, taken by position; they count rows.

        Returns
        -------
        self : LinearQuantileRegression
            The fitted estimator.

        Raises
        ------
        ValueError
            For levels that are unsorted, repeated or outside (0, 1), missing values,
            or negative or all-zero weights.
        """
        caller = type(self).__name__
        levels = read_levels(self.levels, caller)
        X, y = validate_data(
            self, X, y, dtype=np.float64, y_numeric=True, estimator=self
        )
        y = y.astype(np.float64, copy=False)
        weight = np.ones(len(X))
        if sample_weight is not None:
            weight = read_sample_weight(sample_weight, X, caller)
            kept = weight > 0.0
            X, y, weight = X[kept], y[kept], weight[kept]
        design = make_design(
            X,
            y,
            weight,
            fit_intercept=self.fit_intercept,
            reduce=self.alpha == 0.0,
        )
        with blas_threads_for(design.columns.size):
            fit = self._solve(design, levels, X)
            self._store_covariance(design, fit, levels)
        self.levels_ = levels
        coef = design.raw(fit.coef)
        first = int(self.fit_intercept)
        self.intercept_ = coef[:, 0].copy() if first else np.zeros(len(levels))
        self.coef_ = coef[:, first:]
        scale = design.unit / weight.sum()
        self.objective_ = fit.objective * scale
        self.duality_gap_ = fit.duality_gap * scale
        self.n_iter_ = fit.n_iter
        return self

    # -- parts of fit --------------------------------------------------------------

    def _solve(self, design: LinearDesign, levels: Array, X: Array) -> LinearFit:
        """Return the fit in coordinates of the design, with a warning if it is none."""
        columns, y, weight = design.columns, design.y, design.weight
        grid = levels[:, None]
        if self.alpha > 0.0:
            rows = penalty_rows(design, self.alpha, X.shape[1])
            columns = np.vstack((columns, rows))
            y = np.r_[y, np.zeros(len(rows))]
            weight = np.r_[weight, np.ones(len(rows))]
            halves = np.full((len(levels), len(rows)), 0.5)
            grid = np.hstack((np.tile(grid, (1, len(X))), halves))
        if self.solver == "highs":
            fit = fit_by_linear_program(columns, y, grid, weight)
        else:
            fit = fit_by_interior_point(
                columns, y, grid, weight, tol=self.tol, max_iter=self.max_iter
            )
        if self.non_crossing and len(levels) > 1:
            box = self._box(design, X) if self.non_crossing == "box" else None
            fit = fit_in_order(
                columns, y, grid, weight, fit, rows=design.columns, box=box
            )
        if not fit.converged.all():
            failed = levels[~fit.converged]
            warn(
                f"{type(self).__name__} expected to reach tol={self.tol:g} within "
                f"max_iter={self.max_iter} at every level. Got a larger duality gap at "
                f"{failed.tolist()}; increase max_iter or tol, or use solver="
                f"{'interior-point' if self.solver == 'highs' else 'highs'!r}.",
                ConvergenceWarning,
            )
        return fit

    def _box(self, design: LinearDesign, X: Array) -> Box:
        first = int(self.fit_intercept)
        slopes = design.to_raw[first:]
        corner = X.min(axis=0) @ slopes
        if first:
            corner += design.to_raw[0]
        return Box(corner, np.ptp(X, axis=0)[:, None] * slopes)

    def _store_covariance(
        self, design: LinearDesign, fit: LinearFit, levels: Array
    ) -> None:
        self.cov_ = self.bse_ = None
        if self.cov_type is None or self.alpha > 0.0:
            return
        if self.cov_type == "bootstrap":
            inner = bootstrap_covariance(
                design.columns,
                design.y,
                levels,
                design.weight,
                n_bootstrap=self.n_bootstrap,
                generator=as_generator(self.random_state),
            )
        else:
            residuals = design.y - fit.coef @ design.columns.T
            residuals[np.abs(residuals) < ZERO] = 0.0
            inner = np.array(
                [
                    kernel_covariance(
                        design.columns,
                        row,
                        level,
                        design.weight,
                        kind=self.cov_type,
                        bandwidth=self.bandwidth,
                    )
                    for row, level in zip(residuals, levels, strict=True)
                ]
            )
        # Roots before units: squares of errors may leave the range where errors do not.
        size = np.abs(design.to_raw).max(axis=1)
        size[size == 0.0] = 1.0
        to_raw = design.to_raw / size[:, None]
        inner = to_raw @ inner @ to_raw.T
        unit = design.unit * size
        self.bse_ = unit * np.sqrt(np.einsum("qii->qi", inner))
        with np.errstate(over="ignore"):
            self.cov_ = unit[:, None] * inner * unit
        self.bse_[:, design.undetermined] = np.inf
        self.cov_[:, design.undetermined] = np.nan
        self.cov_[:, :, design.undetermined] = np.nan

    # -- reading the fit -------------------------------------------------------------

    def _predict_grid(self, X: Any) -> Array:
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return X @ self.coef_.T + self.intercept_

    def wald_table(self, level: float = 0.5, coverage: float = 0.95) -> WaldTable:
        """Return the coefficients of a level with standard errors and tests.

        Parameters
        ----------
        level : float, default=0.5
            One of the levels of the fit.
        coverage : float, default=0.95
            Coverage of the intervals, between 0 and 1.

        Returns
        -------
        table : WaldTable
            With ``summary()`` and ``to_frame()``; the intercept first. Statistics are
            compared with the normal distribution.

        Raises
        ------
        ValueError
            If the level was not fitted, or there are no standard errors.
        """
        check_is_fitted(self)
        caller = type(self).__name__
        share = read_coverage(coverage, caller)
        if self.bse_ is None:
            raise ValueError(
                f"{caller} expected alpha=0 and a 'cov_type' for standard errors. Got "
                f"alpha={self.alpha:g} and cov_type={self.cov_type!r} in this fit; fit "
                f"again with alpha=0 and cov_type='kernel'."
            )
        row = find_level(self.levels_, level)
        if row is None:
            raise ValueError(
                f"The 'level' of {caller} must be one of its levels, "
                f"{self.levels_.tolist()}. Got {level!r}; fit it too."
            )
        names, coef = feature_names(self), self.coef_[row]
        if self.fit_intercept:
            names, coef = ["intercept", *names], np.r_[self.intercept_[row], coef]
        return wald_table(np.array(names, str), coef, self.bse_[row], share)

    def conf_int(self, level: float = 0.5, coverage: float = 0.95) -> Array:
        """Return normal confidence intervals of the coefficients of a level.

        Parameters
        ----------
        level : float, default=0.5
            One of the levels of the fit.
        coverage : float, default=0.95
            Coverage, between 0 and 1.

        Returns
        -------
        interval : ndarray of shape (p, 2)
            Lower and upper ends, the intercept first.
        """
        return self.wald_table(level, coverage).interval

    def summary(self, coverage: float = 0.95) -> str:
        """Return the fit as text.

        Parameters
        ----------
        coverage : float, default=0.95
            Coverage of the confidence intervals.

        Returns
        -------
        text : str
            For each level its loss, and a line for each coefficient.
        """
        check_is_fitted(self)
        parts = []
        for row, level in enumerate(self.levels_):
            head = facts(
                [
                    ("level", f"{level:g}"),
                    ("mean pinball loss", number(float(self.objective_[row]))),
                    ("standard errors", str(self.cov_type)),
                    ("steps", str(self.n_iter_[row])),
                ]
            )
            parts.append(f"{head}\n\n{self.wald_table(level, coverage).summary()}")
        return "\n\n\n".join(parts)
