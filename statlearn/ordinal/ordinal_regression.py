"""Ordinal regression by maximum likelihood, with inference.

A proportional, partial or non-proportional model is a pattern of differences that may
move, on the same engine as PRESTO. This file is the scikit-learn face: `_inference`
turns curvature into covariances, `_proportionality` and `_brant` test the pattern,
`_effects` translates slopes into probabilities.
"""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from statlearn.utils._sklearn import (
    Interval,
    StrOptions,
    check_sample_weight,
    fit_context,
)

from ._base import OrdinalClassifierBase, TrainingData
from ._brant import BrantTest, brant_test
from ._columns import column_mask, warn_of_constant_columns
from ._effects import (
    MarginalEffects,
    Margins,
    binary_columns,
    marginal_effects,
    mean_row,
)
from ._families import FAMILY_NAMES
from ._identifiability import warn_if_not_identified
from ._inference import (
    Information,
    Layout,
    fitted_information,
    free_pattern,
    parameter_covariance,
)
from ._links import LINKS
from ._problem import Fit, PenaltySpec, Problem, pose
from ._proportionality import (
    ProportionalityTest,
    Study,
    likelihood_ratio_test,
    score_test,
)
from ._solver import Solution
from ._summary import WaldTable, facts, normal_interval

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class OrdinalRegression(OrdinalClassifierBase):
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
        ``inf`` on the diagonal and zeros beside it.
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
        fit = problem.fit(self._strength())
        self._store(problem, data, fit, self._inform(problem, data, fit.solution))
        ctx.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=self._fitted_state
        )
        return self

    # -- fitting -----------------------------------------------------------------

    def _strength(self) -> float:
        return float(self.alpha) if self.penalty == "l2" else 0.0

    def _parallel_columns(self) -> Mask:
        """Return which columns (p,) have one slope."""
        if isinstance(self.parallel, (bool, np.bool_)):
            return np.full(self.n_features_in_, bool(self.parallel))
        return self._column_mask("parallel", self.parallel)

    def _column_mask(self, parameter: str, columns: Any) -> Mask:
        return column_mask(
            columns,
            self._feature_names(),
            named=hasattr(self, "feature_names_in_"),
            parameter=parameter,
            caller=type(self).__name__,
        )

    def _pose(self, data: TrainingData) -> Problem:
        n_present = len(np.unique(data.codes))
        return pose(
            data.X,
            data.codes,
            data.weight,
            len(self.classes_),
            self._model(),
            PenaltySpec(l1_ratio=0.0),
            free=free_pattern(self._parallel_columns(), n_present - 1, self.reverse),
            tol=self.tol,
            max_iter=self.max_iter,
        )

    def _inform(
        self, problem: Problem, data: TrainingData, solution: Solution
    ) -> Information:
        """Return the information of a fit; warn of what it leaves open."""
        ridge = None
        if self._strength() > 0.0:
            ridge = problem.penalty.l2(self._strength())[problem.penalty.free]
        information = fitted_information(problem, ridge)
        if ridge is None:
            caller, names = type(self).__name__, data.feature_names
            warn_of_constant_columns(problem.design.constant, names, caller)
            if not information.clear:
                warn_if_not_identified(problem, solution, names, self.classes_, caller)
        self._warn_unless_converged(solution)
        return information

    def _warn_unless_converged(self, solution: Solution) -> None:
        if not solution.converged:
            warnings.warn(
                f"{type(self).__name__} expected to reach tol={self.tol:g} within "
                f"max_iter={self.max_iter} Newton steps. Got an optimality (KKT) "
                f"violation of {solution.kkt:.3g}; increase max_iter or tol, or use "
                f"penalty='l2'.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _store(
        self, problem: Problem, data: TrainingData, fit: Fit, information: Information
    ) -> None:
        total, m = problem.design.total_weight, problem.likelihood.m
        self._store_coefficients(problem, fit)
        self._layout = Layout.of(self._parallel_columns(), m)
        self._covariance = parameter_covariance(
            problem, information.covariance, self._layout
        )
        self.params_ = self._layout.read(fit.intercept, fit.coef)
        self.param_names_ = self._layout.names(
            data.feature_names, self.classes_[problem.present]
        )
        self.cov_ = self._covariance.matrix()
        self.bse_ = np.sqrt(np.diag(self.cov_))
        self.loglik_ = -total * fit.solution.loss
        self.null_loglik_ = -total * problem.null_loss
        self.df_model_ = information.n_parameters - m
        self.aic_ = -2.0 * self.loglik_ + 2.0 * information.n_parameters
        self.bic_ = -2.0 * self.loglik_ + np.log(total) * information.n_parameters
        self.n_obs_ = total
        self.kkt_ = fit.solution.kkt
        self.n_iter_ = fit.solution.n_iter
        self._training_data = data

    def _fitted_state(self) -> dict[str, Any]:
        names = ("classes_", "n_features_in_", "intercept_", "coef_")
        state = {name: getattr(self, name) for name in names}
        if hasattr(self, "_fit_on_present"):
            state["_fit_on_present"] = self._fit_on_present
        return state

    # -- estimates ---------------------------------------------------------------

    def conf_int(self, level: float = 0.95) -> Array:
        """Return normal confidence intervals of the parameters.

        Parameters
        ----------
        level : float, default=0.95
            Coverage, between 0 and 1.

        Returns
        -------
        interval : ndarray of shape (n_params, 2)
            Lower and upper ends, in the order of `params_`.
        """
        check_is_fitted(self)
        self._check_level(level)
        return normal_interval(self.params_, self.bse_, level)

    def _check_level(self, level: Any) -> None:
        if not (isinstance(level, Real) and 0.0 < float(level) < 1.0):
            raise ValueError(
                f"The 'level' parameter of {type(self).__name__} must lie between 0 "
                f"and 1. Got {level!r}; 0.95 is usual."
            )

    def wald_table(self, level: float = 0.95) -> WaldTable:
        """Return estimates, standard errors, Wald tests and confidence intervals.

        Parameters
        ----------
        level : float, default=0.95
            Coverage of the intervals.

        Returns
        -------
        table : WaldTable
            With ``summary()`` for reading and ``to_frame()`` for pandas.
        """
        check_is_fitted(self)
        self._check_level(level)
        return WaldTable.of(self.param_names_, self.params_, self.bse_, float(level))

    def summary(self) -> str:
        """Return the fit as text: criteria, then a row for each parameter.

        Returns
        -------
        text : str
            Print it.
        """
        check_is_fitted(self)
        penalty = "none" if not self._strength() else f"l2, alpha={self.alpha:g}"
        head = facts(
            [
                ("Family", self.family + (", reversed" if self.reverse else "")),
                ("Link", self.link),
                ("Classes", " < ".join(map(str, self.classes_.tolist()))),
                ("Penalty", penalty),
                ("Newton steps", str(self.n_iter_)),
                ("Sum of weights", f"{self.n_obs_:g}"),
                ("Log-likelihood", f"{self.loglik_:.4f}"),
                ("Without features", f"{self.null_loglik_:.4f}"),
                ("AIC", f"{self.aic_:.4f}"),
                ("BIC", f"{self.bic_:.4f}"),
            ]
        )
        return f"Ordinal regression\n{head}\n\n{self.wald_table().summary()}"

    # -- tests of proportionality --------------------------------------------------

    def nominal_test(
        self, X: Any = None, y: Any = None, sample_weight: Any = None
    ) -> ProportionalityTest:
        """Test equal slopes of each parallel column by likelihood ratios.

        Each column in turn, and then all of them together, get a slope for each
        boundary, and the model is fitted again.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), optional
            By default the data of `fit`, unless the model was pickled or copied.
        y : array-like of shape (n_samples,), optional
            Ordered labels.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows.

        Returns
        -------
        test : ProportionalityTest
            A statistic for each parallel column and one for all.

        Notes
        -----
        The models compared are fitted by maximum likelihood to the data given, also if
        this one has a penalty.
        """
        return likelihood_ratio_test(self._study(X, y, sample_weight))

    def score_test(
        self, X: Any = None, y: Any = None, sample_weight: Any = None
    ) -> ProportionalityTest:
        """Test equal slopes of each parallel column by the score of the wider model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), optional
            By default the data of `fit`, unless the model was pickled or copied.
        y : array-like of shape (n_samples,), optional
            Ordered labels.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows.

        Returns
        -------
        test : ProportionalityTest
            A statistic for each parallel column and one for all.

        Notes
        -----
        The score is measured by the observed information of the wider model at the
        parallel maximum-likelihood fit. Nothing is fitted again, and separated slopes
        of the wider model do no harm.
        """
        return score_test(self._study(X, y, sample_weight))

    def brant_test(
        self, X: Any = None, y: Any = None, sample_weight: Any = None
    ) -> BrantTest:
        """Test equal slopes by comparing separate binary fits of all boundaries.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), optional
            By default the data of `fit`, unless the model was pickled or copied.
        y : array-like of shape (n_samples,), optional
            Ordered labels.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows.

        Returns
        -------
        test : BrantTest
            A statistic for each parallel column and one for all, and the binary slopes.

        Raises
        ------
        ValueError
            For another family than "cumulative".

        Notes
        -----
        Brant's covariance for the logit link is the case ``f = F (1 - F)`` of that of
        estimating equations, which is used for every link: the scores of boundaries
        ``k <= l`` have covariance ``f_k f_l / ((1 - F_k) F_l)`` times ``x x'``.
        """
        check_is_fitted(self)
        if self.family != "cumulative":
            raise ValueError(
                f"{type(self).__name__}.brant_test expected family='cumulative', whose "
                f"boundaries are binary regressions of all rows. Got "
                f"family={self.family!r}; use nominal_test() or score_test()."
            )
        return brant_test(self._study(X, y, sample_weight))

    def _study(self, X: Any, y: Any, sample_weight: Any) -> Study:
        """Fit the parallel model by maximum likelihood, from here if possible."""
        data = self._training(X, y, sample_weight)
        problem = self._pose(data)
        present, intercept, coef = self._reduced
        if np.array_equal(present, problem.present):
            problem.restart(intercept, coef)
        solution = problem.fit(0.0).solution
        self._warn_unless_converged(solution)
        return Study(
            problem,
            solution,
            np.flatnonzero(self._parallel_columns()),
            data.feature_names,
            self.classes_[problem.present],
        )

    # -- marginal effects ----------------------------------------------------------

    def marginal_effects(
        self,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        *,
        at: str = "overall",
        discrete: Any = "auto",
    ) -> MarginalEffects:
        """Return how each feature changes the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), optional
            Rows to average over; by default those of `fit`, unless the model was
            pickled or copied.
        y : array-like of shape (n_samples,), optional
            Only needed for the class weights of rows that are given.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows.
        at : {"overall", "mean"}, default="overall"
            Average the effects over the rows, or take them at the mean of the rows.
        discrete : "auto" or list of columns, default="auto"
            Columns, by name or position, whose effect is the difference between 1 and 0
            instead of a derivative. "auto" takes those that hold zeros and ones only.

        Returns
        -------
        effects : MarginalEffects
            Effects of shape (n_features, n_classes) with standard errors.

        Notes
        -----
        Standard errors treat the rows as given. Where boundaries of a non-proportional
        cumulative model cross, the effects are those of the probabilities without
        repair.
        """
        rows, weight = self._rows(X, y, sample_weight)
        if at not in ("overall", "mean"):
            raise ValueError(
                f"The 'at' parameter of {type(self).__name__}.marginal_effects must be "
                f"'overall' or 'mean'. Got {at!r}; 'overall' is the default."
            )
        if isinstance(discrete, str) and discrete == "auto":
            binary = binary_columns(rows)
        else:
            binary = self._column_mask("discrete", discrete)
        share = weight / weight.sum()
        if at == "mean":
            rows, share = mean_row(rows, share), np.ones(1)
        present, intercept, coef = self._reduced
        margins = Margins.of(self._model(), intercept, coef, rows, share)
        effect, bse = marginal_effects(margins, binary, self._layout, self._covariance)
        return MarginalEffects.of(
            effect, bse, present, self._feature_names(), self.classes_, binary, at
        )

    def _rows(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Array]:
        """Return rows of positive weight and their weights."""
        if X is None or y is not None:
            data = self._training(X, y, sample_weight)
            return data.X, data.weight
        X = self._check_X(X)
        weight = check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
        kept = weight > 0.0
        return (X, weight) if kept.all() else (X[kept], weight[kept])
