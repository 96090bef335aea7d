"""Data, bases and brute force for the searches for a high-breakdown fit."""

from __future__ import annotations

from itertools import combinations

import numpy as np

# Ten points on a line with small errors, the last one far off.
LINE_X = np.column_stack((np.ones(10), np.arange(10.0)))
_ERRORS = np.array([0.1, -0.2, 0.3, 0.0, -0.1, 0.2, -0.3, 0.1, 0.05, 15.0])
LINE_Y = 2.0 * LINE_X[:, 1] + 1.0 + _ERRORS


def basis(X, base=None):
    """Return Q (n, p) with ``Q' B Q = W I``, and R with ``X = Q R``."""
    base = np.ones(len(X)) if base is None else base
    root = np.sqrt(base / base.sum())[:, None]
    R = np.linalg.qr(X * root, mode="r")
    R = R * np.sign(np.diag(R))[:, None]
    return np.ascontiguousarray(np.linalg.solve(R.T, X.T).T), R


def contaminated(n, p, share, *, kind="vertical", seed=0):
    """Return X with an intercept and y with normal errors, a share of it bad."""
    rng = np.random.default_rng(seed)
    X = np.column_stack((np.ones(n), rng.standard_normal((n, p - 1))))
    y = X @ rng.standard_normal(p) + rng.standard_normal(n)
    bad = slice(0, round(share * n))
    if kind == "vertical":
        y[bad] += 10.0
    else:
        X[bad, 1] = 10.0 + 0.1 * rng.standard_normal(len(y[bad]))
        y[bad] = -30.0 + rng.standard_normal(len(y[bad]))
    return X, y


def elemental_fits(X, y):
    """Return the coefficients of the planes through all p rows that have one."""
    p = X.shape[1]
    subsets = [list(s) for s in combinations(range(len(y)), p)]
    return np.array(
        [
            np.linalg.solve(X[s], y[s])
            for s in subsets
            if np.linalg.matrix_rank(X[s]) == p
        ]
    )
