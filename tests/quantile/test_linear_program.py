"""One linear program for all levels."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

from quantile_oracle import CONSTRAINTS, expert_stack, highs_optimum
from statlearn.quantile._constraint import Constraint
from statlearn.quantile._linear_program import solve_linear_program


def problem(n=50, m=3, q=9, *, seed=0, noise=0.0):
    stack, y, levels = expert_stack(n, m, q, seed=seed)
    stack = stack + noise * np.random.default_rng(seed).standard_normal(stack.shape)
    return stack.transpose(2, 0, 1), y, levels


def clarabel_in_order(X, y, levels, weight, *, nonneg, sum_to_one):
    w = [cp.Variable(X.shape[2]) for _ in levels]
    fits = [X[k] @ w[k] for k in range(len(levels))]
    cost, rules = 0.0, []
    for k, level in enumerate(levels):
        u, v = cp.Variable(len(y)), cp.Variable(len(y))
        cost += level * weight @ u + (1.0 - level) * weight @ v
        rules += [fits[k] + u - v == y, u >= 0, v >= 0]
        rules += [w[k] >= 0] if nonneg else []
        rules += [cp.sum(w[k]) == 1] if sum_to_one else []
        rules += [fits[k - 1] <= fits[k]] if k else []
    found = cp.Problem(cp.Minimize(cost), rules)
    found.solve(solver=cp.CLARABEL, tol_gap_rel=1e-11, tol_feas=1e-11)
    assert found.status == "optimal"
    return found.value


@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
def test_ordered_fits_have_the_objective_of_clarabel(constraint):
    X, y, levels = problem()
    nonneg, sum_to_one = CONSTRAINTS[constraint]
    weight = np.random.default_rng(0).uniform(0.2, 2.0, len(y))
    rules = {"nonneg": nonneg, "sum_to_one": sum_to_one}
    fit = solve_linear_program(
        X,
        y,
        levels,
        weight,
        constraint=Constraint(**rules),
        noncrossing=True,
        tol=1e-8,
    )
    best = clarabel_in_order(X, y, levels, weight, **rules)
    np.testing.assert_allclose(fit.objective, best, rtol=1e-7)
    assert fit.duality_gap <= 1e-8 * fit.objective
    fitted = np.einsum("knj,kj->kn", X, fit.coef)
    assert (np.diff(fitted, axis=0) > -1e-9).all()
    apart = solve_linear_program(
        X,
        y,
        levels,
        weight,
        constraint=Constraint(**rules),
        noncrossing=False,
        tol=1e-8,
    )
    assert fit.objective > apart.objective * (1 + 1e-6)


def test_models_that_cross_in_some_row_may_leave_no_weights():
    X, y, levels = problem(noise=1.0)
    rules = {"nonneg": True, "sum_to_one": True}
    with pytest.raises(ValueError, match=r"all 50 rows in order: .*; sort"):
        solve_linear_program(
            X,
            y,
            levels,
            np.ones(50),
            constraint=Constraint(**rules),
            noncrossing=True,
            tol=1e-8,
        )


@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
@pytest.mark.parametrize("n_free", [0, 1])
def test_levels_apart_have_the_objectives_of_their_own_programs(constraint, n_free):
    X, y, levels = problem(seed=1)
    X = X.copy()
    X[:, :, :n_free] = 1.0
    nonneg, sum_to_one = CONSTRAINTS[constraint]
    rules = {"nonneg": nonneg, "sum_to_one": sum_to_one, "n_free": n_free}
    ones = np.ones(len(y))
    fit = solve_linear_program(
        X, y, levels, ones, constraint=Constraint(**rules), noncrossing=False, tol=1e-8
    )
    best = sum(
        highs_optimum(X[k], y, level, ones, **rules) for k, level in enumerate(levels)
    )
    np.testing.assert_allclose(fit.objective, best, rtol=1e-8)
    assert fit.converged


def test_scale_of_the_data_does_not_matter():
    X, y, levels = problem(seed=2)
    rules = {"nonneg": True, "sum_to_one": True}
    ones = np.ones(len(y))
    plain = solve_linear_program(
        X, y, levels, ones, constraint=Constraint(**rules), noncrossing=True, tol=1e-8
    )
    for scale in (1e-9, 1e9):
        fit = solve_linear_program(
            scale * X,
            scale * y,
            levels,
            ones,
            constraint=Constraint(**rules),
            noncrossing=True,
            tol=1e-8,
        )
        np.testing.assert_allclose(fit.objective, scale * plain.objective, rtol=1e-8)


def test_a_failure_of_highs_is_told(monkeypatch):
    X, y, levels = problem(seed=3)

    class Failed:
        x, status, message = None, 4, "Numerical difficulties."

    monkeypatch.setattr(
        "statlearn.quantile._linear_program.linprog", lambda *a, **k: Failed
    )
    with pytest.raises(RuntimeError, match=r"status 4: Numerical .* Scale"):
        solve_linear_program(
            X,
            y,
            levels,
            np.ones(len(y)),
            constraint=Constraint(nonneg=True, sum_to_one=True),
            noncrossing=True,
            tol=1e-8,
        )
