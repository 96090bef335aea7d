"""Scores of a path of penalties on rows that it was not fitted to."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer

from statlearn.ordinal._base import TrainingData
from statlearn.ordinal._path import run_path
from statlearn.ordinal.presto import PrestoClassifier

Array = NDArray[np.float64]
# Of a user: the estimator, rows and labels.
Scorer = Callable[..., float]
Score = Callable[[PrestoClassifier, TrainingData], float]

# Probabilities are not scored below this, as in sklearn.metrics.log_loss.
_LOG_FLOOR = float(np.log(np.finfo(np.float64).eps))


def fold_scores(
    worker: PrestoClassifier,
    train: TrainingData,
    test: TrainingData,
    alphas: Array,
    score: Score,
    ctx: Any,
) -> Array:
    """Return the held-out score at each alpha of one fold."""
    problem = worker._pose(train)
    ctx.call_on_fit_task_begin(estimator=worker)
    fits = run_path(worker, problem, alphas, ctx)
    scores = np.empty(len(alphas))
    for number, fit in enumerate(fits):
        fitted = copy.copy(worker)
        fitted._store_coefficients(problem, fit)
        scores[number] = score(fitted, test)
    ctx.call_on_fit_task_end(estimator=worker)
    return scores


def make_score(scoring: str | Scorer, *, weighted: bool) -> Score:
    """Return what scores a fold, by the `scoring` of the user."""
    if scoring == "neg_log_loss":
        return _LogLossScore()
    if scoring == "neg_brier":
        return _BrierScore()
    if isinstance(scoring, str):
        return _UserScore(get_scorer(scoring), weighted)
    accepts = _is_sklearn(scoring) or (
        "sample_weight" in inspect.signature(scoring).parameters
    )
    return _UserScore(scoring, weighted and accepts)


class _LogLossScore:
    """Minus the weighted mean log loss."""

    def __call__(self, fitted: PrestoClassifier, test: TrainingData) -> float:
        log_proba = fitted._log_proba_of(test.X)
        own = log_proba[np.arange(len(test.codes)), test.codes]
        return float(np.average(np.maximum(own, _LOG_FLOOR), weights=test.weight))


class _BrierScore:
    """Minus the weighted mean of squared distances to the indicator of the class."""

    def __call__(self, fitted: PrestoClassifier, test: TrainingData) -> float:
        error = np.exp(fitted._log_proba_of(test.X))
        error[np.arange(len(test.codes)), test.codes] -= 1.0
        return -float(np.average((error**2).sum(axis=1), weights=test.weight))


class _UserScore:
    """A scorer of scikit-learn or the user, called with the original labels."""

    def __init__(self, scorer: Scorer, weighted: bool) -> None:
        self.scorer = scorer
        self.weighted = weighted

    def __call__(self, fitted: PrestoClassifier, test: TrainingData) -> float:
        labels = fitted.classes_[test.codes]
        extra = {"sample_weight": test.weight} if self.weighted else {}
        shown = _InLabelOrder(fitted) if _is_sklearn(self.scorer) else fitted
        return float(self.scorer(shown, test.X, labels, **extra))


class _InLabelOrder(ClassifierMixin, BaseEstimator):
    """A fitted classifier with columns in the order that metrics expect.

    Metrics of scikit-learn take the columns of probabilities to be in the sorted order
    of the labels, which need not be the order of the classes.
    """

    def __init__(self, fitted: PrestoClassifier) -> None:
        self.fitted = fitted
        self.order_ = np.argsort(fitted.classes_)
        self.classes_ = fitted.classes_[self.order_]

    def predict(self, X: Any) -> NDArray[Any]:
        return self.fitted.predict(X)

    def predict_proba(self, X: Any) -> Array:
        return self.fitted.predict_proba(X)[:, self.order_]


def _is_sklearn(scorer: Scorer) -> bool:
    return hasattr(scorer, "set_score_request")
