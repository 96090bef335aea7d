"""Standard errors against formulas on raw columns, and against their sampling."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression

from reweighted_oracle import (
    PSI,
    avar1,
    bisquare,
    counts,
    dirty,
    full_coef,
    h1,
    sandwich,
    with_ones,
)
from statlearn.linear_model import ReweightedLinearRegression
from statlearn.weights import Huber

# Columns far from orthonormal: the package computes in another basis.
RAW, Y = dirty(7, n=80)
X = RAW @ [[3.0, 1.0, 0.0], [0.0, 2.0, 40.0], [1.0, 0.0, 5.0]] + [50.0, -3.0, 0.0]
D = with_ones(X)
COUNTS = counts(8, 80)


def fit(weighting="huber", sample_weight=None, **options):
    model = ReweightedLinearRegression(weighting, **({"random_state": 0} | options))
    return model.fit(X, Y, sample_weight)


def residuals(model):
    return Y - D @ full_coef(model)


weights = pytest.mark.parametrize("weight", [None, COUNTS], ids=["plain", "weighted"])


@weights
@pytest.mark.parametrize("name", PSI)
@pytest.mark.parametrize("scale", ["mad", "mscale", 1.5])
def test_h1_is_hubers_formula(name, scale, weight):
    model = fit(name, weight, scale=scale)
    expected = h1(D, residuals(model), model.scale_, *PSI[name], weight)
    assert_allclose(model.cov_, expected, rtol=1e-6)
    assert_allclose(fit(name, weight, scale=scale, cov_type="H1").cov_, model.cov_)


@pytest.mark.parametrize("far", [20.0, 1e3, 1e7])
@pytest.mark.parametrize("weighting", ["bisquare", "mm", "s", "lts"])
def test_row_far_off_without_weight_does_not_change_standard_errors(weighting, far):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = X @ [1.0, 2.0] + rng.normal(size=200)
    near = ReweightedLinearRegression(weighting, init="lts", random_state=0)
    expected = near.fit(X[1:], y[1:]).bse_
    X[0, 0] = far
    model = near.fit(X, y)
    assert model.weights_[0] == 0.0
    assert_allclose(model.bse_, expected, rtol=0.2)


def test_sandwich_of_trimmed_squares_allows_for_errors_of_different_spread():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 1))
    y = X[:, 0] + np.abs(X[:, 0]) ** 1.5 * rng.normal(size=400)
    model = ReweightedLinearRegression("lts", cov_type="sandwich", random_state=0)
    kept = model.fit(X, y).weights_ > 0.0
    D, r = np.column_stack((np.ones(400), X))[kept], model.residuals_[kept]
    bread = np.linalg.inv(D.T @ D)
    assert_allclose(model.cov_, bread @ (D.T * r**2) @ D @ bread, rtol=1e-9)


@weights
@pytest.mark.parametrize("name", PSI)
def test_sandwich_is_its_formula(name, weight):
    model = fit(name, weight, cov_type="sandwich")
    expected = sandwich(D, residuals(model), model.scale_, *PSI[name], weight)
    assert_allclose(model.cov_, expected, rtol=1e-6)


def test_avar1_is_its_formula():
    model = fit("mm")
    start = Y - D @ model.init_coef_
    expected = avar1(D, residuals(model), start, model.scale_)
    assert_allclose(model.cov_, expected, rtol=1e-6)
    assert_allclose(fit("mm", cov_type="avar1").cov_, model.cov_)


@pytest.mark.parametrize(("preset", "c"), [("mm", 4.685061), ("s", 1.54764)])
def test_other_covariances_of_presets_are_those_of_their_last_step(preset, c):
    psi = bisquare(c)
    for cov_type, formula in (("H1", h1), ("sandwich", sandwich)):
        model = fit(preset, cov_type=cov_type)
        expected = formula(D, residuals(model), model.scale_, *psi)
        assert_allclose(model.cov_, expected, rtol=1e-6)
    own = {"mm": "avar1", "s": "sandwich"}[preset]
    assert_allclose(fit(preset).cov_, fit(preset, cov_type=own).cov_)


@weights
def test_lts_has_the_covariance_of_least_squares_on_the_rows_it_keeps(weight):
    model = fit("lts", weight)
    base = model.weights_ * (1.0 if weight is None else weight)
    r = residuals(model)
    variance = base @ r**2 / (base.sum() - 4)
    expected = variance * np.linalg.inv(D.T @ (base[:, None] * D))
    assert_allclose(model.cov_, expected, rtol=1e-8)


@weights
@pytest.mark.parametrize("name", ["uniform", "linupper", "upper", "trimmed", "klball"])
def test_rules_on_losses_have_a_sandwich_with_fixed_weights(name, weight):
    model = fit(name, weight)
    base = np.ones(80) if weight is None else weight
    w, r = model.weights_, residuals(model)
    bread = np.linalg.inv(D.T @ ((base * w)[:, None] * D))
    meat = D.T @ ((base * (w * r) ** 2)[:, None] * D)
    assert_allclose(model.cov_, bread @ meat @ bread, rtol=1e-6)


def test_penalty_enters_the_bread_only():
    alpha, n = 0.3, len(Y)
    model = fit(Huber(1.345), alpha=alpha, cov_type="sandwich", scale=1.5)
    psi, slope = PSI["huber"]
    u = residuals(model) / 1.5
    P = n * alpha * np.diag([0.0, 1.0, 1.0, 1.0])
    bread = np.linalg.inv(D.T @ (slope(u)[:, None] * D) + P)
    meat = 1.5**2 * D.T @ ((psi(u) ** 2)[:, None] * D)
    assert_allclose(model.cov_, bread @ meat @ bread, rtol=1e-6)


def test_huber_with_a_large_constant_has_the_classical_covariance():
    ols = LinearRegression().fit(X, Y)
    r = Y - ols.predict(X)
    expected = r @ r / (80 - 4) * np.linalg.inv(D.T @ D)
    model = fit(Huber(1e4))
    assert_allclose(model.cov_, expected, rtol=1e-7)
    white = np.linalg.inv(D.T @ D)
    white = white @ (D.T @ (r[:, None] ** 2 * D)) @ white
    assert_allclose(fit(Huber(1e4), cov_type="sandwich").cov_, white, rtol=1e-7)


def test_no_covariance_is_computed_when_none_is_asked_for():
    model = fit(cov_type=None)
    assert model.cov_ is None
    assert model.bse_ is None
    assert_allclose(model.coef_, fit().coef_)


def test_too_few_rows_for_avar1_give_nan_and_no_noise():
    # Among tables of five rows some have no finite avar1.
    seen = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(6, 4)), rng.normal(size=6)
        model = ReweightedLinearRegression("mm", random_state=0)
        try:
            model.fit(X, y)
        except UserWarning:
            continue
        assert (np.isnan(model.bse_) | (model.bse_ >= 0.0)).all()
        seen += 1
    assert seen > 3


@pytest.mark.slow
@pytest.mark.parametrize("weighting", ["huber", "mm", "lts", "bisquare"])
def test_standard_errors_agree_with_the_bootstrap(weighting):
    rng = np.random.default_rng(0)
    n, reps = 300, 200
    X = rng.normal(size=(n, 2))
    y = 1.0 + X @ [1.0, -1.0] + rng.standard_t(3, size=n)
    model = ReweightedLinearRegression(weighting, n_starts=50, random_state=0)
    bse = model.fit(X, y).bse_
    model.set_params(cov_type=None)
    draws = [
        full_coef(model.fit(X, y, rng.multinomial(n, np.full(n, 1.0 / n))))
        for _ in range(reps)
    ]
    ratio = np.std(draws, axis=0) / bse
    # Three standard errors of a standard deviation of 200 draws are 15 %; hard
    # rejection adds variance that its formula does not know.
    assert (ratio > 0.8).all()
    assert (ratio < (1.7 if weighting == "lts" else 1.25)).all()


@pytest.mark.slow
@pytest.mark.parametrize("weighting", ["huber", "mm"])
@pytest.mark.parametrize("cov_type", ["auto", "sandwich"])
def test_confidence_intervals_cover(weighting, cov_type):
    beta, reps, hits = np.array([1.0, 2.0, -1.0]), 300, 0
    for seed in range(reps):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(100, 2))
        y = with_ones(X) @ beta + rng.standard_t(3, size=100)
        model = ReweightedLinearRegression(
            weighting, cov_type=cov_type, n_starts=50, random_state=0
        )
        low, high = model.fit(X, y).conf_int().T
        hits += ((low <= beta) & (beta <= high)).sum()
    # The standard error of a share of 900 is 0.7 %.
    assert 0.91 < hits / (3 * reps) < 0.98
