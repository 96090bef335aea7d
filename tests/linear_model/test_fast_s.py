"""The search for an S-estimate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from statsmodels.datasets import stackloss
from statsmodels.robust.resistant_linear_model import RLMDetSMM

from high_breakdown import LINE_X, LINE_Y, basis, contaminated, elemental_fits
from statlearn.linear_model import _search_rows
from statlearn.linear_model._fast_s import fast_s
from statlearn.linear_model._m_scale import m_scale

HALF = {"c": 1.54764, "b": 0.5}


def objective(X, y, coef, base=None):
    mass = len(y) if base is None else base.sum()
    residuals = y - X @ coef
    return m_scale(residuals, base, **HALF, degrees=mass - X.shape[1])


def fit_raw(X, y, base=None, *, seed=0, **options):
    Q, R = basis(X, base)
    fit = fast_s(Q, y, base, random_state=seed, **options)
    return np.linalg.solve(R, fit.coef), fit


def test_line_with_an_outlier_has_the_known_fit():
    coef, fit = fit_raw(LINE_X, LINE_Y)
    np.testing.assert_allclose(coef, [1.0258054681, 2.0046276353], rtol=1e-9)
    assert fit.scale == pytest.approx(0.2886047290, rel=1e-9)
    assert fit.weights[-1] == 0.0
    assert fit.converged


@pytest.mark.parametrize("seed", range(3))
def test_stackloss_has_the_fit_of_robustbase(seed):
    data = stackloss.load_pandas()
    X = np.column_stack((np.ones(21), data.exog))
    coef, fit = fit_raw(X, data.endog.to_numpy(), seed=seed)
    assert fit.scale == pytest.approx(1.912351906641, rel=1e-11)
    expected = [-36.925422925, 0.849574807, 0.430473906, -0.073538849]
    np.testing.assert_allclose(coef, expected, rtol=1e-8)


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(i, marks=pytest.mark.slow) for i in range(2, 8))]
)
def test_no_elemental_fit_and_no_minimiser_gets_below_it(seed):
    rng = np.random.default_rng(seed)
    X = np.column_stack((np.ones(14), rng.standard_normal((14, 2))))
    y = rng.standard_cauchy(14)
    coef, fit = fit_raw(X, y, seed=seed)
    assert fit.scale == pytest.approx(objective(X, y, coef), rel=1e-9)
    starts = elemental_fits(X, y)
    scales = np.array([objective(X, y, start) for start in starts])
    assert fit.scale <= scales.min()
    for start in starts[np.argsort(scales)[:10]]:
        rival = minimize(lambda raw: objective(X, y, raw), start, method="Nelder-Mead")
        assert fit.scale <= rival.fun * (1.0 + 1e-8)


@pytest.mark.parametrize("kind", ["vertical", "leverage"])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.4])
@pytest.mark.slow
def test_scale_is_no_worse_than_that_of_the_deterministic_search(kind, share):
    X, y = contaminated(200, 5, share, kind=kind)
    _, fit = fit_raw(X, y)
    peer = RLMDetSMM(y, X)
    # The S-estimate on the way to the MM-estimate, scored with our degrees.
    peer_s = super(RLMDetSMM, peer).fit(101)
    assert fit.scale <= objective(X, y, peer_s.params) * (1.0 + 1e-9)


def test_weights_are_those_of_the_bisquare_and_solve_the_equations():
    X, y = contaminated(100, 4, 0.2)
    Q, _ = basis(X)
    fit = fast_s(Q, y, random_state=0)
    residuals = y - Q @ fit.coef
    u = residuals / (HALF["c"] * fit.scale)
    np.testing.assert_allclose(
        fit.weights, np.maximum(1.0 - u**2, 0.0) ** 2, atol=1e-12
    )
    assert np.abs(Q.T @ (fit.weights * residuals)).max() < 1e-8 * 100 * fit.scale


@pytest.mark.parametrize(("c", "b"), [(2.937015, 0.25), (5.182361, 0.1)])
def test_other_breakdown_points_have_their_own_scale(c, b):
    X, y = contaminated(100, 4, 0.05)
    coef, fit = fit_raw(X, y, c=c, b=b)
    scale = m_scale(y - X @ coef, c=c, b=b, degrees=96)
    assert fit.scale == pytest.approx(scale, rel=1e-10)
    ols = np.linalg.lstsq(X, y)[0]
    assert fit.scale < m_scale(y - X @ ols, c=c, b=b, degrees=96)


# -- weights and determinism -----------------------------------------------------


@pytest.mark.parametrize("n", [12, 60, 500])
def test_integer_base_weight_is_a_repeated_row(n):
    X, y = contaminated(n, 3, 0.2)
    base = np.random.default_rng(1).integers(1, 4, n).astype(float)
    at = np.repeat(np.arange(n), base.astype(int))
    coef, fit = fit_raw(X, y, base)
    coef_repeated, repeated = fit_raw(X[at], y[at])
    assert fit.scale == pytest.approx(repeated.scale, rel=1e-11)
    np.testing.assert_allclose(coef, coef_repeated, rtol=1e-8)
    np.testing.assert_allclose(fit.weights[at], repeated.weights, atol=1e-7)


def test_same_seed_gives_the_same_numbers_and_the_input_stays():
    X, y = contaminated(300, 4, 0.3)
    Q, _ = basis(X)
    kept = Q.copy(), y.copy()
    one, two = (fast_s(Q, y, random_state=np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one.coef, two.coef)
    assert one.scale == two.scale
    assert np.array_equal(Q, kept[0])
    assert np.array_equal(y, kept[1])


@settings(max_examples=15)
@given(st.floats(1e-3, 1e3), st.integers(0, 2**16))
def test_fit_follows_changes_of_units_and_of_the_hyperplane(factor, seed):
    rng = np.random.default_rng(seed)
    X, y = contaminated(60, 3, 0.2, seed=seed)
    Q, _ = basis(X)
    shift = rng.standard_normal(3)
    fit = fast_s(Q, y, random_state=0)
    moved = fast_s(Q, factor * y + Q @ shift, random_state=0)
    assert moved.scale == pytest.approx(factor * fit.scale, rel=1e-8)
    np.testing.assert_allclose(
        (moved.coef - shift) / factor, fit.coef, rtol=1e-5, atol=1e-6 / factor
    )


# -- many rows -------------------------------------------------------------------


def test_search_on_a_sample_ends_where_that_on_all_rows_does(monkeypatch):
    X, y = contaminated(6000, 6, 0.3, kind="leverage")
    sampled = fit_raw(X, y)[1]
    monkeypatch.setattr(_search_rows, "_MANY_ROWS", 10_000)
    whole = fit_raw(X, y, n_starts=100)[1]
    assert sampled.scale == pytest.approx(whole.scale, rel=1e-9)
    np.testing.assert_allclose(sampled.coef, whole.coef, atol=1e-7)


def test_products_formed_in_parts_give_the_same_fit(monkeypatch):
    X, y = contaminated(500, 4, 0.3)
    expected = fit_raw(X, y)[1]
    monkeypatch.setattr(_search_rows, "_PRODUCTS_BYTES", 8 * 14 * 70)
    found = fit_raw(X, y)[1]
    assert found.scale == pytest.approx(expected.scale, rel=1e-10)
    np.testing.assert_allclose(found.coef, expected.coef, atol=1e-8)


def test_rare_class_keeps_its_coefficient_in_a_sample_of_rows():
    rng = np.random.default_rng(0)
    n = 5000
    group = rng.integers(0, 4, n)
    group[:3] = 4
    X = np.eye(5)[group]
    y = X @ [0.0, 1.0, 2.0, 3.0, 50.0] + rng.standard_normal(n)
    coef, fit = fit_raw(X, y, n_starts=100)
    assert abs(coef[4] - 50.0) < 2.0
    assert fit.weights[:3].max() > 0.5


# -- degenerate data -------------------------------------------------------------


@pytest.mark.parametrize("level", [0.0, 3.0, 1e8])
def test_constant_response_has_scale_zero_and_weight_one(level):
    X, _ = contaminated(50, 3, 0.0)
    coef, fit = fit_raw(X, np.full(50, level))
    assert fit.scale == 0.0
    np.testing.assert_array_equal(fit.weights, 1.0)
    np.testing.assert_allclose(coef, [level, 0.0, 0.0], atol=1e-7 * max(level, 1e-9))


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("n_off", [0, 30, 48])
def test_plane_through_half_of_the_rows_has_scale_zero(unit, n_off):
    X, _ = contaminated(100, 3, 0.0, seed=4)
    y = X @ [1.0, -2.0, 3.0] * unit
    y[:n_off] += unit * np.random.default_rng(0).standard_cauchy(n_off)
    coef, fit = fit_raw(X, y)
    assert fit.scale == 0.0
    np.testing.assert_array_equal(fit.weights, np.arange(100) >= n_off)
    np.testing.assert_allclose(coef, np.array([1.0, -2.0, 3.0]) * unit, rtol=1e-9)


def test_one_row_fewer_on_the_plane_gives_a_positive_scale():
    # With 100 rows and 3 columns the scale is zero for up to 48.5 rows off the plane.
    X, _ = contaminated(100, 3, 0.0, seed=4)
    y = X @ [1.0, -2.0, 3.0]
    y[:49] += 10.0 + np.random.default_rng(0).uniform(0.0, 5.0, 49)
    assert fit_raw(X, y)[1].scale > 0.0


def test_small_errors_at_a_high_level_are_no_plane():
    rng = np.random.default_rng(0)
    X, _ = contaminated(200, 3, 0.0)
    fit = fit_raw(X, 1e6 + 1e-4 * rng.standard_normal(200))[1]
    assert fit.scale == pytest.approx(1e-4, rel=0.2)


@pytest.mark.parametrize("response", ["continuous", "discrete"])
def test_indicators_of_rare_classes_leave_enough_subsets(response):
    rng = np.random.default_rng(0)
    n = 150
    group = rng.integers(0, 10, n)
    group[:2] = 10
    X = np.eye(11)[group]
    X[:, 0] = 1.0
    y = X @ np.arange(11.0) + rng.standard_normal(n)
    if response == "discrete":
        y = rng.integers(0, 4, n).astype(float)
    coef, fit = fit_raw(X, y)
    assert fit.converged
    assert np.isfinite(coef).all()
    assert fit.scale <= objective(X, y, np.linalg.lstsq(X, y)[0])


def test_every_row_many_times_is_no_obstacle():
    X = np.repeat(LINE_X, 40, axis=0)
    coef, fit = fit_raw(X, np.repeat(LINE_Y, 40))
    assert fit.scale > 0.0
    np.testing.assert_allclose(coef, [1.0, 2.0], atol=0.1)


def test_binary_design_and_response_end():
    rng = np.random.default_rng(0)
    X = np.column_stack((np.ones(80), rng.integers(0, 2, (80, 3))))
    fit = fit_raw(X, rng.integers(0, 2, 80).astype(float))[1]
    assert fit.scale >= 0.0


@pytest.mark.parametrize("size", [1e12, 1e200])
def test_size_of_outliers_does_not_matter(size):
    X, y = contaminated(100, 3, 0.0)
    y[:30] = size
    far = fit_raw(X, y)[1]
    y[:30] = 1e6
    assert far.scale == pytest.approx(fit_raw(X, y)[1].scale, rel=1e-9)


@pytest.mark.parametrize("n", [2, 3])
def test_no_degree_of_freedom_is_an_error(n):
    X = np.column_stack((np.ones(n), np.arange(n), np.arange(n) ** 2.0))
    with pytest.raises(ValueError, match=r"'base' weights.*3 columns"):
        fast_s(X, np.arange(n, dtype=float), random_state=0)


def test_one_degree_of_freedom_suffices():
    X, y = contaminated(5, 4, 0.0)
    fit = fit_raw(X, y)[1]
    assert 0.0 < fit.scale < np.inf
