"""
Likelihoods, informations and effects by numerical differentiation.

Nothing here imports statlearn. Parameters are a flat vector: thresholds, then slopes
column by column, one for a parallel column and K - 1 for another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ordinal_oracle import class_probabilities, row_gradient


@dataclass
class Flat:
    """A model of classes 0..K-1 as a function of its flat parameters."""

    X: np.ndarray
    y: np.ndarray
    parallel: np.ndarray
    n_classes: int
    weight: np.ndarray
    family: str = "cumulative"
    link: str = "logit"
    reverse: bool = False

    @property
    def kind(self):
        return self.family, self.link, self.reverse

    def unpack(self, params):
        """Intercepts (m,) and slopes (m, p)."""
        m = self.n_classes - 1
        coef, at = np.empty((m, len(self.parallel))), m
        for j, equal in enumerate(self.parallel):
            size = 1 if equal else m
            coef[:, j] = params[at : at + size]
            at += size
        return params[:m], coef

    def pack(self, boundary):
        """Flat vector of a gradient in boundaries, (m, 1 + p)."""
        parts = [boundary[:, 0]]
        for j, equal in enumerate(self.parallel):
            column = boundary[:, 1 + j]
            parts.append([column.sum()] if equal else column)
        return np.concatenate(parts)

    def eta(self, params, X=None):
        intercept, coef = self.unpack(params)
        return intercept + (self.X if X is None else X) @ coef.T

    def probabilities(self, params, X=None):
        return class_probabilities(self.eta(params, X), *self.kind)

    def loglik(self, params):
        p = self.probabilities(params)[np.arange(len(self.y)), self.y]
        return float(self.weight @ np.log(p))

    def score(self, params):
        """Gradient of the log-likelihood."""
        rows = -row_gradient(self.eta(params), self.y, *self.kind)
        rows = rows * self.weight[:, None]
        return self.pack(np.column_stack([rows.sum(axis=0), rows.T @ self.X]))

    def information(self, params):
        """Observed information, by differences of the score."""
        return -jacobian(self.score, params).T


def jacobian(function, at, step=1e-3):
    """Derivative (k, n) of a vector function, by differences of sixth order."""
    columns = []
    for i in range(len(at)):
        h = step * max(1.0, abs(at[i]))

        def moved(by, i=i, h=h):
            shifted = at.copy()
            shifted[i] += by * h
            return np.asarray(function(shifted))

        near, middle, far = (moved(s) - moved(-s) for s in (1, 2, 3))
        columns.append((45 * near - 9 * middle + far) / (60 * h))
    return np.array(columns).T


def flat_model(X, y, parallel, **options):
    """Describe a model; `parallel` is a mask or one truth value for all columns."""
    mask = np.broadcast_to(parallel, X.shape[1])
    weight = options.pop("weight", None)
    weight = np.ones(len(y)) if weight is None else weight
    return Flat(X, y, mask, int(y.max()) + 1, weight, **options)
