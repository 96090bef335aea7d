"""Weights of a linear pool: CRPS as a quadratic form, and its minimum."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from scipy.stats import norm

from statlearn.quantile._pool_weights import (
    crps_form,
    fit_pool_weights,
    shortest_mixture,
)

LEVELS = np.arange(1, 10) / 10


def _forecasts(n=200, seed=0):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(n, 3))
    y = means @ [0.6, 0.4, 0.0] + 0.3 * rng.normal(size=n)
    spread = norm.ppf(LEVELS) * np.array([0.5, 1.0, 2.0])[:, None]
    return means[:, :, None] + spread, y


def _crps(values, probabilities, outcome):
    """CRPS of a discrete distribution by its energy form."""
    apart = np.abs(values[:, None] - values)
    near = probabilities @ np.abs(values - outcome)
    return near - 0.5 * probabilities @ apart @ probabilities


def test_form_is_the_mean_crps_of_mixtures():
    Q, y = _forecasts(40)
    weight = np.linspace(0.0, 2.0, 40)
    edges = np.concatenate([[0.0], (LEVELS[1:] + LEVELS[:-1]) / 2, [1.0]])
    form = crps_form(Q, y, LEVELS, weight)
    for mixture in ([1.0, 0.0, 0.0], [0.2, 0.5, 0.3]):
        w = np.array(mixture)
        mass = (w[:, None] * np.diff(edges)).ravel()
        each = [_crps(Q[i].ravel(), mass, y[i]) for i in range(40)]
        np.testing.assert_allclose(
            w @ form @ w, np.average(each, weights=weight), rtol=1e-12
        )


def test_weights_are_the_optimum_of_the_quadratic_program():
    Q, y = _forecasts()
    form = crps_form(Q, y, LEVELS, np.ones(len(y)))
    w = cp.Variable(3)
    problem = cp.Problem(
        cp.Minimize(cp.quad_form(w, cp.psd_wrap(form))), [w >= 0, cp.sum(w) == 1]
    )
    problem.solve(solver=cp.CLARABEL)
    found = fit_pool_weights(Q, y, LEVELS, np.ones(len(y)))
    assert found @ form @ found <= problem.value * (1.0 + 1e-8)
    np.testing.assert_allclose(found, w.value, atol=1e-5)


def test_blocks_of_rows_change_nothing(monkeypatch):
    Q, y = _forecasts()
    whole = crps_form(Q, y, LEVELS, np.ones(len(y)))
    monkeypatch.setattr("statlearn.quantile._pool_weights._BLOCK", 2000)
    np.testing.assert_allclose(
        crps_form(Q, y, LEVELS, np.ones(len(y))), whole, rtol=1e-12
    )


def test_equal_models_have_weights_of_total_one():
    Q, y = _forecasts()
    twice = Q[:, [0, 0, 1]]
    found = fit_pool_weights(twice, y, LEVELS, np.ones(len(y)))
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0.0).all()
    once = fit_pool_weights(Q[:, :2], y, LEVELS, np.ones(len(y)))
    np.testing.assert_allclose(found[:2].sum(), once[0], atol=1e-6)


def test_models_without_error_share_the_weight():
    np.testing.assert_array_equal(shortest_mixture(np.zeros((4, 4))), np.full(4, 0.25))


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_unit_of_the_target_does_not_matter(unit):
    Q, y = _forecasts()
    once = fit_pool_weights(Q, y, LEVELS, np.ones(len(y)))
    again = fit_pool_weights(Q * unit, y * unit, LEVELS, np.ones(len(y)))
    np.testing.assert_allclose(again, once, atol=1e-9)
