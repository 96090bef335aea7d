"""Stacks of quantile predictions, and the smallest loss of their weights by HiGHS.

Nothing here imports statlearn.
"""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.optimize import linprog


def expert_stack(n, m, q, *, seed):
    """Quantiles (n, m, q) of m normal models of a noisy curve, its y, and levels."""
    rng = np.random.default_rng(seed)
    levels = np.arange(1, q + 1) / (q + 1)
    x = rng.normal(size=n)
    spread = 0.3 + 0.2 * np.abs(x)
    y = np.sin(2.0 * x) + spread * rng.standard_normal(n)
    stack = np.empty((n, m, q))
    for j in range(m):
        centre = np.sin(2.0 * x) + 0.3 * rng.standard_normal()
        centre += 0.2 * rng.standard_normal(n)
        scale = spread * np.exp(0.3 * rng.standard_normal() + 0.1 * rng.normal(size=n))
        stack[:, j] = centre[:, None] + scale[:, None] * stats.norm.ppf(levels)
    return stack, y, levels


def highs_optimum(X, y, level, weight, *, nonneg, sum_to_one, n_free=0):
    """Smallest weighted pinball loss, from the dual linear program."""
    c = X.shape[1]
    box = np.c_[-weight * (1.0 - level), weight * level]
    in_sum = (np.arange(c) >= n_free).astype(float) * sum_to_one
    rows = np.c_[X.T, in_sum]
    signed = np.arange(c) >= (n_free if nonneg else c)
    result = linprog(
        np.r_[-y, -float(sum_to_one)],
        A_ub=rows[signed] if signed.any() else None,
        b_ub=np.zeros(signed.sum()) if signed.any() else None,
        A_eq=rows[~signed] if not signed.all() else None,
        b_eq=np.zeros((~signed).sum()) if not signed.all() else None,
        bounds=np.r_[box, [[-np.inf, np.inf] if sum_to_one else [0.0, 0.0]]],
        method="highs",
        options={
            "primal_feasibility_tolerance": 1e-10,
            "dual_feasibility_tolerance": 1e-10,
        },
    )
    assert result.status == 0, result.message
    return -result.fun
