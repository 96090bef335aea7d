"""The interior method behind KLIEP."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from statlearn.compose._kernels import kernel, squared_distances
from statlearn.compose._mixture import mixture_weights


def densities(gamma, n_columns, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(150, 2))
    distances = squared_distances(rows, rows[:n_columns])
    parts = kernel(distances - distances.min(axis=1, keepdims=True), gamma)
    return parts / parts.mean(axis=0) * rng.uniform(0.5, 2.0, n_columns)


@pytest.mark.parametrize("gamma", [20.0, 1.0, 0.1])
def test_likelihood_is_that_of_clarabel(gamma):
    A = densities(gamma, 30)
    x = cp.Variable(30, nonneg=True)
    problem = cp.Problem(cp.Maximize(cp.sum(cp.log(A @ x)) / 150), [cp.sum(x) == 1])
    problem.solve(solver=cp.CLARABEL)
    assert problem.status == "optimal"
    found, kkt = mixture_weights(A)
    assert kkt <= 1e-9
    assert np.log(A @ found).mean() == pytest.approx(problem.value, abs=1e-7)
    assert_allclose(A @ found, A @ x.value, rtol=1e-3)


@pytest.mark.parametrize("gamma", [1e3, 50.0, 3.0, 0.1, 1e-3, 1e-6])
def test_optimality_holds_for_all_widths(gamma):
    A = densities(gamma, 100)
    x, kkt = mixture_weights(A)
    gradient = 1.0 - (1.0 / (A @ x)) @ A / len(A)
    assert kkt <= 1e-8
    assert x.min() >= 0.0
    assert x.sum() == pytest.approx(1.0)
    assert gradient.min() >= -1e-8
    assert np.abs(x * gradient).max() <= 1e-8


def test_two_separate_parts_weigh_by_their_rows():
    A = np.repeat(np.eye(2), [3, 1], axis=0)
    assert_allclose(mixture_weights(A)[0], [0.75, 0.25], atol=1e-8)


def test_factors_of_rows_do_not_matter():
    A = densities(1.0, 20)
    factors = np.geomspace(1e-200, 1e200, 150)[:, None]
    assert_allclose(mixture_weights(A * factors)[0], mixture_weights(A)[0], atol=1e-6)


def test_equal_parts_share():
    A = np.repeat(densities(1.0, 1), 3, axis=1)
    found, kkt = mixture_weights(A)
    assert kkt <= 1e-9
    assert_allclose(found, 1 / 3, atol=1e-8)
