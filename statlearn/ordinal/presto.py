"""PRESTO: ordinal classification that shrinks towards proportional odds.

The recipe: give each boundary between neighbouring classes its own slope vector, and
penalise the differences of neighbouring vectors, so that the abundant boundaries lend
strength to the one before the rare class. `_problem` poses and solves, `_crossing`
keeps predictions a distribution; this file is the scikit-learn face.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.ordinal._presto_base import PrestoBase
from statlearn.utils._sklearn import Interval, fit_context

Array = NDArray[np.float64]


class PrestoClassifier(PrestoBase):
    r"""Ordinal classifier whose boundary slopes are fused to proportional odds.

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

        -\frac{1}{W} \sum_i w_i \log \pi_{i, y_i} + \alpha \sum_j c_j
        \Big[ \rho\, P(\psi_{1j}) + \sum_{k \ge 2} P(\psi_{kj}) \Big],
        \quad P(t) = a |t| + \tfrac{1 - a}{2} t^2,

    on standardised columns, with :math:`W = \sum_i w_i`, :math:`a` the `l1_ratio`,
    :math:`\rho` `penalize_first` and :math:`c_j` the `penalty_factor`. Intercepts are
    free. Weights are frequencies: an integer weight equals repeated rows, and scaling
    all of them changes nothing.

    A gradient costs :math:`O(np)` whatever the number of classes, a Hessian at most
    :math:`3np^2` on the features in play (cumulative, sratio and cratio families;
    ``acat`` has dense rows). Input is computed in float64. The ``cauchit`` link, and
    ``acat`` with another link than ``logit``, give objectives that are not convex: the
    solution is then a stationary point.

    There is no ``decision_function``: an array of n_classes - 1 columns would be
    misread by calibrators and scorers. See :meth:`linear_predictor`.

    Metrics of scikit-learn take probability columns to be in the sorted order of the
    labels. Where the order of the classes is another (ordered categoricals, or
    `categories`), score with :class:`PrestoClassifierCV`, which sees to it, or fit on
    numeric labels.

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
        self._store(problem, data, fit)
        ctx.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=self._fitted_state
        )
        return self

    def _warm_coefficients(self) -> tuple[Array, Array] | None:
        if not (self.warm_start and hasattr(self, "coef_")):
            return None
        return self._reduced[1:]
