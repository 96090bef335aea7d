"""
Independent minimisers of weighted pinball loss, and stacks of quantile predictions.

Nothing here imports statlearn: optima come from HiGHS through SciPy and from cvxpy with
Clarabel, objectives from plain sums.
"""

from __future__ import annotations

import cvxpy as cp
import numpy as np

from _quantile_stacks import expert_stack, highs_optimum

__all__ = [
    "CONSTRAINTS",
    "LEVELS",
    "STACK",
    "WEIGHT",
    "Y",
    "clarabel_optimum",
    "expert_stack",
    "highs_optimum",
    "loss",
    "mean_loss",
    "optimum",
]

# Whether weights are not negative, whether their sum is one.
CONSTRAINTS = {
    "simplex": (True, True),
    "unit_sum": (False, True),
    "nonneg": (True, False),
    "free": (False, False),
}

# A worked example of six rows, two models and three levels.
LEVELS = (0.25, 0.5, 0.75)
Y = np.array([0.3, 1.1, -0.4, 2.0, 0.9, -1.2])
WEIGHT = np.array([1.0, 2.0, 1.0, 0.5, 1.0, 3.0])
STACK = np.array(
    [
        [[-0.5, 0.1, 0.8], [0.0, 0.5, 0.7]],
        [[0.2, 0.9, 1.5], [0.6, 1.4, 1.6]],
        [[-1.0, -0.3, 0.2], [-0.9, -0.7, 0.1]],
        [[0.9, 1.4, 2.3], [1.2, 2.2, 2.6]],
        [[0.1, 0.4, 1.3], [0.7, 1.0, 1.2]],
        [[-1.6, -0.9, -0.1], [-2.0, -1.4, -0.8]],
    ]
)


def loss(e, level):
    """Pinball loss of residuals."""
    return np.maximum(level * e, (level - 1.0) * e)


def mean_loss(stack, y, levels, weights, intercept=0.0, sample_weight=None):
    """Mean over levels and weighted rows, by loops over output levels."""
    total = np.zeros(len(y))
    for k, level in enumerate(levels):
        if weights.ndim == 1:
            fitted = stack[:, :, k] @ weights
        elif weights.ndim == 2:
            fitted = stack[:, :, k] @ weights[k]
        else:
            fitted = sum(stack[:, j] @ weights[k, j] for j in range(stack.shape[1]))
        shift = np.broadcast_to(intercept, len(levels))[k]
        total += loss(y - fitted - shift, level) / len(levels)
    return np.average(total, weights=sample_weight)


def clarabel_optimum(X, y, level, weight, *, nonneg, sum_to_one, n_free=0):
    """Smallest weighted pinball loss, from the primal program in cvxpy."""
    n, c = X.shape
    w, u, v = cp.Variable(c), cp.Variable(n), cp.Variable(n)
    rules = [X @ w + u - v == y, u >= 0, v >= 0]
    if nonneg:
        rules.append(w[n_free:] >= 0)
    if sum_to_one:
        rules.append(cp.sum(w[n_free:]) == 1)
    level = np.broadcast_to(level, n)
    cost = (weight * level) @ u + (weight * (1.0 - level)) @ v
    problem = cp.Problem(cp.Minimize(cost), rules)
    problem.solve(
        solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12
    )
    assert problem.status in ("optimal", "optimal_inaccurate"), problem.status
    return problem.value


def optimum(stack, y, levels, *, resolution, constraint, intercept=False, weight=None):
    """Smallest mean loss of weights at a resolution, level by level from HiGHS."""
    nonneg, sum_to_one = CONSTRAINTS[constraint]
    n, m, q = stack.shape
    weight = np.ones(n) if weight is None else np.asarray(weight, float)
    ones = np.ones((n * q if resolution == "coarse" else n, int(intercept)))
    kw = {"nonneg": nonneg, "sum_to_one": sum_to_one, "n_free": int(intercept)}
    if resolution == "coarse":
        X = np.c_[ones, stack.transpose(2, 0, 1).reshape(-1, m)]
        level, rows = np.repeat(levels, n), np.tile(weight, q)
        total = highs_optimum(X, np.tile(y, q), level, rows, **kw)
    elif resolution == "medium":
        total = sum(
            highs_optimum(np.c_[ones, stack[:, :, k]], y, level, weight, **kw)
            for k, level in enumerate(levels)
        )
    else:
        X = np.c_[ones, stack.reshape(n, -1)]
        total = sum(highs_optimum(X, y, level, weight, **kw) for level in levels)
    return total / (q * weight.sum())
