"""What a fitted incremental classifier tells: logits, labels, accuracy by step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from statlearn.continual._feature_map import features_of
from statlearn.continual._incremental_checks import require_known, require_moderate
from statlearn.continual._step_scores import StepScores, step_scores
from statlearn.continual._table_kind import table_kind

Array = NDArray[np.float64]


class FittedIncrementalClassifier(ClassifierMixin, BaseEstimator):
    """Methods on the attributes that a step of `IncrementalClassifier` sets."""

    backbone: Any
    backbone_: Any
    classes_: NDArray[Any]
    coef_: NDArray[Any]
    intercept_: NDArray[Any]
    step_classes_: list[NDArray[Any]]

    def decision_function(self, X: Any) -> NDArray[Any]:
        """Return the logits of rows.

        Parameters
        ----------
        X : array-like or sparse table of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        logits : ndarray of shape (n_samples, n_classes)
            One for each class; for two classes the second minus the first, of shape
            (n_samples,).
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return probabilities of the classes.

        Parameters
        ----------
        X : array-like or sparse table of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        return softmax(self._logits(X), axis=1)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable classes.

        Parameters
        ----------
        X : array-like or sparse table of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Of the classes so far.
        """
        best = self._logits(X).argmax(axis=1)
        return self.classes_[best]

    def score_steps(self, X: Any, y: Any) -> StepScores:
        """Return the accuracy on the classes of each step.

        Parameters
        ----------
        X : array-like or sparse table of shape (n_samples, n_features)
            Rows held out, of classes that were learnt.
        y : array-like of shape (n_samples,)
            Their classes.

        Returns
        -------
        scores : StepScores
            By step, and on old, new and all classes; its ``summary()`` is a table.

        Raises
        ------
        ValueError
            If a label is unknown, or there is not one for each row.
        """
        check_is_fitted(self)
        caller = f"{type(self).__name__}.score_steps"
        place = require_known(y, self.classes_.tolist(), "classes_", caller)
        taken = self._logits(X).argmax(axis=1)
        if len(taken) != len(place):
            raise ValueError(
                f"The 'y' of {caller} must have a label for each of {len(taken)} rows "
                f"of X. Got {len(place)}; pass rows and labels of the same data."
            )
        return step_scores(self.step_classes_, self.classes_, place, taken)

    def _theta(self) -> Array:
        return np.column_stack([self.coef_, self.intercept_]).astype(np.float64)

    def _logits(self, X: Any) -> NDArray[Any]:
        """Return logits (n_samples, n_classes) in the type of the features."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, **table_kind(self))
        require_moderate(X, "the 'X'", type(self).__name__)
        phi = features_of(self.backbone_, X, type(self).__name__)
        return phi @ self.coef_.T.astype(phi.dtype) + self.intercept_.astype(phi.dtype)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        if hasattr(self.backbone, "transform"):
            inner = get_tags(self.backbone).input_tags
            tags.input_tags.sparse = inner.sparse
            tags.input_tags.allow_nan = inner.allow_nan
        return tags
