"""The orthonormal basis of a design, and what it says of dependent columns."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from reweighted_oracle import with_ones
from statlearn.linear_model._design import DependentColumnsError, make_design

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)) @ [[1.0, 5.0, 0.0], [0.0, 1e-3, 2.0], [1.0, 0.0, 3.0]]
WEIGHT = RNG.uniform(0.2, 4.0, size=40)
PENALTY = np.diag([0.0, 1.0, 1.0, 1.0])

weights = pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])


@weights
@pytest.mark.parametrize("alpha", [0.0, 1e-6, 0.5, 1e6])
@pytest.mark.parametrize("units", [1.0, [1e-120, 1.0, 1e120]], ids=["near", "far"])
def test_basis_and_penalty_are_orthonormal(weight, alpha, units):
    design = make_design(X * units, weight, fit_intercept=True, alpha=alpha)
    gram = design.mean_outer(np.ones(40)) + design.penalty
    assert_allclose(gram, np.eye(4), atol=1e-11)
    assert design.total == pytest.approx(40.0 if weight is None else WEIGHT.sum())


@weights
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_coefficients_of_the_basis_give_the_same_fit_as_raw_ones(weight, fit_intercept):
    design = make_design(X, weight, fit_intercept=fit_intercept, alpha=0.0)
    D = with_ones(X) if fit_intercept else X
    raw = np.arange(1.0, D.shape[1] + 1.0)
    gamma = design.to_basis(raw)
    assert_allclose(design.basis @ gamma, D @ raw, rtol=1e-10)
    assert_allclose(design.to_raw @ gamma, raw, rtol=1e-9)


def test_penalty_of_the_basis_is_that_of_the_raw_slopes():
    design = make_design(X, WEIGHT, fit_intercept=True, alpha=0.7)
    raw = np.array([9.0, 1.0, -2.0, 3.0])
    gamma = design.to_basis(raw)
    assert_allclose(gamma @ design.penalty @ gamma, 0.7 * raw @ PENALTY @ raw)


@weights
def test_means_are_weighted(weight):
    design = make_design(X, weight, fit_intercept=True, alpha=0.0)
    base = np.ones(40) if weight is None else weight
    values = X[:, 0] ** 2
    assert_allclose(design.mean(values), np.average(values, weights=base))
    Q = design.basis
    assert_allclose(design.mean_product(values), Q.T @ (base * values) / base.sum())
    expected = Q.T @ ((base * values)[:, None] * Q) / base.sum()
    assert_allclose(design.mean_outer(values), expected, atol=1e-12)


def test_large_means_and_near_collinearity_keep_their_digits():
    rng = np.random.default_rng(1)
    a = rng.normal(size=200)
    X = np.column_stack((1e6 + a, a + 1e-6 * rng.normal(size=200)))
    design = make_design(X, None, fit_intercept=True, alpha=0.0)
    gram = design.basis.T @ design.basis / 200
    assert_allclose(gram, np.eye(3), atol=1e-5)


def test_input_is_not_changed():
    X2, weight = X.copy(), WEIGHT.copy()
    X2.flags.writeable = weight.flags.writeable = False
    make_design(X2, weight, fit_intercept=True, alpha=0.3)
    assert_array_equal(X2, X)
    assert_array_equal(weight, WEIGHT)


@weights
@pytest.mark.parametrize(
    ("columns", "fit_intercept", "column", "others"),
    [
        (np.column_stack((X, X[:, 1])), True, 4, [2]),
        (np.column_stack((X, X[:, 1])), False, 3, [1]),
        (np.column_stack((X, -1e9 * X[:, 0])), True, 4, [1]),
        (np.column_stack((X, X @ [1.0, 0.0, -2.0])), True, 4, [1, 3]),
        (np.column_stack((X, 3.0 - X[:, 2])), True, 4, [3]),
        (np.column_stack((X, np.full(40, 0.1))), True, 4, [0]),
        (np.column_stack((np.full(40, 1e30), X)), True, 1, [0]),
        (np.column_stack((X, np.zeros(40))), True, 4, [0]),
        (np.column_stack((X, np.zeros(40))), False, 3, []),
        (np.column_stack((np.zeros(40), X)), False, 0, []),
        (np.column_stack((np.ones(40), X, np.full(40, 7.0))), False, 4, [0]),
    ],
    ids=[
        "duplicate",
        "duplicate without intercept",
        "multiple",
        "sum",
        "sum with the intercept, which centring takes out",
        "constant",
        "large constant",
        "zero",
        "zero without intercept",
        "first zero without intercept",
        "two constants",
    ],
)
def test_dependent_column_is_named_with_those_that_give_it(
    columns, fit_intercept, column, others, weight
):
    with pytest.raises(DependentColumnsError) as caught:
        make_design(columns, weight, fit_intercept=fit_intercept, alpha=0.0)
    assert caught.value.column == column
    assert sorted(caught.value.others.tolist()) == others


@pytest.mark.parametrize("n", range(20, 400, 37))
@pytest.mark.parametrize("value", [0.1, 1.1, 1e-7, 12345.678])
def test_constant_column_is_seen_at_every_length(n, value):
    rng = np.random.default_rng(n)
    X = np.column_stack((rng.normal(size=n), np.full(n, value)))
    with pytest.raises(DependentColumnsError):
        make_design(X, rng.uniform(size=n), fit_intercept=True, alpha=0.0)


def test_more_columns_than_rows_are_dependent_without_a_penalty():
    rng = np.random.default_rng(0)
    with pytest.raises(DependentColumnsError):
        make_design(rng.normal(size=(3, 5)), None, fit_intercept=True, alpha=0.0)
    design = make_design(rng.normal(size=(3, 5)), None, fit_intercept=True, alpha=0.1)
    gram = design.mean_outer(np.ones(3)) + design.penalty
    assert_allclose(gram, np.eye(6), atol=1e-12)


def test_columns_that_differ_in_the_seventh_digit_are_not_dependent():
    near = np.column_stack((X, X[:, 1] + 1e-7 * RNG.normal(size=40)))
    assert make_design(near, None, fit_intercept=True, alpha=0.0).basis.shape == (40, 5)
