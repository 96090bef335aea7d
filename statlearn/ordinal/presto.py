"""PRESTO: ordinal classification that shrinks towards proportional odds.

The recipe: give each boundary between neighbouring classes its own slope vector, and
penalise the differences of neighbouring vectors, so that the abundant boundaries lend
strength to the one before the rare class. `_problem` poses and solves, `_crossing`
keeps predictions a distribution; this file is the scikit-learn face.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from statlearn.utils._sklearn import Interval, StrOptions, fit_context

from ._base import OrdinalClassifierBase, TrainingData
from ._constrained import fit_without_crossing
from ._crossing import MONOTONE_POLICIES
from ._families import FAMILY_NAMES
from ._fusion import FusionTable
from ._identifiability import warn_if_not_identified
from ._links import LINKS
from ._problem import (
    Fit,
    PenaltySpec,
    Problem,
    alpha_grid,
    merge_boundaries,
    pose,
)

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OrdinalPath:
    """Coefficients of PRESTO over a sequence of penalties.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
        Penalties in descending order.
    intercepts : ndarray of shape (n_alphas, n_classes - 1)
        Intercepts on the raw scale.
    coefs : ndarray of shape (n_alphas, n_classes - 1, n_features)
        Slopes on the raw scale.
    objectives : ndarray of shape (n_alphas,)
        Penalised mean negative log-likelihoods.
    n_iter : ndarray of shape (n_alphas,)
        Newton steps at each penalty.
    kkt : ndarray of shape (n_alphas,)
        Largest violations of the optimality conditions.
    alpha_max : float
        Smallest penalty at which every penalised coefficient is zero.
    classes : ndarray of shape (n_classes,)
        Classes from low to high.
    feature_names : ndarray of shape (n_features,)
        Names of the columns of X.
    """

    alphas: Array
    intercepts: Array
    coefs: Array
    objectives: Array
    n_iter: NDArray[np.int64]
    kkt: Array
    alpha_max: float
    classes: NDArray[Any]
    feature_names: NDArray[np.str_]


class PrestoBase(OrdinalClassifierBase):
    """Parameters and fitting steps shared by the classifier and its CV form."""

    _parameter_constraints: dict[str, list[Any]] = {
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "family": [StrOptions(set(FAMILY_NAMES))],
        "link": [StrOptions(set(LINKS))],
        "penalize_first": [Interval(Real, 0, None, closed="left")],
        "penalty_factor": ["array-like", None],
        "reverse": ["boolean"],
        "categories": ["array-like", StrOptions({"auto"})],
        "standardize": ["boolean"],
        "monotone": [StrOptions(set(MONOTONE_POLICIES))],
        "constrain_train": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def _penalty_spec(self, n_features: int) -> PenaltySpec:
        factor = self.penalty_factor
        if factor is not None:
            factor = np.asarray(factor, dtype=np.float64)
            if factor.shape != (n_features,) or not (
                np.isfinite(factor).all() and (factor >= 0).all()
            ):
                raise ValueError(
                    f"The 'penalty_factor' parameter of {type(self).__name__} must be "
                    f"{n_features} finite numbers >= 0, one for each feature. Got "
                    f"{self.penalty_factor!r}; use 1 for the usual penalty and 0 for "
                    f"none."
                )
        return PenaltySpec(float(self.l1_ratio), float(self.penalize_first), factor)

    def _pose(self, data: TrainingData, free: Any = None) -> Problem:
        return pose(
            data.X,
            data.codes,
            data.weight,
            len(self.classes_),
            self._model(),
            self._penalty_spec(data.X.shape[1]),
            standardize=self.standardize,
            free=free,
            tol=self.tol,
            max_iter=self.max_iter,
        )

    def _solve(self, problem: Problem, data: TrainingData, alpha: float) -> Fit:
        """Fit at one alpha, with the crossing constraint if asked for."""
        fit = problem.fit(alpha)
        if self.constrain_train and problem.model.can_cross:
            fit = fit_without_crossing(problem, alpha, fit)
        if alpha == 0.0:
            warn_if_not_identified(
                problem,
                fit.solution,
                data.feature_names,
                self.classes_,
                type(self).__name__,
            )
        self._warn_unless_converged([fit], [alpha])
        return fit

    def _warn_unless_converged(self, fits: list[Fit], alphas: Sequence[float]) -> None:
        failed = [
            (alpha, fit.solution)
            for alpha, fit in zip(alphas, fits, strict=True)
            if not fit.solution.converged
        ]
        if failed:
            alpha, worst = max(failed, key=lambda pair: pair[1].kkt)
            warnings.warn(
                f"{type(self).__name__} expected to reach tol={self.tol:g} within "
                f"max_iter={self.max_iter} Newton steps. Got an optimality violation "
                f"of {worst.kkt:.3g} at alpha={alpha:.4g}; increase max_iter or tol, "
                f"or use a larger alpha.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _store(
        self, problem: Problem, data: TrainingData, fit: Fit, alpha: float
    ) -> None:
        """Set every fitted attribute but those of a path."""
        total = problem.design.total_weight
        self._store_coefficients(problem, fit)
        self.diff_coef_ = problem.expand_differences(fit.diff_coef)
        self.n_iter_ = fit.solution.n_iter
        self.objective_ = fit.solution.objective
        self.kkt_ = fit.solution.kkt
        self.loglik_ = -total * fit.solution.loss
        self.null_loglik_ = -total * problem.null_loss
        self._fitted_alpha = float(alpha)
        self._training_data = data

    def fusion_table(self) -> FusionTable:
        """Tell which features are proportional, and at which boundaries.

        Returns
        -------
        table : FusionTable
            With ``summary()`` for reading and ``to_frame()`` for pandas.
        """
        return FusionTable.from_coefficients(
            self.coef_,
            self.diff_coef_,
            self._feature_names(),
            self.classes_,
            reverse=self.reverse,
        )

    def refit(
        self, X: Any = None, y: Any = None, sample_weight: Any = None
    ) -> PrestoClassifier:
        """Fit the selected pattern again without penalty.

        Coefficients that are zero, and neighbouring slopes that are equal, stay so;
        everything else is estimated by maximum likelihood, which removes the shrinkage
        of the selected effects.

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
        refitted : PrestoClassifier
            A fitted classifier with ``alpha=0``; this one is left as it is.
        """
        data = self._training(X, y, sample_weight)
        shared = {
            name: getattr(self, name) for name in PrestoBase._parameter_constraints
        }
        shared["constrain_train"] = False
        out = PrestoClassifier(alpha=0.0, **shared)
        out.classes_, out.n_features_in_ = self.classes_, self.n_features_in_
        if hasattr(self, "feature_names_in_"):
            out.feature_names_in_ = self.feature_names_in_
        pattern = merge_boundaries(
            self.diff_coef_ != 0.0, np.unique(data.codes), self.reverse
        )
        problem = out._pose(data, free=pattern)
        out._store(problem, data, out._solve(problem, data, 0.0), 0.0)
        return out


class PrestoClassifier(PrestoBase):
    """Ordinal classifier whose boundary slopes are fused towards proportional odds.

    Use it when classes are ordered, the last one is rare, and you want calibrated
    probabilities of it: the abundant boundaries lend strength to the rare one as far
    as the data allow. With few features and no rare class
    :class:`~statlearn.ordinal.OrdinalRegression` gives standard errors and tests
    instead.

    Parameters
    ----------
    alpha : float, default=0.01
        Penalty strength. Zero is maximum likelihood with separate slopes.
    l1_ratio : float, default=1.0
        Share of the absolute-value penalty in [0, 1]; the rest is a ridge.
    family : {"cumulative", "sratio", "cratio", "acat"}, default="cumulative"
        What the linear predictor of boundary ``k`` models: ``P(Y <= k)``,
        ``P(Y = k | Y >= k)``, ``P(Y > k | Y >= k)`` or
        ``P(Y = k+1 | Y in {k, k+1})``. Only boundaries of the first can cross.
    link : {"logit", "probit", "cloglog", "loglog", "cauchit"}, default="logit"
        Distribution function of the linear predictor.
    penalize_first : float, default=1.0
        Weight of the first slope vector in the penalty. Zero shrinks to an
        unpenalised proportional model, one to the intercept-only model.
    penalty_factor : array-like of shape (n_features,), default=None
        Weight of each feature in the penalty; zero leaves a feature unpenalised.
    reverse : bool, default=False
        Fit the family on the opposite class order, anchoring the fusion at the last
        boundary. Coefficients are reported in the same order and sign as without.
    categories : "auto" or array-like, default="auto"
        Classes from low to high. "auto" reads an ordered categorical, else sorts.
    standardize : bool, default=True
        Penalise slopes of columns scaled to unit (weighted) variance.
    monotone : {"tail", "rearrange", "clip", "raise"}, default="tail"
        Repair of crossing boundaries in ``predict_proba``. "tail" keeps the
        probability of the last class.
    constrain_train : bool, default=False
        Fit under the constraint that boundaries do not cross at any training row.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied into ``sample_weight``.
    tol : float, default=1e-7
        Bound on violations of the optimality conditions, relative to the largest
        gradient entry of the intercept-only model.
    max_iter : int, default=200
        Newton steps.
    warm_start : bool, default=False
        Start from the coefficients of the previous ``fit``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes from low to high.
    intercept_ : ndarray of shape (n_classes - 1,)
        Intercepts on the raw scale; infinite next to a class without weight.
    coef_ : ndarray of shape (n_classes - 1, n_features)
        Slopes on the raw scale. In the cumulative family ``F(intercept_[k] + x @
        coef_[k])`` is ``P(Y <= classes_[k] | x)``: a positive slope pushes towards
        lower classes.
    diff_coef_ : ndarray of shape (n_classes - 1, n_features)
        The penalised vectors on the raw scale: the first boundary's slopes, then
        differences of neighbours (from the last boundary with ``reverse``).
    objective_ : float
        Penalised mean negative log-likelihood.
    kkt_ : float
        Largest violation of the optimality conditions.
    loglik_ : float
        Weighted log-likelihood.
    null_loglik_ : float
        Weighted log-likelihood of the intercept-only model.
    n_iter_ : int
        Newton steps taken.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had names that are all strings.

    See Also
    --------
    PrestoClassifierCV : Chooses ``alpha`` by cross-validation.
    presto_path : Coefficients for many values of ``alpha``.
    OrdinalRegression : Maximum likelihood with standard errors and tests.
    sklearn.linear_model.LogisticRegression : Ignores the order of classes.

    Notes
    -----
    With ``psi_1 = beta_1`` and ``psi_k = beta_k - beta_{k-1}`` the objective is

    .. math::

        -\\frac{1}{W} \\sum_i w_i \\log \\pi_{i, y_i} + \\alpha \\sum_j c_j
        \\Big[ \\rho\\, P(\\psi_{1j}) + \\sum_{k \\ge 2} P(\\psi_{kj}) \\Big],
        \\quad P(t) = a |t| + \\tfrac{1 - a}{2} t^2,

    on standardised columns, with :math:`W = \\sum_i w_i`, :math:`a` the `l1_ratio`,
    :math:`\\rho` `penalize_first` and :math:`c_j` the `penalty_factor`. Intercepts are
    free. Weights are frequencies: an integer weight equals repeated rows, and scaling
    all of them changes nothing.

    A gradient costs :math:`O(np)` whatever the number of classes, a Hessian at most
    :math:`3np^2` on the features in play (cumulative, sratio and cratio families;
    ``acat`` has dense rows). Input is computed in float64. The ``cauchit`` link, and
    ``acat`` with another link than ``logit``, give objectives that are not convex: the
    solution is then a stationary point.

    There is no ``decision_function``: an array of n_classes - 1 columns would be
    misread by calibrators and scorers. See :meth:`linear_predictor`.

    References
    ----------
    Gregory Faletto, Jacob Bien. Predicting Rare Events by Shrinking Towards
    Proportional Odds. ICML, 2023.

    Michael Wurm, Paul Rathouz, Bret Hanlon. Regularized Ordinal Regression and the
    ordinalNet R Package. Journal of Statistical Software 99(6), 2021.

    Examples
    --------
    >>> from statlearn.datasets import make_rare_ordinal
    >>> from statlearn.ordinal import PrestoClassifier
    >>> X, y = make_rare_ordinal(n_samples=1000, random_state=0)
    >>> model = PrestoClassifier(alpha=0.005).fit(X, y)
    >>> model.coef_.shape
    (3, 10)
    >>> model.predict_proba(X[:2]).round(3).sum(axis=1)
    array([1., 1.])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        **PrestoBase._parameter_constraints,
        "warm_start": ["boolean"],
    }

    def __init__(
        self,
        alpha=0.01,
        *,
        l1_ratio=1.0,
        family="cumulative",
        link="logit",
        penalize_first=1.0,
        penalty_factor=None,
        reverse=False,
        categories="auto",
        standardize=True,
        monotone="tail",
        constrain_train=False,
        class_weight=None,
        tol=1e-7,
        max_iter=200,
        warm_start=False,
    ):
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.family = family
        self.link = link
        self.penalize_first = penalize_first
        self.penalty_factor = penalty_factor
        self.reverse = reverse
        self.categories = categories
        self.standardize = standardize
        self.monotone = monotone
        self.constrain_train = constrain_train
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> PrestoClassifier:
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
        self : PrestoClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            For missing values, unknown labels, negative or all-zero weights, or fewer
            than two classes.
        """
        before = self._warm_coefficients()
        data = self._read(X, y, sample_weight, reset=True)
        ctx = self._init_callback_context()
        ctx.call_on_fit_task_begin(estimator=self, X=X, y=y)
        problem = self._pose(data)
        if before is not None and before[1].shape == (
            len(problem.present) - 1,
            self.n_features_in_,
        ):
            problem.restart(*before)
        fit = self._solve(problem, data, float(self.alpha))
        self._store(problem, data, fit, self.alpha)
        ctx.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=self._fitted_state
        )
        return self

    def _fitted_state(self) -> dict[str, Any]:
        names = ("classes_", "n_features_in_", "intercept_", "coef_")
        state = {name: getattr(self, name) for name in names}
        if hasattr(self, "_fit_on_present"):
            state["_fit_on_present"] = self._fit_on_present
        return state

    def _warm_coefficients(self) -> tuple[Array, Array] | None:
        if not (self.warm_start and hasattr(self, "coef_")):
            return None
        return self._reduced[1:]

    @fit_context(prefer_skip_nested_validation=True)
    def _fit_path(
        self, X: Any, y: Any, sample_weight: Any, grid: tuple[Any, int, float]
    ) -> OrdinalPath:
        data = self._read(X, y, sample_weight, reset=True)
        problem = self._pose(data)
        alphas = descending_alphas(problem.alpha_max, *grid)
        ctx = self._init_callback_context(max_subtasks=len(alphas))
        ctx.call_on_fit_task_begin(estimator=self, X=X, y=y)
        fits = run_path(self, problem, alphas, ctx)
        self._warn_unless_converged(fits, alphas)
        ctx.call_on_fit_task_end(estimator=self, X=X, y=y)
        expanded = [problem.expand(fit.intercept, fit.coef) for fit in fits]
        return OrdinalPath(
            alphas=alphas,
            intercepts=np.array([intercept for intercept, _ in expanded]),
            coefs=np.array([coef for _, coef in expanded]),
            objectives=np.array([fit.solution.objective for fit in fits]),
            n_iter=np.array([fit.solution.n_iter for fit in fits]),
            kkt=np.array([fit.solution.kkt for fit in fits]),
            alpha_max=problem.alpha_max,
            classes=self.classes_,
            feature_names=data.feature_names,
        )


def descending_alphas(
    alpha_max: float, alphas: ArrayLike | None, n_alphas: int, eps: float
) -> Array:
    """Return given alphas in descending order, or a grid below alpha_max."""
    if alphas is None:
        return alpha_grid(alpha_max, n_alphas, eps)
    given = np.sort(np.asarray(alphas, dtype=np.float64).ravel())[::-1]
    if not given.size or not np.isfinite(given).all() or given[-1] < 0:
        raise ValueError(
            f"The 'alphas' parameter must be a non-empty list of finite numbers >= 0. "
            f"Got {alphas!r}; pass alphas=None for a grid of n_alphas values."
        )
    return given


def run_path(
    estimator: PrestoBase, problem: Problem, alphas: Array, ctx: Any
) -> list[Fit]:
    """Fit all alphas, one callback task for each; a callback can end the path."""
    fits = []
    for fit in problem.path(alphas):
        step = ctx.subcontext(task_name="alpha")
        step.call_on_fit_task_begin(estimator=estimator)
        fits.append(fit)
        step.call_on_fit_task_end(estimator=estimator)
    return fits


def presto_path(
    X: Any,
    y: Any,
    *,
    alphas: ArrayLike | None = None,
    n_alphas: int = 20,
    eps: float = 1e-2,
    sample_weight: ArrayLike | None = None,
    callbacks: Sequence[Any] = (),
    **options: Any,
) -> OrdinalPath:
    """Fit PRESTO for a descending sequence of penalties, each started at the last.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training rows.
    y : array-like of shape (n_samples,)
        Ordered labels.
    alphas : array-like of shape (n_alphas,), default=None
        Penalties; by default a log-spaced grid from the smallest penalty at which all
        penalised coefficients are zero.
    n_alphas : int, default=20
        Length of the grid.
    eps : float, default=1e-2
        Ratio of the last value of the grid to the first.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights of the rows.
    callbacks : sequence, default=()
        Callbacks of :mod:`sklearn.callback`, e.g. a ``ProgressBar``.
    **options : dict
        Any parameter of :class:`PrestoClassifier` but ``alpha`` and ``warm_start``.

    Returns
    -------
    path : OrdinalPath
        Coefficients, objectives and iteration counts for each penalty.

    See Also
    --------
    PrestoClassifierCV : Chooses a penalty from such paths.
    OrdinalPathDisplay : Draws one.

    References
    ----------
    Gregory Faletto, Jacob Bien. Predicting Rare Events by Shrinking Towards
    Proportional Odds. ICML, 2023.

    Examples
    --------
    >>> from statlearn.datasets import make_rare_ordinal
    >>> from statlearn.ordinal import presto_path
    >>> X, y = make_rare_ordinal(n_samples=500, random_state=0)
    >>> path = presto_path(X, y, n_alphas=5)
    >>> path.coefs.shape
    (5, 3, 10)
    >>> bool((path.coefs[0] == 0).all())
    True
    """
    _check_grid(n_alphas, eps)
    estimator = PrestoClassifier(**options).set_callbacks(*callbacks)
    return estimator._fit_path(X, y, sample_weight, (alphas, n_alphas, eps))


def _check_grid(n_alphas: int, eps: float) -> None:
    if not isinstance(n_alphas, Integral) or n_alphas < 1:
        raise ValueError(
            f"The 'n_alphas' parameter of presto_path must be an integer >= 1. Got "
            f"{n_alphas!r}; 20 is the default."
        )
    if not isinstance(eps, Real) or not 0 < eps < 1:
        raise ValueError(
            f"The 'eps' parameter of presto_path must lie in (0, 1). Got {eps!r}; "
            f"0.01 is the default."
        )
