"""A regressor that writes down what a continual learner does with it, and data."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import make_classification


class Recorder(RegressorMixin, BaseEstimator):
    """Keep every batch and rate; predict the mean target of the last batch."""

    def fit(self, X, y):
        raise NotImplementedError

    def set_learning_rate(self, eta):
        self.rates_ = [*getattr(self, "rates_", []), eta]

    def reset_optimizer(self):
        self.resets_ = getattr(self, "resets_", 0) + 1

    def partial_fit(self, X, y, sample_weight=None):
        self.batches_ = [*getattr(self, "batches_", []), (X, y, sample_weight)]
        self.level_ = float(np.mean(y))
        return self

    def predict(self, X):
        return np.full(X.shape[0], self.level_)

    def state_dict(self):
        return {"level": np.array(self.level_)}

    def load_state_dict(self, state):
        self.level_ = float(state["level"])


def numbered(n, task):
    """Rows whose first feature is their number and whose second one is their task."""
    X = np.column_stack([np.arange(n), np.full(n, task)]).astype(float)
    return X, X[:, 0] + 1000.0 * task


def two_tasks(n=200):
    """Return two classification tasks, the second one with another sign."""
    X, y = make_classification(n, 5, flip_y=0.0, class_sep=2.0, random_state=0)
    return (X, y), (X + 0.5, 1 - y)
