"""Losses of single rows under a fitted estimator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Loss = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a fitted estimator makes of rows.

    Attributes
    ----------
    losses : ndarray of shape (n,)
    residuals : ndarray of shape (n,) or None
        Target minus prediction; None for classifiers.
    """

    losses: Array
    residuals: Array | None = None


def look(
    estimator: Any,
    X: Any,
    y: NDArray[Any],
    loss: str | Loss,
    *,
    classifier: bool,
    codes: Callable[[NDArray[Any]], NDArray[np.intp]] | None = None,
) -> Seen:
    """Return losses, and residuals, of rows under a fitted estimator.

    Parameters
    ----------
    estimator : fitted estimator
    X : table of n rows
    y : ndarray of shape (n,)
    loss : "auto" or callable
        ``loss(y_true, y_pred)`` gets predictions, or the probabilities of a classifier.
    classifier : bool
    codes : callable, default=None
        Gives the positions of the labels among the classes of the estimator.

    Returns
    -------
    seen : Seen
    """
    if not classifier:
        predicted = np.asarray(estimator.predict(X), dtype=np.float64).reshape(len(y))
        residuals = y - predicted
        if callable(loss):
            return Seen(_called(loss, y, predicted), residuals)
        return Seen(0.5 * residuals * residuals, residuals)
    if callable(loss):
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(
                f"The 'loss' must be 'auto' for a classifier without predict_proba. "
                f"Got a function, and {type(estimator).__name__} has no probabilities "
                f"for it; pass loss='auto' or another classifier."
            )
        return Seen(_called(loss, y, estimator.predict_proba(X)))
    return Seen(
        _classifier_loss(estimator, X, y, codes or partial(positions, labels=y))
    )


def _called(loss: Loss, y: NDArray[Any], predicted: Any) -> Array:
    losses = np.asarray(loss(y, predicted), dtype=np.float64)
    if losses.shape != (len(y),):
        raise ValueError(
            f"The 'loss' must return one number for each row, shape ({len(y)},). Got "
            f"shape {losses.shape}; return the losses before any mean is taken."
        )
    return losses


def _classifier_loss(
    estimator: Any,
    X: Any,
    y: NDArray[Any],
    codes: Callable[[NDArray[Any]], NDArray[np.intp]],
) -> Array:
    if hasattr(estimator, "predict_proba"):
        return log_loss_of(estimator.predict_proba(X), codes(estimator.classes_))
    if hasattr(estimator, "decision_function"):
        score = np.asarray(estimator.decision_function(X), dtype=np.float64)
        n_classes = len(estimator.classes_)
        if score.ndim == 1 or score.shape[1] == n_classes:
            return hinge_loss_of(score, codes(estimator.classes_))
    return (np.asarray(estimator.predict(X)) != y).astype(np.float64)


def positions(classes: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.intp]:
    """Return the position of each label among the classes, in whatever order.

    Parameters
    ----------
    classes : ndarray of shape (k,)
    labels : ndarray of shape (n,)
    """
    order = np.argsort(classes)
    found = np.searchsorted(classes, labels, sorter=order)
    codes = order[np.minimum(found, len(classes) - 1)]
    known = classes[codes] == labels
    if not known.all():
        raise ValueError(
            f"The labels must be among the classes {classes.tolist()}. Got also "
            f"{np.unique(labels[~known]).tolist()}; list all in 'classes' at first "
            f"call of partial_fit, or drop these rows."
        )
    return codes


def log_loss_of(proba: Any, codes: NDArray[np.intp]) -> Array:
    """Return minus the log probability of the own class.

    Parameters
    ----------
    proba : array of shape (n, k)
    codes : ndarray of shape (n,)
        Column of the own class.
    """
    proba = np.asarray(proba)
    if proba.shape[1] == 2:  # much faster than picking entry by entry
        own = np.where(codes == 1, proba[:, 1], proba[:, 0])
    else:
        own = proba[np.arange(len(codes)), codes]
    # A probability of zero counts as the rounding error it may be.
    tiny = np.finfo(own.dtype).eps if own.dtype.kind == "f" else np.finfo(float).eps
    loss = np.log(np.maximum(own.astype(np.float64, copy=False), tiny))
    return np.negative(loss, out=loss)


def hinge_loss_of(score: Array, codes: NDArray[np.intp]) -> Array:
    """Return by how much the own class misses a margin of one.

    Parameters
    ----------
    score : ndarray of shape (n,) for two classes, or (n, k)
        Decision function.
    codes : ndarray of shape (n,)
    """
    if score.ndim == 1:
        margin = np.where(codes == 1, score, -score)
    else:
        rows = np.arange(len(codes))
        others = score.copy()
        others[rows, codes] = -np.inf
        margin = score[rows, codes] - others.max(axis=1)
    return np.maximum(0.0, 1.0 - margin)
