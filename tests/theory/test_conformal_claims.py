"""What conformal calibration promises: coverage, whatever the model is.

Each claim is checked on many independent tables: mean coverage has to lie within four
standard errors of what theory says. Seeds are fixed and not searched for; run with
``-s`` to see the figures.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import KFold

from conformal_cases import ResidualQuantiles, skewed_table
from statlearn.quantile._conformal import calibrate_interval
from statlearn.quantile._cross_fitting import nested_cross_fit, read_folds
from statlearn.quantile.conformal_quantile_regressor import ConformalQuantileRegressor

pytestmark = pytest.mark.slow

LEVELS = np.array([0.1, 0.3, 0.7, 0.9])
COVERAGE = 0.8
N_NEW = 50
SIZES = [40, 120, 400]


def report(text):
    """Show a figure of a test that passes too, under ``pytest -s``."""
    print(text)  # noqa: T201


def mean_and_error(rates):
    """Mean over tables, and its standard error (tables along the first axis)."""
    rates = np.asarray(rates)
    return rates.mean(axis=0), rates.std(axis=0, ddof=1) / np.sqrt(len(rates))


@cache
def coverages(method, n):
    """Share of new targets inside of intervals, and below quantiles, per table."""
    inside, below = [], []
    for seed in range(400 if method == "split" else 200):
        X, y = skewed_table(n, seed)
        X_new, y_new = skewed_table(N_NEW, seed + 1_000_000)
        base = ResidualQuantiles(0.5)
        if method == "split":
            # Fitted beforehand, so that all n rows calibrate.
            base = FrozenEstimator(base.fit(*skewed_table(60, seed + 2_000_000)))
        model = ConformalQuantileRegressor(base, method=method, levels=LEVELS)
        model.fit(X, y)
        interval = model.predict_interval(X_new, COVERAGE)
        inside.append(np.mean((interval[:, 0] <= y_new) & (y_new <= interval[:, 1])))
        grid = model.predict_quantiles(X_new)
        below.append(np.mean(y_new[:, np.newaxis] <= grid, axis=0))
    return np.array(inside), np.array(below)


# -------------------------------------------------------------------- exchangeable rows
@pytest.mark.parametrize("n", SIZES)
def test_split_covers_by_its_rank(n):
    mean, error = mean_and_error(coverages("split", n)[0])
    expected = np.ceil(COVERAGE * (n + 1) - 1e-9) / (n + 1)
    report(f"split, n={n}: {mean:.4f} +- {error:.4f}, exact {expected:.4f}")
    assert abs(mean - expected) < 4.0 * error


@pytest.mark.parametrize("n", SIZES)
def test_split_levels_hold_by_their_rank(n):
    mean, error = mean_and_error(coverages("split", n)[1])
    rank = np.ceil(np.maximum(LEVELS, 1.0 - LEVELS) * (n + 1) - 1e-9)
    expected = np.where(LEVELS < 0.5, 1.0 - rank / (n + 1), rank / (n + 1))
    report(f"split levels, n={n}: {mean.round(4)}, exact {expected.round(4)}")
    assert (np.abs(mean - expected) < 4.0 * error).all()


@pytest.mark.parametrize("n", SIZES)
def test_cv_plus_covers_what_it_aims_at(n):
    mean, error = mean_and_error(coverages("cv+", n)[0])
    floor = 1.0 - 2.0 * (1.0 - COVERAGE) - np.sqrt(2.0 / n)
    report(f"cv+, n={n}: {mean:.4f} +- {error:.4f}, at least {floor:.4f}")
    assert mean > floor
    # A stable model misses nothing of it.
    assert mean > COVERAGE - 4.0 * error


@pytest.mark.parametrize("n", SIZES)
def test_cv_plus_levels_hold_what_they_aim_at(n):
    mean, error = mean_and_error(coverages("cv+", n)[1])
    report(f"cv+ levels, n={n}: {mean.round(4)}")
    outward = np.where(LEVELS < 0.5, LEVELS - mean, mean - LEVELS)
    assert (outward > -4.0 * error).all()


@pytest.mark.parametrize("n", SIZES)
def test_jackknife_minmax_covers_at_least_as_much_as_asked(n):
    mean, error = mean_and_error(coverages("jackknife-minmax", n)[0])
    report(f"jackknife-minmax, n={n}: {mean:.4f} +- {error:.4f}")
    assert mean > COVERAGE - 4.0 * error
    assert mean > coverages("cv+", n)[0].mean()


def test_raw_intervals_miss_what_calibration_repairs():
    X, y = skewed_table(4000, 0)
    raw = ResidualQuantiles(0.5).fit(X, y).predict_quantiles(X, [0.1, 0.9])
    assert np.mean((raw[:, 0] <= y) & (y <= raw[:, 1])) < 0.7


# ---------------------------------------------------------------------- covariate shift
def shifted(n, seed, shift):
    """Rows around a shift, with noise that grows along x."""
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1.0, n)
    y = x + np.exp(x / 2.0) * rng.normal(size=n)
    return x[:, np.newaxis], y


def density_ratio(X, shift):
    """Density of rows around the shift over that of rows around zero."""
    return np.exp(shift * X[:, 0] - shift**2 / 2.0)


def test_weights_restore_coverage_under_covariate_shift():
    shift, plain, weighted = 0.7, [], []
    base = FrozenEstimator(ResidualQuantiles().fit(*shifted(200, 10**6, 0.0)))
    for seed in range(400):
        X, y = shifted(300, seed, 0.0)
        X_new, y_new = shifted(N_NEW, seed + 2_000_000, shift)
        model = ConformalQuantileRegressor(base, levels=LEVELS).fit(X, y)
        found = model.predict_interval(X_new, COVERAGE)
        plain.append(np.mean((found[:, 0] <= y_new) & (y_new <= found[:, 1])))
        model.calibrate(X, y, sample_weight=density_ratio(X, shift))
        weight = density_ratio(X_new, shift)
        found = model.predict_interval(X_new, COVERAGE, sample_weight=weight)
        weighted.append(np.mean((found[:, 0] <= y_new) & (y_new <= found[:, 1])))
    without, (mean, error) = np.mean(plain), mean_and_error(weighted)
    report(f"shift: {without:.4f} without weights, {mean:.4f} +- {error:.4f} with")
    assert without < COVERAGE - 0.05
    assert mean > COVERAGE - 4.0 * error
    assert mean < COVERAGE + 0.03


# ------------------------------------------------------------------------------- groups
def test_each_group_is_covered_by_its_own_calibration():
    rates = {"pooled": [], "by group": []}
    base = FrozenEstimator(ResidualQuantiles().fit(*skewed_table(100, 10**6)))
    for seed in range(400):
        (X, y), (X_new, y_new) = (
            skewed_table(150, seed),
            skewed_table(60, -seed % 2**32),
        )
        groups, new = np.arange(150) % 3 == 0, np.arange(60) % 3 == 0
        # The first group is four times as noisy.
        y = np.where(groups, X.sum(axis=1) + 4.0 * (y - X.sum(axis=1)), y)
        centre = X_new.sum(axis=1)
        y_new = np.where(new, centre + 4.0 * (y_new - centre), y_new)
        for name, labels in (("pooled", (None, None)), ("by group", (groups, new))):
            model = ConformalQuantileRegressor(base, levels=LEVELS)
            model.fit(X, y, groups=labels[0])
            found = model.predict_interval(X_new, COVERAGE, groups=labels[1])
            inside = (found[:, 0] <= y_new) & (y_new <= found[:, 1])
            rates[name].append([inside[~new].mean(), inside[new].mean()])
    pooled, (mean, error) = (
        np.mean(rates["pooled"], 0),
        mean_and_error(rates["by group"]),
    )
    expected = np.ceil(COVERAGE * np.array([101, 51]) - 1e-9) / np.array([101, 51])
    report(f"groups: pooled {pooled.round(4)}, by group {mean.round(4)}")
    assert pooled[0] > COVERAGE + 0.05
    assert pooled[1] < COVERAGE - 0.1
    assert (np.abs(mean - expected) < 4.0 * error).all()


# ---------------------------------------------------------------------------- ensembles
class Columns(ResidualQuantiles):
    """Least squares on some columns."""

    def __init__(self, columns=(), factor=1.0, levels=None):
        super().__init__(factor, levels)
        self.columns = columns

    def fit(self, X, y, sample_weight=None):
        return super().fit(X[:, self.columns], y)

    def predict(self, X):
        return super().predict(X[:, self.columns])


def stack_weights(stack, y):
    """Weights of m models by least squares on the mean of their outer levels."""
    return np.linalg.lstsq(stack.mean(axis=2), y)[0]


def ensemble_intervals(seed, n=60, n_models=18):
    """Coverage of CV+ for a stacked ensemble: nested, and with weights reused."""
    rng = np.random.default_rng(seed)
    X, y = skewed_table(n, seed, 24)
    X_new, y_new = skewed_table(N_NEW, seed + 10**6, 24)
    models = [
        (str(j), Columns(rng.choice(24, 8, replace=False))) for j in range(n_models)
    ]
    folds = read_folds(KFold(5), X, y, None, "ensemble")
    ends = np.array([0.1, 0.9])
    fit = nested_cross_fit(models, X, y, ends, folds)
    new = [
        np.stack([model.predict_quantiles(X_new, ends) for model in kept], axis=1)
        for kept in fit.fold_estimators
    ]
    honest = [stack_weights(fit.inner[k], y[fit.outside(k)]) for k in range(5)]
    reused = [stack_weights(fit.stack, y)] * 5
    rates = []
    for weights in (honest, reused):
        own = np.stack(weights)[folds.fold]
        known = np.einsum("nmq,nm->nq", fit.stack, own)
        fold_new = np.stack(
            [np.einsum("nmq,m->nq", new[k], weights[k]) for k in range(5)]
        )
        found = calibrate_interval(
            known[:, 0], known[:, 1], y, COVERAGE, method="cv+", folds=folds.fold
        ).apply(fold_new[..., 0], fold_new[..., 1])
        rates.append(np.mean((found[:, 0] <= y_new) & (y_new <= found[:, 1])))
    return rates


def test_nested_cross_fitting_is_honest_and_reused_weights_are_not():
    rates = np.array([ensemble_intervals(seed) for seed in range(60)])
    mean, error = mean_and_error(rates)
    lost, lost_error = mean_and_error(rates[:, 0] - rates[:, 1])
    report(
        f"ensemble of 18, n=60: nested {mean[0]:.4f} +- {error[0]:.4f}, weights "
        f"reused {mean[1]:.4f} +- {error[1]:.4f}, lost {lost:.4f} +- {lost_error:.4f}"
    )
    assert mean[0] > COVERAGE - 4.0 * error[0]
    assert mean[1] < COVERAGE - 2.0 * error[1]
    assert lost > 4.0 * lost_error
