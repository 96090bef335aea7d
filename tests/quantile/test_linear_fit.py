"""From an approximate solution to an exact vertex with a certificate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from statlearn.quantile import _linear_fit
from statlearn.quantile._linear_fit import (
    LinearFit,
    fit_by_interior_point,
    move_to_vertex,
    row_loss,
)


def sample(n=80, k=3, seed=0):
    rng = np.random.default_rng(seed)
    X = np.column_stack((np.ones(n), rng.normal(size=(n, k - 1))))
    return X, rng.normal(size=n), rng.integers(1, 4, size=n).astype(float)


def optimum(X, y, level, weight):
    """Smallest loss by HiGHS on the primal program."""
    (n, k), eye = X.shape, np.eye(len(X))
    cost = np.r_[np.zeros(k), weight * level, weight * (1.0 - level)]
    bounds = [(None, None)] * k + [(0, None)] * (2 * n)
    return optimize.linprog(
        cost, A_eq=np.hstack([X, eye, -eye]), b_eq=y, bounds=bounds
    ).fun


def approximate(coef, X, y, level, weight, gap):
    loss = row_loss(y - X @ coef, level, weight)
    return LinearFit(
        coef[None].copy(),
        np.array([loss]),
        np.array([gap]),
        np.array([5]),
        np.array([False]),
    )


def test_row_losses_are_those_of_the_definition():
    e, weight = np.array([1.0, -2.0, 0.0, 4.0]), np.array([1.0, 2.0, 5.0, 0.5])
    level = np.array([0.25])
    assert row_loss(e, level, weight) == pytest.approx(0.25 + 3.0 + 0.0 + 0.5)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.77])
def test_fits_reach_the_optimum_of_the_linear_program(level):
    X, y, weight = sample()
    fit = fit_by_interior_point(
        X, y, np.array([[level]]), weight, tol=1e-9, max_iter=100
    )
    best = optimum(X, y, level, weight)
    assert fit.objective[0] == pytest.approx(best, rel=1e-12)
    assert fit.duality_gap[0] <= 1e-12 * best
    on_plane = np.abs(y - X @ fit.coef[0]) < 1e-12
    assert on_plane.sum() == 3


def test_a_rough_solution_becomes_an_exact_vertex_that_its_dual_confirms():
    X, y, weight = sample()
    level = np.array([0.4])
    exact = fit_by_interior_point(X, y, level[None], weight, tol=1e-9, max_iter=100)
    rough = approximate(exact.coef[0] + 1e-5, X, y, level, weight, gap=1.0)
    move_to_vertex(rough, 0, X, y, level, weight, np.zeros(len(y)))
    np.testing.assert_allclose(rough.coef, exact.coef, rtol=1e-12)
    assert rough.converged[0]
    assert rough.duality_gap[0] <= 1e-12


def test_a_worse_vertex_is_refused():
    # Half way between both middle values no vertex is better than the solution.
    X, y = np.ones((4, 1)), np.array([0.0, 1.0, 2.0, 9.0])
    level, weight = np.array([0.4]), np.ones(4)
    wrong = approximate(np.array([1.0]), X, y, level, weight, gap=0.0)
    wrong.coef[0] = 1.9
    move_to_vertex(wrong, 0, X, y, level, weight, np.zeros(4))
    assert wrong.coef[0] == 1.9


def test_rows_that_do_not_span_the_columns_leave_the_solution_as_it_is():
    X, y = np.column_stack((np.ones(30), np.ones(30))), np.arange(30.0)
    level, weight = np.array([0.5]), np.ones(30)
    fit = approximate(np.array([7.0, 7.6]), X, y, level, weight, gap=1.0)
    move_to_vertex(fit, 0, X, y, level, weight, np.zeros(30))
    np.testing.assert_array_equal(fit.coef[0], [7.0, 7.6])


def test_levels_in_small_parts_are_the_same_as_together(monkeypatch):
    X, y, weight = sample()
    levels = np.array([0.1, 0.3, 0.5, 0.8])[:, None]
    together = fit_by_interior_point(X, y, levels, weight, tol=1e-9, max_iter=100)
    monkeypatch.setattr(_linear_fit, "_ELEMENTS", 2 * X.size)
    parts = fit_by_interior_point(X, y, levels, weight, tol=1e-9, max_iter=100)
    np.testing.assert_allclose(parts.coef, together.coef, rtol=1e-12)
    assert parts.converged.all()
