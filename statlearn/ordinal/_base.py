"""What all ordinal classifiers share: reading the data, and predicting."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from statlearn.ordinal._crossing import log_class_probabilities
from statlearn.ordinal._design import row_chunks
from statlearn.ordinal._families import OrdinalModel
from statlearn.ordinal._problem import Fit, Problem
from statlearn.utils._fitted import feature_names
from statlearn.utils._identity import checksum
from statlearn.utils._sklearn import CallbackSupportMixin
from statlearn.utils._validation import (
    apply_class_weight,
    encode_ordered_labels,
    read_sample_weight,
    require_target,
    require_two_classes,
)

Array = NDArray[np.float64]

# A class with no more of the weight than this is lost in sums over classes.
_NO_SHARE = 4 * np.finfo(np.float64).eps


@dataclass(frozen=True)
class TrainingData:
    """Validated rows of positive weight.

    Attributes
    ----------
    X : (n, p) float64 array or sparse matrix
    codes : (n,) positions in `classes_`
    weight : (n,) positive
    feature_names : (p,) strings
    kept : (n_given,) boolean array
        Which of the rows given by the caller have weight, as far as it counts.
    """

    X: Any
    codes: NDArray[np.intp]
    weight: Array
    feature_names: NDArray[np.str_]
    kept: NDArray[np.bool_]

    def take(self, rows: NDArray[Any]) -> TrainingData:
        """Return some of the rows."""
        return replace(
            self, X=self.X[rows], codes=self.codes[rows], weight=self.weight[rows]
        )

    def checksum(self) -> int:
        """Return a number that other columns or weights hardly share."""
        dense = not sparse.issparse(self.X)
        # Some rows at a time: columns that lie in another order are copied for it.
        parts = [self.X[rows] for rows in row_chunks(self.X)] if dense else [self.X]
        return checksum(*parts, self.weight)

    def position(self, given: NDArray[Any]) -> NDArray[np.intp]:
        """Translate row numbers of the caller, leaving out rows of zero weight."""
        chosen = np.arange(len(self.kept))[given]
        return (np.cumsum(self.kept) - 1)[chosen[self.kept[chosen]]]


class OrdinalClassifierBase(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Reading of ordered labels and prediction from `intercept_` and `coef_`.

    Subclasses have the parameters `family`, `link`, `reverse`, `categories`,
    `class_weight`, and set `classes_`, `intercept_`, `coef_` in `fit`.
    """

    classes_: NDArray[Any]
    intercept_: Array
    coef_: Array

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        # The rows of the training data are kept for tests and refits in this process;
        # a pickled model must not carry them around.
        state = dict(super().__getstate__())
        state.pop("_training_data", None)
        state.pop("_training_checksum", None)
        return state

    # -- reading ----------------------------------------------------------------

    def _read(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> TrainingData:
        """Validate data; with `reset` also learn classes and features."""
        caller = type(self).__name__
        require_target(y, caller)
        categories = self.categories if reset else self.classes_
        classes, codes = encode_ordered_labels(y, categories, caller)
        X, codes = validate_data(
            self,
            X,
            codes,
            reset=reset,
            accept_sparse=("csr", "csc"),
            dtype=np.float64,
        )
        weight = read_sample_weight(sample_weight, X, caller)
        weight = apply_class_weight(self.class_weight, classes, codes, weight, caller)
        present = require_two_classes(classes, codes, weight, caller, _NO_SHARE)
        kept = (weight > 0.0) & present[codes]
        if not kept.all():
            X, codes, weight = X[kept], codes[kept], weight[kept]
        if reset:
            self.classes_ = classes
        return TrainingData(X, codes, weight, self._feature_names(), kept)

    def _training(self, X: Any, y: Any, sample_weight: Any) -> TrainingData:
        """Return given data, validated, or those of `fit` if none are given."""
        check_is_fitted(self)
        if X is not None:
            return self._read(X, y, sample_weight, reset=False)
        if y is not None or sample_weight is not None:
            raise ValueError(
                f"{type(self).__name__} expected X with y and sample_weight. Got no X; "
                f"pass all of them, or none for the data of fit."
            )
        data = getattr(self, "_training_data", None)
        if data is None:
            raise ValueError(
                f"{type(self).__name__} expected training data for this method. Got "
                f"none, and a loaded or copied model does not carry those of fit; pass "
                f"X, y and sample_weight."
            )
        if data.checksum() != self._training_checksum:
            raise ValueError(
                f"{type(self).__name__} expected the training data as they were in "
                f"fit. Got other numbers in the same arrays, changed in place since; "
                f"pass X, y and sample_weight."
            )
        return data

    def _keep(self, data: TrainingData) -> None:
        """Keep training data for tests and refits, and what tells them from others.

        They may lie in arrays of the caller, which a copy would need as much memory as
        again for as long as the model lives; one pass over them costs little.
        """
        self._training_data, self._training_checksum = data, data.checksum()

    def _feature_names(self) -> NDArray[np.str_]:
        return np.array(feature_names(self))

    def _model(self) -> OrdinalModel:
        return OrdinalModel.create(self.family, self.link, self.reverse)

    # -- predicting -------------------------------------------------------------

    def _check_X(self, X: Any) -> Any:
        check_is_fitted(self)
        return validate_data(
            self, X, reset=False, accept_sparse=("csr", "csc"), dtype=np.float64
        )

    def linear_predictor(self, X: Any) -> Array:
        """Return the linear predictor of every boundary.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        eta : ndarray of shape (n_samples, n_classes - 1)
            ``intercept_ + X @ coef_.T``; column ``k`` belongs to the boundary between
            ``classes_[k]`` and ``classes_[k + 1]``.
        """
        X = self._check_X(X)
        return X @ self.coef_.T + self.intercept_

    def predict_log_proba(self, X: Any) -> Array:
        """Return log probabilities of all classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Computed on the log scale, so that rare classes keep their digits; ``-inf``
            for a class of probability zero.
        """
        return self._log_proba_of(self._check_X(X))

    def _log_proba_of(self, X: Any) -> Array:
        """Return log probabilities of validated rows."""
        present, intercept, coef = self._reduced
        eta = X @ coef.T + intercept
        found = log_class_probabilities(
            self._model(), eta, self._monotone(), type(self).__name__
        )
        if len(present) == len(self.classes_):
            return found
        out = np.full((len(eta), len(self.classes_)), -np.inf)
        out[:, present] = found
        return out

    def predict_proba(self, X: Any) -> Array:
        """Return probabilities of all classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            A distribution in every row, columns as in ``classes_``.
        """
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Members of ``classes_``.
        """
        best = self.predict_log_proba(X).argmax(axis=1)
        return self.classes_[best]

    def predict_tail_proba(self, X: Any) -> Array:
        """Return the probability of exceeding each boundary, without any repair.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        tail : ndarray of shape (n_samples, n_classes - 1)
            ``P(Y > classes_[k] | x)``. In the cumulative family the columns of a row
            can increase where boundaries cross.
        """
        present, intercept, coef = self._reduced
        eta = self._check_X(X) @ coef.T + intercept
        tail = self._model().tail_proba(eta)
        if len(present) == len(self.classes_):
            return tail
        padded = np.column_stack((np.ones(len(eta)), tail, np.zeros(len(eta))))
        boundary = np.arange(len(self.classes_) - 1)
        return padded[:, np.searchsorted(present, boundary, side="right")]

    @property
    def _reduced(self) -> tuple[NDArray[np.intp], Array, Array]:
        """Classes with weight, and the coefficients of the boundaries among them."""
        check_is_fitted(self)
        stored = getattr(self, "_fit_on_present", None)
        if stored is not None:
            return stored
        return np.arange(len(self.classes_)), self.intercept_, self.coef_

    def _monotone(self) -> str:
        return getattr(self, "monotone", "tail")

    def _fitted_state(self) -> dict[str, Any]:
        """Return what a callback needs to predict with the model."""
        names = ("classes_", "n_features_in_", "intercept_", "coef_")
        state = {name: getattr(self, name) for name in names}
        if hasattr(self, "_fit_on_present"):
            state["_fit_on_present"] = self._fit_on_present
        return state

    def _store_coefficients(self, problem: Problem, fit: Fit) -> None:
        """Set the public coefficients, and the reduced ones if a class is absent."""
        self.__dict__.pop("_fit_on_present", None)
        self.intercept_, self.coef_ = problem.expand(fit.intercept, fit.coef)
        if len(problem.present) < problem.n_classes:
            self._fit_on_present = (problem.present, fit.intercept, fit.coef)
