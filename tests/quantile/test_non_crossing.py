"""Linear programs of several levels, and what keeps their quantiles in order."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import optimize

from statlearn.quantile import _non_crossing
from statlearn.quantile._linear_fit import fit_by_interior_point
from statlearn.quantile._non_crossing import (
    Box,
    fit_by_linear_program,
    fit_in_order,
    solve_jointly,
)


def sample(n=50, seed=0):
    rng = np.random.default_rng(seed)
    X = np.column_stack((np.ones(n), rng.uniform(-1.0, 1.0, size=(n, 2))))
    y, weight = rng.normal(size=n), rng.integers(1, 4, size=n).astype(float)
    levels = np.tile(np.array([[0.2], [0.3], [0.4], [0.5]]), (1, n))
    return X, y, levels, weight


def free_fit(X, y, levels, weight):
    return fit_by_interior_point(X, y, levels, weight, tol=1e-9, max_iter=100)


def test_levels_without_constraints_are_solved_as_each_alone():
    X, y, levels, weight = sample()
    free = free_fit(X, y, levels, weight)
    for fit in (
        solve_jointly(X, y, levels, weight),
        fit_by_linear_program(X, y, levels, weight),
    ):
        np.testing.assert_allclose(fit.objective, free.objective, rtol=1e-9)
        np.testing.assert_allclose(fit.coef, free.coef, atol=1e-7)


def test_the_lowest_value_in_a_box_is_that_of_its_lowest_corner():
    rng = np.random.default_rng(1)
    low, span = rng.normal(size=3), rng.uniform(0.5, 2.0, size=3)
    box = Box(np.r_[1.0, low], np.column_stack((np.zeros(3), np.diag(span))))
    corners = low + span * np.array(np.meshgrid(*[[0.0, 1.0]] * 3)).reshape(3, -1).T
    steps = rng.normal(size=(5, 4))
    values = np.column_stack((np.ones(8), corners)) @ steps.T
    np.testing.assert_allclose(box.lowest(steps), values.min(axis=0))


def test_only_rows_that_cross_join_the_program(monkeypatch):
    X, y, levels, weight = sample()
    free = free_fit(X, y, levels, weight)
    assert (np.diff(free.coef @ X.T, axis=0) < -1e-3).any()
    sizes = []

    def noted(*args, **kwargs):
        sizes.append(args[4].on_coef.shape[0])
        return solve_jointly(*args, **kwargs)

    monkeypatch.setattr(_non_crossing, "solve_jointly", noted)
    fit = fit_in_order(X, y, levels, weight, free, rows=X, box=None)
    assert np.diff(fit.coef @ X.T, axis=0).min() >= -1e-8
    assert sizes[-1] < 3 * len(X)
    # All rows at once give the same sum.
    every = _non_crossing._order_at_rows(X, np.ones((3, len(X)), dtype=bool))
    whole = solve_jointly(X, y, levels, weight, every)
    assert fit.objective.sum() == pytest.approx(whole.objective.sum(), rel=1e-9)
    assert fit.objective.sum() > free.objective.sum()


def test_a_solution_in_order_is_handed_back():
    X, y, _, weight = sample()
    apart = np.tile(np.array([[0.05], [0.95]]), (1, len(y)))
    free = free_fit(X, y, apart, weight)
    box = Box(np.array([1.0, -1.0, -1.0]), np.array([[0, 2.0, 0], [0, 0, 2.0]]))
    assert box.lowest(np.diff(free.coef, axis=0)).min() > 0.0
    assert fit_in_order(X, y, apart, weight, free, rows=X, box=box) is free
    assert fit_in_order(X, y, apart, weight, free, rows=X, box=None) is free


def test_a_solver_that_gives_up_is_reported(monkeypatch):
    X, y, levels, weight = sample()
    failed = SimpleNamespace(status=4, message="Numerical difficulties")
    monkeypatch.setattr(optimize, "linprog", lambda *args, **kwargs: failed)
    with pytest.raises(RuntimeError, match="Got 'Numerical difficulties'; centre"):
        solve_jointly(X, y, levels, weight)
