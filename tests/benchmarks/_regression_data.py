"""Regression tables for benchmarks: correlated columns, heavy tails, some outliers."""

from __future__ import annotations

import numpy as np


def dirty_sample(n: int, p: int, *, seed: int, outliers: float = 0.05):
    """Return X (n, p) with neighbouring correlations of one half, and y (n,).

    Errors follow Student's t with five degrees of freedom; a share of rows is shifted.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    for j in range(1, p):
        X[:, j] = 0.5 * X[:, j - 1] + np.sqrt(0.75) * X[:, j]
    y = X @ rng.normal(size=p) + rng.standard_t(5, size=n)
    y[: int(outliers * n)] += 10.0
    return X, y
