"""Quadratic plus L1: optimality conditions, and cvxpy as an independent witness."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import linalg

from statlearn.ordinal._quadratic import (
    ExplicitHessian,
    ImplicitHessian,
    minimize_quadratic_l1,
)


def problem(seed, w=12, n_free=2, degenerate=False):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(2 * w, w))
    if degenerate:
        root[:, 1] = root[:, 0] + 1e-3 * rng.normal(size=2 * w)
    gradient = 8.0 * rng.normal(size=w)
    start = np.where(rng.uniform(size=w) < 0.5, 0.0, rng.normal(size=w))
    l1 = rng.uniform(0.5, 6.0, w)
    l1[:n_free] = 0.0
    return root.T @ root, gradient, start, l1


def forms(matrix):
    implicit = ImplicitHessian(lambda v: matrix @ v, np.diag(matrix).copy())
    return {"explicit": ExplicitHessian(matrix), "implicit": implicit}


def violation(matrix, gradient, start, l1, x):
    slope = gradient + matrix @ (x - start)
    at_zero = np.maximum(np.abs(slope) - l1, 0.0)
    moving = np.abs(slope + l1 * np.sign(x))
    return np.where((x == 0) & (l1 > 0), at_zero, moving).max()


@pytest.mark.parametrize("form", ["explicit", "implicit"])
@given(seed=st.integers(0, 10**6), degenerate=st.booleans())
def test_optimality_conditions_hold(form, seed, degenerate):
    matrix, gradient, start, l1 = problem(seed, degenerate=degenerate)
    x = minimize_quadratic_l1(forms(matrix)[form], gradient, start, l1, 1e-8)
    assert violation(matrix, gradient, start, l1, x) <= 1e-7


@pytest.mark.parametrize("seed", range(4))
def test_minimum_is_that_of_cvxpy(seed):
    matrix, gradient, start, l1 = problem(seed)
    x = minimize_quadratic_l1(ExplicitHessian(matrix), gradient, start, l1, 1e-10)
    z = cp.Variable(len(x))
    model = gradient @ (z - start) + 0.5 * cp.quad_form(z - start, cp.psd_wrap(matrix))
    target = cp.Problem(cp.Minimize(model + l1 @ cp.abs(z)))
    target.solve(solver=cp.CLARABEL)

    def value(v):
        move = v - start
        return gradient @ move + 0.5 * move @ matrix @ move + l1 @ np.abs(v)

    assert value(x) <= value(z.value) + 1e-9
    assert_allclose(x, z.value, atol=1e-5)


def test_large_penalty_gives_exact_zeros():
    matrix, gradient, start, l1 = problem(0)
    l1[2:] = 1e6
    x = minimize_quadratic_l1(ExplicitHessian(matrix), gradient, start, l1, 1e-9)
    assert (x[2:] == 0.0).all()


def test_start_at_the_minimum_is_returned():
    matrix, gradient, start, l1 = problem(1)
    x = minimize_quadratic_l1(ExplicitHessian(matrix), gradient, start, l1, 1e-10)
    slope = gradient + matrix @ (x - start)
    again = minimize_quadratic_l1(ExplicitHessian(matrix), slope, x, l1, 1e-8)
    assert (again == x).all()


@pytest.mark.parametrize("form", ["explicit", "implicit"])
def test_indefinite_matrix_is_refused(form):
    matrix = np.diag([1.0, -1.0])
    with pytest.raises(linalg.LinAlgError):
        minimize_quadratic_l1(
            forms(matrix)[form], np.ones(2), np.ones(2), np.zeros(2), 1e-9
        )


@pytest.mark.parametrize("form", ["explicit", "implicit"])
def test_added_diagonal_acts_on_product_and_solution(form):
    matrix, gradient, _, _ = problem(2)
    shift = np.arange(12.0)
    larger = forms(matrix)[form].plus_diagonal(shift, 0.5)
    full = matrix + np.diag(shift + 0.5 * np.diag(matrix))
    index = np.array([0, 3, 7])
    assert_allclose(
        larger.times(index, gradient[index]), full[:, index] @ gradient[index]
    )
    assert_allclose(
        larger.solve(index, gradient[index], 1e-12),
        np.linalg.solve(full[np.ix_(index, index)], gradient[index]),
        rtol=1e-9,
    )


def test_dependent_columns_share_the_step_and_contradictions_are_refused():
    column = np.random.default_rng(0).normal(size=(50, 1))
    both = np.hstack([column, column / 3.0])
    hessian, index = ExplicitHessian(both.T @ both), np.arange(2)
    right = both.T @ column[:, 0]
    # The shortest solution is that of the pseudo-inverse.
    expected = np.linalg.lstsq(both, column[:, 0], rcond=None)[0]
    assert_allclose(hessian.solve(index, right, 1e-9), expected, rtol=1e-9)
    with pytest.raises(linalg.LinAlgError):
        hessian.solve(index, np.ones(2), 1e-9)
