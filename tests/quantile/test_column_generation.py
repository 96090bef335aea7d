"""Convex combinations of very many columns."""

from __future__ import annotations

import numpy as np
import pytest

from quantile_oracle import expert_stack, highs_optimum
from statlearn.quantile import _column_generation
from statlearn.quantile._column_generation import solve_many_columns


def problem(n=400, m=4, q=15, *, seed=0):
    stack, y, levels = expert_stack(n, m, q, seed=seed)
    columns = np.ascontiguousarray(stack.reshape(n, -1).T)
    return columns, y, float(levels[4]), 15 * np.arange(m) + 4


def solve(columns, y, level, first, *, weight=None, intercept=False, tol=1e-8):
    weight = np.ones(len(y)) if weight is None else weight
    return solve_many_columns(
        columns, y, level, weight, first, intercept=intercept, tol=tol, max_iter=100
    )


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_objective_is_that_of_all_columns_at_once(intercept, seed):
    columns, y, level, first = problem(seed=seed)
    weight = np.random.default_rng(seed).uniform(0.1, 2.0, len(y))
    fit = solve(columns, y, level, first, weight=weight, intercept=intercept)
    X = np.c_[np.ones((len(y), int(intercept))), columns.T]
    best = highs_optimum(
        X, y, level, weight, nonneg=True, sum_to_one=True, n_free=int(intercept)
    )
    np.testing.assert_allclose(fit.objective, best, rtol=1e-8)
    assert fit.converged
    np.testing.assert_allclose(fit.coef[int(intercept) :].sum(), 1.0, rtol=1e-12)


def test_few_columns_are_ever_looked_at(monkeypatch):
    columns, y, level, first = problem(n=2000, m=6, q=15, seed=2)
    widths, solve_one = [], _column_generation.solve_pinball

    def counted(X, *args, **kwargs):
        widths.append(X.shape[1])
        return solve_one(X, *args, **kwargs)

    monkeypatch.setattr(_column_generation, "solve_pinball", counted)
    fit = solve(columns, y, level, first)
    assert fit.converged
    assert max(widths) < len(columns) / 2


def test_any_first_columns_lead_to_the_optimum():
    columns, y, level, first = problem(seed=3)
    one = solve(columns, y, level, first)
    two = solve(columns, y, level, np.array([len(columns) - 1]))
    np.testing.assert_allclose(one.objective, two.objective, rtol=2e-8)


def test_gap_bounds_the_optimum_of_all_columns():
    columns, y, level, first = problem(seed=4)
    rules = {"nonneg": True, "sum_to_one": True}
    best = highs_optimum(columns.T, y, level, np.ones(len(y)), **rules)
    for tol in (1e-1, 1e-3, 1e-8):
        fit = solve(columns, y, level, first, tol=tol)
        assert fit.objective - fit.duality_gap <= best * (1 + 1e-12)
        assert fit.duality_gap <= tol * fit.objective


def test_equal_columns_do_not_cycle():
    columns, y, level, first = problem(seed=5)
    columns = np.concatenate([columns, columns])
    fit = solve(columns, y, level, first)
    rules = {"nonneg": True, "sum_to_one": True}
    best = highs_optimum(columns.T, y, level, np.ones(len(y)), **rules)
    np.testing.assert_allclose(fit.objective, best, rtol=1e-8)
