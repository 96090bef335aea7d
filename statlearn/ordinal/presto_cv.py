"""PRESTO with the penalty chosen by cross-validation, one warm path a fold."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import check_cv
from sklearn.utils.parallel import Parallel, delayed

from statlearn.exceptions import RareClassWarning
from statlearn.ordinal._base import TrainingData
from statlearn.ordinal._held_out_scores import Score, fold_scores, make_score
from statlearn.ordinal._path import descending_alphas, path_coefficients, run_path
from statlearn.ordinal._presto_base import PrestoBase
from statlearn.utils._sklearn import Interval, StrOptions, fit_context
from statlearn.utils._warn import warn

Array = NDArray[np.float64]


class PrestoClassifierCV(PrestoBase):
    """PRESTO with ``alpha`` chosen by cross-validation.

    Each fold follows one warm-started path over all penalties, so that the choice
    costs little more than ``cv + 1`` fits. The object is itself the classifier fitted
    to all data at the chosen penalty.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,), default=None
        Penalties to try; by default a log-spaced grid below the smallest penalty at
        which no penalised coefficient is left in the fit to all data.
    n_alphas : int, default=20
        Length of the grid.
    eps : float, default=1e-2
        Ratio of the last value of the grid to the first.
    cv : int, splitter or iterable, default=5
        Folds; an integer means stratified folds without shuffling.
    scoring : {"neg_log_loss", "neg_brier"}, str or callable, default="neg_log_loss"
        What to maximise on the held-out rows: minus the log loss, minus the
        multi-class Brier score, the name of a scorer, or ``scorer(estimator, X, y)``.
    selection : {"min", "1se"}, default="min"
        The penalty of the best mean score, or the largest one within one standard
        error of it.
    n_jobs : int, default=None
        Folds fitted in parallel, through joblib. Results do not depend on it.
    l1_ratio : float, default=1.0
        Share of the absolute-value penalty in [0, 1]; the rest is a ridge.
    family : {"cumulative", "sratio", "cratio", "acat"}, default="cumulative"
        See :class:`PrestoClassifier`.
    link : {"logit", "probit", "cloglog", "loglog", "cauchit"}, default="logit"
        Distribution function of the linear predictor.
    penalize_first : float, default=1.0
        Weight of the first slope vector in the penalty.
    penalty_factor : array-like of shape (n_features,), default=None
        Weight of each feature in the penalty.
    reverse : bool, default=False
        Fit the family on the opposite class order.
    categories : "auto" or array-like, default="auto"
        Classes from low to high.
    standardize : bool, default=True
        Penalise slopes of columns of unit variance; redone inside each fold.
    monotone : {"tail", "rearrange", "clip", "raise"}, default="tail"
        Repair of crossing boundaries in ``predict_proba``, also on held-out rows.
    constrain_train : bool, default=False
        Fit the final model under the constraint that boundaries do not cross at any
        training row; the paths inside the folds are not constrained.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied into ``sample_weight``.
    tol : float, default=1e-7
        Relative bound on violations of the optimality conditions.
    max_iter : int, default=200
        Newton steps at each penalty.

    Attributes
    ----------
    alphas_ : ndarray of shape (n_alphas,)
        Penalties tried, in descending order.
    alpha_ : float
        The chosen penalty.
    scores_ : ndarray of shape (n_alphas, n_folds)
        Held-out scores; larger is better.
    scores_mean_ : ndarray of shape (n_alphas,)
        Mean over folds.
    scores_se_ : ndarray of shape (n_alphas,)
        Standard error of the mean over folds.
    coefs_path_ : ndarray of shape (n_alphas, n_classes - 1, n_features)
        Slopes of the path on all data.
    intercepts_path_ : ndarray of shape (n_alphas, n_classes - 1)
        Intercepts of the path on all data.
    classes_ : ndarray of shape (n_classes,)
        Classes from low to high.
    intercept_ : ndarray of shape (n_classes - 1,)
        Intercepts at the chosen penalty.
    coef_ : ndarray of shape (n_classes - 1, n_features)
        Slopes at the chosen penalty, signs as in :class:`PrestoClassifier`.
    diff_coef_ : ndarray of shape (n_classes - 1, n_features)
        Penalised vectors at the chosen penalty.
    objective_ : float
        Penalised mean negative log-likelihood.
    kkt_ : float
        Largest violation of the optimality conditions.
    loglik_ : float
        Weighted log-likelihood.
    null_loglik_ : float
        Weighted log-likelihood of the intercept-only model.
    n_iter_ : int
        Newton steps at the chosen penalty.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had names that are all strings.

    See Also
    --------
    PrestoClassifier : One given penalty.
    sklearn.linear_model.LogisticRegressionCV : Ignores the order of classes.

    Notes
    -----
    A class with fewer rows than folds is missing from the training part of some fold;
    that fold then gives it probability zero, and a
    :class:`~statlearn.exceptions.RareClassWarning` says so. Rows of zero weight are
    left out before splitting. A held-out row whose own class has been closed by
    crossing boundaries counts 36 in the log loss, as in
    :func:`sklearn.metrics.log_loss`, and a few such rows can decide; the Brier score is
    bounded. Because repeated rows can fall into different folds, an integer weight
    equals repetition only for folds that keep the copies together.

    References
    ----------
    Gregory Faletto, Jacob Bien. Predicting Rare Events by Shrinking Towards
    Proportional Odds. ICML, 2023.

    Examples
    --------
    >>> from statlearn.datasets import make_rare_ordinal
    >>> from statlearn.ordinal import PrestoClassifierCV
    >>> X, y = make_rare_ordinal(n_samples=1000, random_state=0)
    >>> model = PrestoClassifierCV(n_alphas=10, cv=3).fit(X, y)
    >>> model.scores_.shape
    (10, 3)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "alphas": ["array-like", None],
        "n_alphas": [Interval(Integral, 1, None, closed="left")],
        "eps": [Interval(Real, 0, 1, closed="neither")],
        "cv": ["cv_object"],
        "scoring": [str, callable],
        "selection": [StrOptions({"min", "1se"})],
        "n_jobs": [Integral, None],
        **PrestoBase._parameter_constraints,
    }

    def __init__(
        self,
        alphas=None,
        *,
        n_alphas=20,
        eps=1e-2,
        cv=5,
        scoring="neg_log_loss",
        selection="min",
        n_jobs=None,
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
    ):
        self.alphas = alphas
        self.n_alphas = n_alphas
        self.eps = eps
        self.cv = cv
        self.scoring = scoring
        self.selection = selection
        self.n_jobs = n_jobs
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

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> PrestoClassifierCV:
        """Choose the penalty and fit the model to all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Ordered labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, used in fitting and in scoring.

        Returns
        -------
        self : PrestoClassifierCV
            The fitted estimator.

        Raises
        ------
        ValueError
            For missing values, unknown labels, bad weights, fewer than two classes, or
            a fold whose training part has fewer than two classes.
        """
        data = self._read(X, y, sample_weight, reset=True)
        weighted = sample_weight is not None or self.class_weight is not None
        score = make_score(self.scoring, weighted=weighted)
        problem = self._pose(data)
        alphas = descending_alphas(
            problem.alpha_max, self.alphas, self.n_alphas, self.eps
        )
        folds = self._folds(data)
        root = self._init_callback_context(max_subtasks=2)
        root.call_on_fit_task_begin(estimator=self, X=X, y=y)
        self.scores_ = self._cross_validate(data, folds, alphas, score, root)
        self._choose(alphas)
        path_ctx = root.subcontext(task_name="path", max_subtasks=len(alphas))
        path_ctx.call_on_fit_task_begin(estimator=self)
        fits = run_path(self, problem, alphas, path_ctx)
        path_ctx.call_on_fit_task_end(estimator=self)
        self._warn_unless_converged(fits, alphas)
        chosen = int(np.flatnonzero(alphas == self.alpha_)[0])
        fit = fits[chosen]
        if self.constrain_train or self.alpha_ == 0.0:
            fit = self._solve(problem, data, self.alpha_)
        self._store(problem, data, fit)
        self.intercepts_path_, self.coefs_path_ = path_coefficients(problem, fits)
        root.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=self._fitted_state
        )
        return self

    def _folds(self, data: TrainingData) -> list[tuple[Any, Any]]:
        """Return (train, test) positions among the rows of positive weight."""
        splitter = check_cv(self.cv, data.codes, classifier=True)
        with warnings.catch_warnings():
            # Replaced by a warning that names the class, in `_check_folds`.
            warnings.filterwarnings("ignore", "The least populated class")
            if isinstance(self.cv, Iterable) and not hasattr(self.cv, "split"):
                folds = [
                    (data.position(train), data.position(test))
                    for train, test in splitter.split()
                ]
            else:
                folds = list(splitter.split(data.X, data.codes))
        self._check_folds(data, folds)
        return folds

    def _check_folds(self, data: TrainingData, folds: list[tuple[Any, Any]]) -> None:
        """Raise if a fold cannot be fitted or scored, and name classes it lacks."""
        if not folds or any(not len(test) for _, test in folds):
            raise ValueError(
                f"The 'cv' parameter of PrestoClassifierCV must give folds with test "
                f"rows of positive weight. Got {len(folds)} folds, or one without such "
                f"rows; pass other folds or weights."
            )
        everywhere = np.unique(data.codes)
        absent: dict[int, int] = {}
        for train, _ in folds:
            present = np.unique(data.codes[train])
            if len(present) < 2:
                raise ValueError(
                    f"PrestoClassifierCV expected at least 2 classes in the training "
                    f"part of every fold. Got {len(present)}; use fewer folds or "
                    f"stratified ones."
                )
            for code in np.setdiff1d(everywhere, present):
                absent[code] = absent.get(code, 0) + 1
        if absent:
            listed = ", ".join(
                f"{self.classes_.tolist()[code]!r} (in {count} of {len(folds)})"
                for code, count in sorted(absent.items())
            )
            warn(
                f"PrestoClassifierCV expected every class in the training part of each "
                f"fold. Got folds without class {listed}, which score it with "
                f"probability 0; use fewer folds or pool it with its neighbour.",
                RareClassWarning,
            )

    def _cross_validate(
        self,
        data: TrainingData,
        folds: list[tuple[Any, Any]],
        alphas: Array,
        score: Score,
        root: Any,
    ) -> Array:
        """Return held-out scores (n_alphas, n_folds)."""
        folds_ctx = root.subcontext(
            task_name="folds", max_subtasks=len(folds), sequential_subtasks=False
        )
        folds_ctx.call_on_fit_task_begin(estimator=self)
        contexts = [
            folds_ctx.subcontext(
                task_name="fold", task_id=number, max_subtasks=len(alphas)
            )
            for number in range(len(folds))
        ]
        # Without feature names: scorers hand it arrays.
        worker = self._as_classifier()
        columns = Parallel(n_jobs=self.n_jobs)(
            delayed(fold_scores)(
                worker, data.take(train), data.take(test), alphas, score, ctx
            )
            for (train, test), ctx in zip(folds, contexts, strict=True)
        )
        folds_ctx.call_on_fit_task_end(estimator=self)
        return np.array(columns).T

    def _choose(self, alphas: Array) -> None:
        n_folds = self.scores_.shape[1]
        if np.isnan(self.scores_).any():
            raise ValueError(
                f"The 'scoring' parameter of PrestoClassifierCV must give numbers. Got "
                f"NaN in {np.isnan(self.scores_).sum()} of {self.scores_.size} scores; "
                f"use larger folds or another score."
            )
        self.alphas_ = alphas
        self.scores_mean_ = self.scores_.mean(axis=1)
        spread = self.scores_.std(axis=1, ddof=1) if n_folds > 1 else 0.0
        self.scores_se_ = spread / np.sqrt(n_folds) + np.zeros(len(alphas))
        best = int(np.argmax(self.scores_mean_))
        if self.selection == "1se":
            floor = self.scores_mean_[best] - self.scores_se_[best]
            best = int(np.flatnonzero(self.scores_mean_ >= floor)[0])
        self.alpha_ = float(alphas[best])
