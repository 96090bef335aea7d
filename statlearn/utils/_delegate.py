"""Estimators that hold another one: what its fit takes, and what it predicts."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter


def weight_keyword(estimator: Any) -> str | None:
    """Return the keyword by which the ``fit`` of an estimator takes weights.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    keyword : str or None
        ``"sample_weight"``, with the names of steps before it for a pipeline without
        metadata routing; None if the estimator takes no weights.
    """
    if has_fit_parameter(estimator, "sample_weight"):
        return "sample_weight"
    if get_config()["enable_metadata_routing"]:
        routing = get_routing_for_object(estimator)
        return "sample_weight" if routing.consumes("fit", ["sample_weight"]) else None
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        keyword = weight_keyword(last) if hasattr(last, "fit") else None
        return f"{name}__{keyword}" if keyword else None
    parameters = inspect.signature(estimator.fit).parameters.values()
    forwards = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return "sample_weight" if forwards else None


def takes_weight(estimator: Any, method: str) -> bool:
    """Tell whether a method of an estimator has a parameter ``sample_weight``."""
    step = getattr(estimator, method, None)
    return step is not None and "sample_weight" in inspect.signature(step).parameters


def model_inside(estimator: Any, X: Any, method: str) -> tuple[Any, Any]:
    """Return the model that has a method, with the rows as they reach it.

    scikit-learn's pipelines, searches and frozen estimators hand on `predict`, but not
    the methods that a model has besides.

    Parameters
    ----------
    estimator : estimator
        Fitted if X is given.
    X : array-like of shape (n, n_features) or None
    method : str

    Returns
    -------
    model : estimator
        The outermost one with that method, or the innermost one.
    X : array-like of shape (n, n_features) or None
        Transformed by the steps before it.
    """
    while not hasattr(estimator, method):
        if isinstance(estimator, Pipeline):
            if X is not None:
                for _, step in estimator.steps[:-1]:
                    if step is not None and step != "passthrough":
                        X = step.transform(X)
            estimator = estimator.steps[-1][1]
        elif isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif hasattr(estimator, "refit") and hasattr(estimator, "estimator"):
            estimator = getattr(estimator, "best_estimator_", estimator.estimator)
        else:
            break
    return estimator, X


def estimator_has(name: str) -> Callable[[Any], bool]:
    """Return the condition that the estimator inside has a method."""

    def check(self: Any) -> bool:
        # Raises the AttributeError of the estimator, which says why.
        getattr(getattr(self, "estimator_", self.estimator), name)
        return True

    return check


class Delegating(BaseEstimator):
    """Base of the estimators that predict by a fitted one inside.

    A subclass has a parameter ``estimator`` and sets ``estimator_`` in ``fit``.
    """

    estimator: Any
    estimator_: Any

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = deepcopy(get_tags(self.estimator))
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = inner.classifier_tags
        tags.regressor_tags = inner.regressor_tags
        tags.input_tags = inner.input_tags
        tags.target_tags = inner.target_tags
        tags.target_tags.required = True
        tags.target_tags.multi_output = False
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_label = False
        tags.non_deterministic = inner.non_deterministic
        tags.no_validation = inner.no_validation
        return tags

    def _rows(self, X: Any) -> Any:
        """Return rows as the estimator inside gets them: here, as they are."""
        return X

    @available_if(estimator_has("predict"))
    def predict(self, X: Any) -> Any:
        """Return predictions of the fitted estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Its predictions.
        """
        check_is_fitted(self)
        return self.estimator_.predict(self._rows(X))

    @available_if(estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Return class probabilities of the fitted estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns as in `classes_`.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(self._rows(X))

    @available_if(estimator_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> Any:
        """Return log probabilities of the fitted estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Columns as in `classes_`.
        """
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(self._rows(X))

    @available_if(estimator_has("decision_function"))
    def decision_function(self, X: Any) -> Any:
        """Return the decision function of the fitted estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        score : ndarray of shape (n_samples,) or (n_samples, n_classes)
            As the estimator gives it.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(self._rows(X))

    @available_if(estimator_has("score"))
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the score of the fitted estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        y : array-like of shape (n_samples,)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the score.

        Returns
        -------
        score : float
            R² or accuracy, as a rule.
        """
        check_is_fitted(self)
        extra = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self.estimator_.score(self._rows(X), y, **extra)
