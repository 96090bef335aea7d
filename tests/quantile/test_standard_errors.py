"""Standard errors against R, statsmodels, and the spread of estimates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binom, norm

from statlearn.quantile import LinearQuantileRegression
from statlearn.quantile._standard_errors import (
    KERNELS,
    bootstrap_covariance,
    kernel_covariance,
    level_bandwidth,
    residual_bandwidth,
)

REFERENCE = json.loads(
    (Path(__file__).parents[1] / "reference" / "quantile_rq.json").read_text("utf-8")
)
WITH_ERRORS = [fit for fit in REFERENCE["fits"] if fit["table"] != "stackloss"]
NAMES = [f"{f['table']}-{f['level']}{'-weighted' * f['weighted']}" for f in WITH_ERRORS]


def of_fit(fit):
    """Design with a column of ones, residuals and counts of a fit of R."""
    data = REFERENCE["data"][fit["table"]]
    X = sm.add_constant(np.array(data["X"]))
    weight = np.array(data["sample_weight"], dtype=float)
    weight = weight if fit["weighted"] else np.ones(len(X))
    residuals = np.array(data["y"]) - X @ fit["coef"]
    kept = weight > 0
    return X[kept], residuals[kept], weight[kept]


@pytest.mark.parametrize("rule", ["hall-sheather", "bofinger"])
@pytest.mark.parametrize("fit", WITH_ERRORS, ids=NAMES)
def test_sandwiches_with_a_gaussian_kernel_are_those_of_r(fit, rule):
    X, residuals, weight = of_fit(fit)
    level = fit["level"]
    covariance = kernel_covariance(
        X, residuals, level, weight, kind="kernel", bandwidth=rule, kernel="gaussian"
    )
    theirs = fit["bse_ker_hs" if rule == "hall-sheather" else "bse_ker_bofinger"]
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), theirs, rtol=1e-6)


@pytest.mark.parametrize("fit", WITH_ERRORS[:7], ids=NAMES[:7])
def test_bandwidths_of_levels_are_those_of_r_where_they_fit(fit):
    for rule, name in (("hall-sheather", "hs"), ("bofinger", "bofinger")):
        theirs = fit[f"bandwidth_{name}"]
        while not (theirs < fit["level"] < 1.0 - theirs):
            theirs /= 2.0
        assert level_bandwidth(235, fit["level"], rule) == pytest.approx(theirs)


@pytest.mark.parametrize("kernel", [("epanechnikov", "epa"), ("gaussian", "gau")])
@pytest.mark.parametrize("kind", ["robust", "iid"])
@pytest.mark.parametrize("level", [0.2, 0.5, 0.8])
def test_covariances_with_one_density_are_those_of_statsmodels(level, kind, kernel):
    data = REFERENCE["data"]["engel"]
    X, y = sm.add_constant(np.array(data["X"])), np.array(data["y"])
    peer = sm.QuantReg(y, X).fit(level, vcov=kind, kernel=kernel[1], max_iter=5000)
    covariance = kernel_covariance(
        X,
        peer.resid,
        level,
        np.ones(len(y)),
        kind=kind,
        bandwidth="hall-sheather",
        kernel=kernel[0],
    )
    np.testing.assert_allclose(covariance, peer.cov_params(), rtol=1e-8)
    assert residual_bandwidth(
        peer.resid, level, np.ones(len(y)), "hall-sheather"
    ) == pytest.approx(peer.bandwidth)


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_have_mass_one_and_mean_zero(kernel):
    at = np.linspace(-9.0, 9.0, 180_001)
    values = KERNELS[kernel](at)
    assert np.trapezoid(values, at) == pytest.approx(1.0, abs=1e-8)
    assert np.trapezoid(at * values, at) == pytest.approx(0.0, abs=1e-12)


def test_counts_are_repeated_rows_in_every_kind():
    rng = np.random.default_rng(0)
    X = np.column_stack((np.ones(50), rng.normal(size=50)))
    residuals, count = rng.normal(size=50), rng.integers(1, 4, size=50)
    for kind in ("kernel", "robust", "iid"):
        how = {"kind": kind, "bandwidth": "hall-sheather"}
        weighted = kernel_covariance(X, residuals, 0.3, count.astype(float), **how)
        repeated = kernel_covariance(
            np.repeat(X, count, axis=0),
            np.repeat(residuals, count),
            0.3,
            np.ones(count.sum()),
            **how,
        )
        np.testing.assert_allclose(weighted, repeated, rtol=1e-10)


@pytest.mark.parametrize("cov_type", ["kernel", "robust", "iid"])
@pytest.mark.parametrize("level", [0.01, 0.3, 0.99])
def test_errors_of_the_mirrored_problem_are_the_same(level, cov_type):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(300, 3))
    y = X.sum(axis=1) + rng.standard_t(3, size=300)
    fit = LinearQuantileRegression([level], cov_type=cov_type).fit(X, y)
    mirror = LinearQuantileRegression([1.0 - level], cov_type=cov_type).fit(X, -y)
    np.testing.assert_allclose(mirror.coef_, -fit.coef_, rtol=1e-9)
    np.testing.assert_allclose(mirror.bse_, fit.bse_, rtol=1e-6)


@pytest.mark.parametrize("residuals", [np.zeros(20), np.r_[np.full(19, 0.0), 5.0]])
def test_residuals_without_spread_give_no_errors(residuals):
    covariance = kernel_covariance(
        np.ones((20, 1)),
        residuals,
        0.5,
        np.ones(20),
        kind="kernel",
        bandwidth="hall-sheather",
    )
    assert np.isnan(covariance).all()


def test_too_few_rows_near_the_fit_give_no_errors():
    # All others are farther away than the bandwidth, and one row is no plane.
    place = np.arange(-200.0, 201.0)
    X, weight = np.column_stack((np.ones(401), place)), np.ones(401)
    residuals = 100.0 * np.sign(place) * (-1.0) ** np.abs(place)
    width = residual_bandwidth(residuals, 0.5, weight, "hall-sheather")
    assert 0.0 < width < 100.0
    how = {"kind": "kernel", "bandwidth": "hall-sheather"}
    assert np.isnan(kernel_covariance(X, residuals, 0.5, weight, **how)).all()


def test_errors_approach_those_of_the_normal_quantile():
    rng = np.random.default_rng(0)
    n = 20_000
    y = rng.normal(size=n)
    X = rng.normal(size=(n, 1))
    for level in (0.1, 0.5, 0.8):
        density = norm.pdf(norm.ppf(level))
        exact = np.sqrt(level * (1.0 - level) / n) / density
        for kind in ("kernel", "robust", "iid"):
            model = LinearQuantileRegression([level], cov_type=kind).fit(X, y)
            np.testing.assert_allclose(model.bse_[0], exact, rtol=0.06)


@pytest.mark.slow
def test_the_bootstrap_agrees_with_the_exact_error_of_a_median():
    rng = np.random.default_rng(1)
    y = np.sort(rng.normal(size=41))
    # P(the median of a resample is y[k]) from the binomial distribution.
    reached = binom.sf(20, 41, np.arange(1, 42) / 41)
    mass = np.diff(np.r_[0.0, reached])
    mean = mass @ y
    exact = np.sqrt(mass @ (y - mean) ** 2)
    covariance = bootstrap_covariance(
        np.ones((41, 1)),
        y,
        np.array([0.5]),
        np.ones(41),
        n_bootstrap=800,
        generator=np.random.default_rng(0),
    )
    # The relative error of a standard deviation from 800 draws is about 2.5 %.
    assert np.sqrt(covariance[0, 0, 0]) == pytest.approx(exact, rel=0.08)


@pytest.mark.slow
def test_the_bootstrap_is_fixed_by_its_generator_and_counts_rows():
    y, levels = norm.ppf(np.arange(1, 402) / 402), np.array([0.5])

    def spread(weight):
        covariance = bootstrap_covariance(
            np.ones((401, 1)),
            y,
            levels,
            weight,
            n_bootstrap=200,
            generator=np.random.default_rng(0),
        )
        return float(np.sqrt(covariance[0, 0, 0]))

    fourfold = spread(np.full(401, 4.0))
    assert fourfold == spread(np.full(401, 4.0))
    # Four times the rows, half the error; each is known to about 5 %.
    assert spread(np.ones(401)) / fourfold == pytest.approx(2.0, rel=0.2)
