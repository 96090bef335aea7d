"""Samples of losses, and the worst case of a mean loss by a general convex solver."""

from __future__ import annotations

import cvxpy as cp
import numpy as np

FIVE = np.arange(1.0, 6.0)
TIGHT = 1e-10


def shares(weights):
    return weights / weights.sum()


def measure(n, seed=None):
    """Base weights and their shares."""
    if seed is None:
        return None, np.full(n, 1.0 / n)
    base = np.random.default_rng(seed).gamma(2.0, size=n)
    return base, base / base.sum()


def sample(seed, n=25):
    return np.random.default_rng(seed).exponential(2.0, size=n) ** 1.5


def worst_case(losses, p, restrict=None, price=None):
    """Return shares and value of max q @ losses by a general solver."""
    d = cp.Variable(len(losses), nonneg=True)  # q / p
    gain = (p * losses) @ d if price is None else (p * losses) @ d - price(d)
    limits = [] if restrict is None else [restrict(d)]
    problem = cp.Problem(cp.Maximize(gain), [p @ d == 1.0, *limits])
    problem.solve(
        solver=cp.CLARABEL, tol_gap_abs=TIGHT, tol_gap_rel=TIGHT, tol_feas=TIGHT
    )
    assert problem.status == cp.OPTIMAL
    return p * d.value, problem.value
