"""Columns of full rank, and the way back to coefficients."""

from __future__ import annotations

import numpy as np
import pytest

from statlearn.quantile._linear_design import make_design, penalty_rows


def sample(n=30, p=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * [1.0, 1e6, 1e-6] + [0.0, 1e7, 1.0]
    return X, rng.normal(size=n) + 50.0, rng.integers(1, 4, size=n).astype(float)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("reduce", [True, False])
def test_coordinates_and_coefficients_give_the_same_fitted_values(intercept, reduce):
    X, y, weight = sample()
    design = make_design(X, y, weight, fit_intercept=intercept, reduce=reduce)
    gamma = np.random.default_rng(1).normal(size=design.columns.shape[1])
    coef = design.raw(gamma)
    full = np.column_stack((np.ones(30), X)) if intercept else X
    shift = design.offset[0] if intercept else 0.0
    wanted = shift + design.unit * (design.columns @ gamma)
    np.testing.assert_allclose(full @ coef, wanted, rtol=1e-9)
    np.testing.assert_allclose(y, shift + design.unit * design.y)


def test_columns_are_of_unit_size_and_centred():
    X, y, weight = sample()
    design = make_design(X, y, weight, fit_intercept=True, reduce=True)
    np.testing.assert_allclose(np.abs(design.columns).max(axis=0), 1.0)
    np.testing.assert_allclose(weight @ design.columns[:, 1:], 0.0, atol=1e-7)


def test_only_coefficients_of_dependent_columns_are_undetermined():
    X, y, weight = sample()
    wide = np.column_stack((X, X[:, 0], np.full(30, 2.0)))
    design = make_design(wide, y, weight, fit_intercept=True, reduce=True)
    assert design.columns.shape[1] == 4
    # The constant column may take over from the intercept.
    wanted = [True, True, False, False, True, True]
    np.testing.assert_array_equal(design.undetermined, wanted)
    free = make_design(wide, y, weight, fit_intercept=False, reduce=True)
    np.testing.assert_array_equal(free.undetermined, [True, False, False, True, False])


def test_penalty_rows_add_up_to_the_penalty():
    X, y, weight = sample()
    design = make_design(X, y, weight, fit_intercept=True, reduce=False)
    gamma = np.random.default_rng(2).normal(size=4)
    rows = penalty_rows(design, 0.3, 3)
    # Level one half, response zero, in the unit of the response.
    found = 0.5 * np.abs(rows @ gamma).sum() * design.unit / weight.sum()
    assert found == pytest.approx(0.3 * np.abs(design.raw(gamma)[1:]).sum())
