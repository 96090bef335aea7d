"""Ordinal regression by maximum likelihood, with inference.

A proportional, partial or non-proportional model is a pattern of differences that may
move, on the same engine as PRESTO. This file is the scikit-learn face: `_inference`
turns curvature into covariances, and what can be asked of a fit is in
`_fitted_regression`.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.exceptions import StatlearnWarning
from statlearn.ordinal._base import TrainingData
from statlearn.ordinal._columns import warn_of_constant_columns
from statlearn.ordinal._families import FAMILY_NAMES
from statlearn.ordinal._fitted_regression import FittedRegression
from statlearn.ordinal._identifiability import warn_if_not_identified
from statlearn.ordinal._inference import (
    MAX_PARAMETERS,
    Information,
    Layout,
    fitted_information,
    parameter_covariance,
)
from statlearn.ordinal._links import LINKS
from statlearn.ordinal._problem import Fit, Problem
from statlearn.utils._sklearn import Interval, StrOptions, fit_context
from statlearn.utils._warn import warn

Array = NDArray[np.float64]


class OrdinalRegression(FittedRegression):
    r"""Ordinal regression by maximum likelihood, with standard errors and tests.

    Use it to learn how features move an ordered outcome, and whether they do so alike
    at every boundary between classes: proportional odds (`parallel=True`), a slope for
    each boundary (`False`), or some of both. To predict a rare class from many features
    prefer :class:`~statlearn.ordinal.PrestoClassifier`, which chooses by a penalty.

    Parameters
    ----------
    family : {"cumulative", "sratio", "cratio", "acat"}, default="cumulative"
        What the linear predictor of boundary ``k`` models: ``P(Y <= k)``,
        ``P(Y = k | Y >= k)``, ``P(Y > k | Y >= k)`` or
        ``P(Y = k+1 | Y in {k, k+1})``. Only boundaries of the first can cross.
    link : {"logit", "probit", "cloglog", "loglog", "cauchit"}, default="logit"
        Distribution function of the linear predictor.
    parallel : bool or list of columns, default=True
        Columns, by name or position, with one slope for all boundaries; the others have
        one for each. True means all columns, False none.
    penalty : {"l2"} or None, default=None
        Ridge on slopes and on their departures from proportionality, for columns scaled
        to unit variance.
    alpha : float, default=1.0
        Strength of the ridge relative to the mean log-likelihood. Unused without
        `penalty`.
    reverse : bool, default=False
        Fit the family on the opposite class order. Coefficients are reported in the
        same order and sign as without.
    categories : "auto" or array-like, default="auto"
        Classes from low to high. "auto" reads an ordered categorical, else sorts.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied into ``sample_weight``.
    tol : float, default=1e-9
        Bound on the gradient, relative to the largest gradient entry of the
        intercept-only model.
    max_iter : int, default=100
        Newton steps.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes from low to high.
    intercept_ : ndarray of shape (n_classes - 1,)
        Thresholds on the raw scale; infinite next to a class without weight.
    coef_ : ndarray of shape (n_classes - 1, n_features)
        Slopes on the raw scale, equal in all rows for a parallel column. In the
        cumulative family ``F(intercept_[k] + x @ coef_[k])`` is
        ``P(Y <= classes_[k] | x)``: a positive slope pushes towards lower classes.
    params_ : ndarray of shape (n_params,)
        Thresholds, then slopes column by column: one for a parallel column, one for
        each boundary otherwise.
    param_names_ : ndarray of shape (n_params,)
        Their names; ``"low | high"`` stands for a boundary.
    cov_ : ndarray of shape (n_params, n_params)
        Inverse observed information. A parameter that the data do not determine has
        ``inf`` on the diagonal and zeros beside it. None, with a warning, for more than
        3000 parameters.
    bse_ : ndarray of shape (n_params,)
        Standard errors.
    loglik_ : float
        Weighted log-likelihood, without the penalty.
    null_loglik_ : float
        Weighted log-likelihood of the intercept-only model.
    aic_ : float
        Akaike's information criterion.
    bic_ : float
        Schwarz's information criterion, with `n_obs_` observations.
    df_model_ : float
        Number of slopes that the data can tell apart, thresholds not counted; with a
        penalty the effective number.
    n_obs_ : float
        Sum of the weights.
    n_iter_ : int
        Newton steps taken.
    kkt_ : float
        Largest entry of the gradient of the mean log-likelihood (less the penalty).
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had names that are all strings.

    See Also
    --------
    PrestoClassifier : Shrinks towards proportional odds, boundary by boundary.
    statsmodels.miscmodels.ordinal_model.OrderedModel : Proportional models only, with
        slopes of the opposite sign.
    sklearn.linear_model.LogisticRegression : Ignores the order of classes.

    Notes
    -----
    The estimate maximises

    .. math::

        \frac{1}{W} \sum_i w_i \log \pi_{i, y_i} - \frac{\alpha}{2} \sum_j
        \Big[ \beta_{1j}^2 + \sum_{k \ge 2} (\beta_{kj} - \beta_{k-1,j})^2 \Big],
        \quad W = \sum_i w_i,

    the second term only with ``penalty="l2"`` and on standardised columns. Weights are
    frequencies: an integer weight equals repeated rows, also in standard errors and
    information criteria. With other weights, class weights among them, estimates keep
    their meaning and standard errors do not.

    Standard errors come from the observed information, as in R's ``clm`` and ``polr``;
    with a penalty from that of the penalised likelihood, which makes them those of a
    Bayesian with a normal prior. Where columns are dependent or classes separated, a
    warning says so, and parameters that the data leave open have standard error
    ``inf``; all others are the limits that they tend to.

    A gradient costs :math:`O(np)` whatever the number of classes, a Hessian
    :math:`O(np^2)`: one weighted Gram matrix for parallel columns and at most three for
    the others (``acat`` has dense rows). Input is computed in float64. The ``cauchit``
    link, and ``acat`` with another link than ``logit``, give likelihoods that are not
    concave: the solution is then a stationary point.

    Parameters of a class without weight are left out: `params_` refers to boundaries
    between classes that occur.

    References
    ----------
    Peter McCullagh. Regression Models for Ordinal Data. Journal of the Royal
    Statistical Society B 42(2), 1980.

    Bercedis Peterson, Frank Harrell. Partial Proportional Odds Models for Ordinal
    Response Variables. Journal of the Royal Statistical Society C 39(2), 1990.

    Rollin Brant. Assessing Proportionality in the Proportional Odds Model for Ordinal
    Logistic Regression. Biometrics 46(4), 1990.

    Examples
    --------
    >>> from statlearn.datasets import load_wine_bitterness
    >>> from statlearn.ordinal import OrdinalRegression
    >>> wine = load_wine_bitterness()
    >>> model = OrdinalRegression()
    >>> model = model.fit(wine.data, wine.target, sample_weight=wine.sample_weight)
    >>> model.coef_[0].round(3)
    array([-2.503, -1.528])
    >>> model.bse_[-2:].round(3)
    array([0.529, 0.477])
    >>> model.nominal_test().pvalue.round(3)
    array([0.365, 0.904])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "family": [StrOptions(set(FAMILY_NAMES))],
        "link": [StrOptions(set(LINKS))],
        "parallel": ["boolean", "array-like"],
        "penalty": [StrOptions({"l2"}), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "reverse": ["boolean"],
        "categories": ["array-like", StrOptions({"auto"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        family="cumulative",
        link="logit",
        parallel=True,
        penalty=None,
        alpha=1.0,
        reverse=False,
        categories="auto",
        class_weight=None,
        tol=1e-9,
        max_iter=100,
    ):
        self.family = family
        self.link = link
        self.parallel = parallel
        self.penalty = penalty
        self.alpha = alpha
        self.reverse = reverse
        self.categories = categories
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # With parallel columns all classes lie along one direction, so classes without
        # an order, as in scikit-learn's common checks, are predicted badly.
        tags.classifier_tags.poor_score = self.parallel is not False
        return tags

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> OrdinalRegression:
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows; sparse ones are never made dense.
        y : array-like of shape (n_samples,)
            Ordered labels: numbers, an ordered categorical, or any labels with
            `categories` given.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, taken by position.

        Returns
        -------
        self : OrdinalRegression
            The fitted estimator.

        Raises
        ------
        ValueError
            For missing values, unknown labels or columns, negative or all-zero weights,
            or fewer than two classes.
        """
        data = self._read(X, y, sample_weight, reset=True)
        ctx = self._init_callback_context()
        ctx.call_on_fit_task_begin(estimator=self, X=X, y=y)
        problem = self._pose(data)
        fit = problem.fit_at(self._strength())
        self._store(problem, data, fit, self._inform(problem, data, fit))
        ctx.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=self._fitted_state
        )
        return self

    # -- fitting -----------------------------------------------------------------

    def _inform(
        self, problem: Problem, data: TrainingData, fit: Fit
    ) -> Information | None:
        """Return the information of a fit; warn of what it leaves open."""
        caller, names = type(self).__name__, data.feature_names
        ridge = None
        if self._strength() > 0.0:
            ridge = problem.penalty.l2(self._strength())[problem.penalty.free]
        information = fitted_information(problem, ridge)
        if information is None:
            warn(
                f"{caller} expected at most {MAX_PARAMETERS} parameters for standard "
                f"errors. Got {problem.penalty.free.sum()}, so cov_ is None and bse_ "
                f"is NaN; predictions are unaffected. Use fewer columns or "
                f"PrestoClassifier.",
                StatlearnWarning,
            )
        if ridge is None:
            warn_of_constant_columns(problem.design.constant, names, caller)
            if information is None or not information.clear:
                warn_if_not_identified(
                    problem, fit.solution, names, self.classes_, caller
                )
        self._warn_unless_converged(fit.solution)
        return information

    def _store(
        self,
        problem: Problem,
        data: TrainingData,
        fit: Fit,
        information: Information | None,
    ) -> None:
        total, m = problem.design.total_weight, problem.likelihood.m
        self._store_coefficients(problem, fit)
        self._layout = Layout.of(self._parallel_columns(), m)
        self.params_ = self._layout.read(fit.intercept, fit.coef)
        self.param_names_ = self._layout.names(
            data.feature_names, self.classes_[problem.present]
        )
        self._store_covariance(problem, information)
        n_parameters = np.nan if information is None else information.n_parameters
        self.loglik_ = -total * fit.solution.loss
        self.null_loglik_ = -total * problem.null_loss
        self.df_model_ = n_parameters - m
        self.aic_ = -2.0 * self.loglik_ + 2.0 * n_parameters
        self.bic_ = -2.0 * self.loglik_ + np.log(total) * n_parameters
        self.n_obs_ = total
        self.kkt_ = fit.solution.kkt
        self.n_iter_ = fit.solution.n_iter
        self._keep(data)

    def _store_covariance(
        self, problem: Problem, information: Information | None
    ) -> None:
        if information is None:
            self._covariance = self.cov_ = None
            self.bse_ = np.full(len(self.params_), np.nan)
            return
        self._covariance = parameter_covariance(
            problem, information.covariance, self._layout
        )
        self.cov_ = self._covariance.matrix()
        # Not from cov_: squares of errors may leave the range where errors do not.
        self.bse_ = self._covariance.standard_errors()
