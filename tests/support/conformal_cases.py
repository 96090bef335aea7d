"""A quick quantile model, and tables to calibrate it on."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import validate_data


class ResidualQuantiles(RegressorMixin, BaseEstimator):
    """Least squares, and quantiles of its residuals times a factor.

    In-sample residuals and a factor below one make intervals that are too short.
    """

    def __init__(self, factor=1.0, levels=None):
        self.factor = factor
        self.levels = levels

    def fit(self, X, y, sample_weight=None):
        X, y = validate_data(self, X, y, y_numeric=True)
        root = np.sqrt(np.ones(len(y)) if sample_weight is None else sample_weight)
        design = np.column_stack([np.ones(len(X)), X])
        self.coef_ = np.linalg.lstsq(design * root[:, None], y * root)[0]
        self.residuals_ = (y - design @ self.coef_)[root > 0]
        return self

    def predict(self, X):
        X = validate_data(self, X, reset=False)
        return self.coef_[0] + X @ self.coef_[1:]

    def predict_quantiles(self, X, levels):
        spread = self.factor * np.quantile(self.residuals_, levels)
        return self.predict(X)[:, np.newaxis] + spread


def skewed_table(n, seed, n_features=4):
    """Rows with noise that is skewed, and wider for large x."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_features))
    noise = rng.exponential(size=n) - 1.0
    y = X.sum(axis=1) + (0.5 + np.abs(X[:, 0])) * noise
    return X, y
