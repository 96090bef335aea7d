"""The fit whose boundaries do not cross at training rows, against cvxpy."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from statlearn.ordinal import PrestoClassifier


def crossing_data(n=300, seed=1):
    """Rows whose unconstrained fit crosses: slopes of opposite sign."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 4))
    slopes = np.array([[2.0, 0, 1, 0], [-2.0, 0, 1, 0], [0, 2.0, 1, 1]])
    eta = np.sort(X @ slopes.T + [-0.6, 0.2, 0.8], axis=1)
    return X, (rng.uniform(size=n)[:, None] > 1 / (1 + np.exp(-eta))).sum(axis=1)


def optimum(X, y, alpha):
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    intercept, psi = cp.Variable(3), cp.Variable((3, 4))
    eta = [intercept[k] + Z @ cp.sum(psi[: k + 1], axis=0) for k in range(3)]
    loss = 0
    for c in range(4):
        rows = np.flatnonzero(y == c)
        if c < 3:
            loss += cp.sum(cp.logistic(-eta[c][rows]))
        if c > 0:
            loss += cp.sum(cp.logistic(eta[c - 1][rows]))
        if 0 < c < 3:
            loss -= cp.sum(cp.log(1 - cp.exp(eta[c - 1][rows] - eta[c][rows])))
    problem = cp.Problem(
        cp.Minimize(loss / len(y) + alpha * cp.sum(cp.abs(psi))),
        [eta[k] <= eta[k + 1] for k in range(2)],
    )
    problem.solve(solver=cp.CLARABEL)
    return problem.value


@pytest.mark.parametrize("alpha", [0.0, 0.005])
def test_constrained_optimum_is_that_of_cvxpy(alpha):
    X, y = crossing_data()
    free = PrestoClassifier(alpha).fit(X, y)
    assert (np.diff(free.linear_predictor(X), axis=1) < 0).any()
    fit = PrestoClassifier(alpha, constrain_train=True).fit(X, y)
    assert fit.objective_ > free.objective_ + 1e-6
    assert_allclose(fit.objective_, optimum(X, y, alpha), rtol=1e-8)


def test_no_training_row_crosses_so_that_raise_does_not():
    X, y = crossing_data()
    fit = PrestoClassifier(0.002, constrain_train=True, monotone="raise").fit(X, y)
    assert (np.diff(fit.linear_predictor(X), axis=1) >= 0).all()
    assert_allclose(fit.predict_proba(X).sum(axis=1), 1.0)


def test_sparse_rows_give_the_same_fit():
    X, y = crossing_data()
    dense = PrestoClassifier(0.005, constrain_train=True).fit(X, y)
    thin = PrestoClassifier(0.005, constrain_train=True).fit(sparse.csr_array(X), y)
    assert_allclose(thin.coef_, dense.coef_, atol=1e-6)


def test_reverse_is_constrained_as_well():
    X, y = crossing_data()
    fit = PrestoClassifier(0.002, constrain_train=True, reverse=True).fit(X, y)
    assert (np.diff(fit.linear_predictor(X), axis=1) >= 0).all()


def test_a_fit_that_does_not_cross_is_left_as_it_is():
    X, y = crossing_data()
    free = PrestoClassifier(0.1).fit(X, y)
    fit = PrestoClassifier(0.1, constrain_train=True).fit(X, y)
    assert (np.diff(free.linear_predictor(X), axis=1) >= 0).all()
    assert_allclose(fit.coef_, free.coef_)


def test_families_that_cannot_cross_ignore_the_option():
    X, y = crossing_data()
    free = PrestoClassifier(0.01, family="sratio").fit(X, y)
    fit = PrestoClassifier(0.01, family="sratio", constrain_train=True).fit(X, y)
    assert_allclose(fit.coef_, free.coef_)
