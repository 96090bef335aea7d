"""Problems of many rows, solved on few of them."""

from __future__ import annotations

import numpy as np
import pytest

from quantile_oracle import CONSTRAINTS, expert_stack, highs_optimum
from statlearn.quantile import _row_reduction
from statlearn.quantile._constraint import Constraint
from statlearn.quantile._interior_point import solve_pinball, solve_pinball_batch


def problem(n=6000, *, seed=0):
    stack, y, levels = expert_stack(n, 4, 9, seed=seed)
    return stack[:, :, 6], y, float(levels[6])


def count_rows(monkeypatch):
    """Return a list that fills with the number of rows of each solve."""
    seen, solve = [], _row_reduction.minimize

    def minimize(block, *args, **kwargs):
        seen.append(block.up.shape[1])
        return solve(block, *args, **kwargs)

    monkeypatch.setattr(_row_reduction, "minimize", minimize)
    return seen


@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
def test_many_rows_have_the_objective_of_highs_on_few_rows(constraint, monkeypatch):
    X, y, level = problem()
    nonneg, sum_to_one = CONSTRAINTS[constraint]
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    seen = count_rows(monkeypatch)
    fit = solve_pinball(
        X, y, level, weight, constraint=Constraint(nonneg=nonneg, sum_to_one=sum_to_one)
    )
    best = highs_optimum(X, y, level, weight, nonneg=nonneg, sum_to_one=sum_to_one)
    np.testing.assert_allclose(fit.objective, best, rtol=1e-8)
    assert fit.converged
    assert max(seen) < len(y) / 2


@pytest.mark.parametrize("constraint", ["simplex", "free"])
def test_dual_variables_of_all_rows_prove_the_objective(constraint):
    X, y, level = problem(seed=1)
    nonneg, sum_to_one = CONSTRAINTS[constraint]
    fit = solve_pinball(
        X, y, level, constraint=Constraint(nonneg=nonneg, sum_to_one=sum_to_one)
    )
    assert ((fit.dual > -(1.0 - level) - 1e-9) & (fit.dual < level + 1e-9)).all()
    pull = X.T @ fit.dual
    value = y @ fit.dual - (pull.max() if sum_to_one else 0.0)
    np.testing.assert_allclose(value, fit.objective, rtol=1e-8)
    if not sum_to_one:
        np.testing.assert_allclose(pull, 0.0, atol=1e-7)


def test_wrong_first_weights_only_take_more_rounds(monkeypatch):
    X, y, level = problem(seed=2)
    best = highs_optimum(X, y, level, np.ones(len(y)), nonneg=True, sum_to_one=True)
    solve, seen = _row_reduction.minimize, []

    def misled(block, rule, start, **limits):
        answer = solve(block, rule, start, **limits)
        if not seen:  # the sample that the first band is laid around
            answer.w[:] = np.eye(4)[3]
        seen.append(block.up.shape[1])
        return answer

    monkeypatch.setattr(_row_reduction, "minimize", misled)
    fit = solve_pinball(
        X, y, level, constraint=Constraint(nonneg=True, sum_to_one=True)
    )
    np.testing.assert_allclose(fit.objective, best, rtol=1e-8)
    assert len(seen) > 2


def test_mixed_levels_are_averaged_apart():
    stack, y, levels = expert_stack(1500, 3, 5, seed=3)
    X = stack.transpose(2, 0, 1).reshape(-1, 3)
    level, target = np.repeat(levels, len(y)), np.tile(y, 5)
    fit = solve_pinball(
        X, target, level, constraint=Constraint(nonneg=True, sum_to_one=True)
    )
    best = highs_optimum(
        X, target, level, np.ones(len(target)), nonneg=True, sum_to_one=True
    )
    np.testing.assert_allclose(fit.objective, best, rtol=1e-8)


def test_levels_with_shared_columns_are_reduced_each_on_its_own():
    rng = np.random.default_rng(4)
    X = np.c_[np.ones(5000), rng.normal(size=(5000, 3))]
    y = X @ [1.0, 2.0, 0.0, -1.0] + rng.standard_t(3, 5000)
    levels = np.array([0.05, 0.5, 0.9])
    rules = {"nonneg": False, "sum_to_one": False, "n_free": 4}
    fit = solve_pinball_batch(X, y, levels, constraint=Constraint(**rules))
    for k, level in enumerate(levels):
        best = highs_optimum(X, y, level, np.ones(5000), **rules)
        np.testing.assert_allclose(fit.objective[k], best, rtol=1e-8)


def test_ties_at_the_solution_do_not_hinder_the_proof():
    X, y, level = problem(seed=5)
    X, y = np.round(X, 1), np.round(y, 1)
    fit = solve_pinball(
        X, y, level, constraint=Constraint(nonneg=True, sum_to_one=True)
    )
    best = highs_optimum(X, y, level, np.ones(len(y)), nonneg=True, sum_to_one=True)
    np.testing.assert_allclose(fit.objective, best, rtol=1e-8)
    assert fit.converged
