"""The way to the units of the solver and back."""

from __future__ import annotations

import numpy as np
import pytest

from quantile_oracle import CONSTRAINTS, loss
from statlearn.quantile._constraint import Constraint
from statlearn.quantile._standard_form import standard_form


def sample(n=40, c=4, *, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, c)) * [1.0, 1e-3, 1e3, 1.0][:c] + [0.0, 0.0, 5.0, 1e4][:c]
    return X, rng.normal(size=n) + 100.0, rng.uniform(0.5, 2.0, n)


def form_of(X, y, weight, constraint, n_free, level=0.3):
    nonneg, sum_to_one = CONSTRAINTS[constraint]
    return standard_form(
        X,
        y,
        np.array([[level]]),
        weight,
        Constraint(nonneg=nonneg, sum_to_one=sum_to_one, n_free=n_free),
    )


@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
@pytest.mark.parametrize("n_free", [0, 1, 2])
def test_residuals_and_loss_are_the_same_in_both_units(constraint, n_free):
    X, y, weight = sample()
    X[:, :1] = 1.0
    form = form_of(X, y, weight, constraint, n_free)
    rng = np.random.default_rng(1)
    w = np.abs(rng.normal(size=form.start.shape))
    if form.constraint.sum_to_one:
        k = form.constraint.n_free
        w[:, k:] /= w[:, k:].sum()
    coef = form.coefficients(w)[0]
    inner = form.block.y - form.block.fitted(w)
    outer = y - X @ coef
    np.testing.assert_allclose(inner[0] * form.unit, outer, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(
        form.block.loss(inner) * form.unit * weight.mean(),
        weight @ loss(outer, 0.3),
        rtol=1e-7,
    )


@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
def test_start_is_inside_of_the_constraint(constraint):
    X, y, weight = sample(seed=2)
    form = form_of(X, y, weight, constraint, 0)
    nonneg, sum_to_one = CONSTRAINTS[constraint]
    coef = form.coefficients(form.start)[0]
    assert not nonneg or (coef > 0.0).all()
    if sum_to_one:
        np.testing.assert_allclose(coef.sum(), 1.0, rtol=1e-12)


def test_weights_and_residuals_have_unit_size():
    X, y, weight = sample(seed=3)
    form = form_of(1e9 * X, 1e9 * y, 1e-5 * weight, "free", 0)
    np.testing.assert_allclose((form.block.up + form.block.down).mean(), 1.0)
    np.testing.assert_allclose(np.abs(form.block.y).mean(), 1.0)


def test_dependent_free_columns_are_left_out():
    X, y, weight = sample(seed=4)
    X = np.c_[X, X[:, 0] - 2.0 * X[:, 2], np.zeros(40)]
    form = form_of(X, y, weight, "free", 0)
    assert form.block.columns.shape[1] == 4
    gram = form.block.columns[0] @ form.block.columns[0].T / 40
    np.testing.assert_allclose(gram, np.eye(4), atol=1e-12)


def test_columns_that_free_ones_explain_get_the_coefficient_zero():
    X, y, weight = sample(seed=5)
    X[:, 0], X[:, 1] = 1.0, 7.0
    form = form_of(X, y, weight, "nonneg", 1)
    coef = form.coefficients(form.start)[0]
    assert coef[1] == 0.0
    assert (coef[2:] > 0.0).all()


def test_the_form_holds_a_copy():
    X, y, weight = sample(seed=6)
    X = np.asfortranarray(X)
    before = X.copy()
    form = form_of(X, y, weight, "simplex", 0)
    form.block.columns[...] = 0.0
    np.testing.assert_array_equal(X, before)
