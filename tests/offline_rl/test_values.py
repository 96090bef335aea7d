"""What first observations promise of returns."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import lstsq
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from statlearn.offline_rl._values import initial_values, least_squares_values


def drawn(n, d, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.logspace(-3, 3, d) + 5.0
    return X, X @ rng.normal(size=d) + rng.normal(size=n)


@pytest.mark.parametrize("n", [40, 41], ids=["at most", "more"])
def test_values_are_cross_fitted_up_to_ten_trajectories_a_coefficient(n):
    """Three columns and an intercept: the border is at 40."""
    X, returns = drawn(n, 3)
    found = initial_values(X, returns, None, "auto", "it")
    by_least_squares = LinearRegression().fit(X, returns).predict(X)
    if n > 40:
        assert_allclose(found, by_least_squares, rtol=1e-6)
        return
    expected = np.empty(n)
    for train, test in KFold(5, shuffle=True, random_state=0).split(X):
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13)))
        expected[test] = model.fit(X[train], returns[train]).predict(X[test])
    assert_allclose(found, expected, rtol=1e-9)
    assert not np.allclose(found, by_least_squares, rtol=1e-3)


def test_constant_columns_do_not_count_as_coefficients():
    X, returns = drawn(41, 3)
    wide = np.hstack([X, np.ones((41, 50))])
    found = initial_values(wide, returns, None, "auto", "it")
    assert_allclose(found, initial_values(X, returns, None, "auto", "it"))


def test_given_estimator_is_cross_fitted_whatever_the_number():
    X, returns = drawn(500, 2)
    found = initial_values(X, returns, LinearRegression(), "auto", "it")
    own = initial_values(X, returns, LinearRegression(), None, "it")
    assert_allclose(own, LinearRegression().fit(X, returns).predict(X))
    assert not np.allclose(found, own, rtol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_least_squares_are_those_of_a_decomposition(seed):
    X, returns = drawn(200, 6, seed)
    X = np.hstack([X, X[:, :1] - 2.0 * X[:, 1:2]])  # dependent
    design = np.hstack([np.ones((200, 1)), X / np.abs(X).max(axis=0)])
    expected = design @ lstsq(design, returns)[0]
    found = least_squares_values(X, returns)
    assert_allclose(found, expected, atol=1e-6 * np.ptp(returns))
