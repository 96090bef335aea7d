"""The search for the least trimmed squares."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.datasets import stackloss

from high_breakdown import LINE_X, LINE_Y, basis, contaminated
from statlearn.linear_model import _search_rows
from statlearn.linear_model._fast_lts import consistency, fast_lts


def fit_raw(X, y, base=None, *, seed=0, **options):
    Q, R = basis(X, base)
    fit = fast_lts(Q, y, base, random_state=seed, **options)
    return np.linalg.solve(R, fit.coef), fit


def best_subset(X, y, h):
    """Fit least squares to every subset of h rows."""
    sums = [
        np.sum((y[s] - X[s] @ np.linalg.lstsq(X[s], y[s])[0]) ** 2)
        for s in map(list, combinations(range(len(y)), h))
    ]
    return min(sums)


def test_line_with_an_outlier_has_the_known_fit():
    coef, fit = fit_raw(LINE_X, LINE_Y, h=6)
    np.testing.assert_array_equal(np.flatnonzero(fit.kept), [0, 3, 4, 5, 7, 8])
    assert fit.objective == pytest.approx(0.0517068273, rel=1e-9)
    np.testing.assert_allclose(coef, [1.0447791165, 2.0030120482], rtol=1e-9)
    assert fit.scale == pytest.approx(0.2003963740, rel=1e-9)


def test_default_keeps_just_more_than_half():
    fit = fit_raw(LINE_X, LINE_Y)[1]
    assert fit.kept.sum() == 6.0


@pytest.mark.parametrize("seed", range(3))
def test_stackloss_has_the_exact_solution(seed):
    data = stackloss.load_pandas()
    X = np.column_stack((np.ones(21), data.exog))
    coef, fit = fit_raw(X, data.endog.to_numpy(), seed=seed)
    assert fit.kept.sum() == 13.0
    expected = [-37.323326471, 0.740921064, 0.391526723, 0.011134540]
    np.testing.assert_allclose(coef, expected, rtol=1e-7)


@pytest.mark.parametrize("seed", range(8))
def test_no_subset_has_a_smaller_sum(seed):
    rng = np.random.default_rng(seed)
    X = np.column_stack((np.ones(12), rng.standard_normal((12, 2))))
    y = rng.standard_cauchy(12)
    fit = fit_raw(X, y, h=8, seed=seed)[1]
    assert fit.objective == pytest.approx(best_subset(X, y, 8), rel=1e-9)


def test_kept_rows_are_those_of_the_smallest_residuals_and_their_fit_is_the_fit():
    X, y = contaminated(101, 4, 0.3)
    coef, fit = fit_raw(X, y)
    kept = fit.kept == 1.0
    squares = (y - X @ coef) ** 2
    assert squares[kept].max() < squares[~kept].min()
    assert fit.objective == pytest.approx(squares[kept].sum(), rel=1e-12)
    refitted = np.linalg.lstsq(X[kept], y[kept])[0]
    np.testing.assert_allclose(coef, refitted, rtol=1e-8)


@pytest.mark.parametrize("kind", ["vertical", "leverage"])
def test_a_third_of_outliers_is_left_out(kind):
    X, y = contaminated(150, 4, 0.33, kind=kind)
    fit = fit_raw(X, y)[1]
    assert fit.kept[: round(0.33 * 150)].sum() == 0.0


@pytest.mark.parametrize("share", [0.5, 0.75, 0.999, 1.0])
def test_factor_is_the_root_mean_square_of_the_smallest_normal_deviations(share):
    q = stats.norm.ppf(0.5 * (1.0 + share))
    inside = integrate.quad(lambda u: u * u * stats.norm.pdf(u), 0.0, q)[0]
    assert consistency(share) == pytest.approx(np.sqrt(2.0 * inside / share), rel=1e-8)


def test_all_rows_are_least_squares():
    X, y = contaminated(50, 3, 0.2)
    coef, fit = fit_raw(X, y, h=50)
    np.testing.assert_allclose(coef, np.linalg.lstsq(X, y)[0], rtol=1e-9)
    assert fit.scale == pytest.approx(np.sqrt(np.mean((y - X @ coef) ** 2)), rel=1e-9)


@pytest.mark.parametrize("n", [12, 80, 500])
def test_integer_base_weight_is_a_repeated_row(n):
    X, y = contaminated(n, 3, 0.2)
    base = np.random.default_rng(1).integers(1, 4, n).astype(float)
    at = np.repeat(np.arange(n), base.astype(int))
    coef, fit = fit_raw(X, y, base)
    coef_repeated, repeated = fit_raw(X[at], y[at])
    assert fit.objective == pytest.approx(repeated.objective, rel=1e-9)
    assert fit.scale == pytest.approx(repeated.scale, rel=1e-9)
    np.testing.assert_allclose(coef, coef_repeated, rtol=1e-6)
    np.testing.assert_allclose(fit.kept[at], repeated.kept, atol=1e-12)
    assert fit.kept @ base == pytest.approx((base.sum() + 4) // 2)


def test_fraction_of_a_mass_keeps_a_fraction_of_a_row():
    X, y = contaminated(40, 2, 0.1)
    fit = fit_raw(X, y, h=30.25)[1]
    assert np.sort(fit.kept)[-31] == pytest.approx(0.25)
    assert fit.kept.sum() == pytest.approx(30.25)


def test_rows_that_tie_at_the_boundary_share_it():
    # About the middle of these the distances are 0, 1, 1, 2, 2 and 40.
    y = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, 40.0])
    fit = fast_lts(np.ones((6, 1)), y, h=4, random_state=0)
    squares = (y - fit.coef) ** 2
    for row in range(6):
        same = np.isclose(squares, squares[row])
        assert np.ptp(fit.kept[same]) == 0.0
    assert fit.kept.sum() == pytest.approx(4.0)


def test_same_seed_gives_the_same_numbers():
    X, y = contaminated(300, 4, 0.3)
    one, two = (fit_raw(X, y, seed=3)[1] for _ in range(2))
    assert np.array_equal(one.coef, two.coef)
    assert np.array_equal(one.kept, two.kept)


def test_search_on_a_sample_of_rows_gets_as_low_as_that_on_all(monkeypatch):
    X, y = contaminated(6000, 4, 0.3)
    sampled = fit_raw(X, y)[1]
    monkeypatch.setattr(_search_rows, "_MANY_ROWS", 10_000)
    whole = fit_raw(X, y, n_starts=50, n_best=5)[1]
    # Single rows at the boundary make many minima; they differ in the sixth digit.
    assert sampled.objective <= whole.objective * (1.0 + 1e-4)


@pytest.mark.parametrize("level", [0.0, 5.0])
def test_constant_response_has_scale_zero_and_keeps_all(level):
    X, _ = contaminated(50, 3, 0.0)
    fit = fit_raw(X, np.full(50, level))[1]
    assert fit.scale == 0.0
    assert fit.objective == 0.0
    np.testing.assert_array_equal(fit.kept, 1.0)


def test_plane_through_h_rows_has_scale_zero_and_keeps_them():
    X, _ = contaminated(100, 3, 0.0, seed=4)
    y = X @ [1.0, -2.0, 3.0]
    y[:40] += np.random.default_rng(0).standard_cauchy(40)
    coef, fit = fit_raw(X, y)
    assert fit.scale == 0.0
    np.testing.assert_array_equal(fit.kept, np.arange(100) >= 40)
    np.testing.assert_allclose(coef, [1.0, -2.0, 3.0], rtol=1e-9)


def test_indicators_of_rare_classes_and_ties_end():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 10, 150)
    group[:2] = 10
    X = np.eye(11)[group]
    X[:, 0] = 1.0
    y = rng.integers(0, 4, 150).astype(float)
    fit = fit_raw(X, y)[1]
    ols = np.sort((y - X @ np.linalg.lstsq(X, y)[0]) ** 2)
    assert 0.0 <= fit.objective <= ols[: (150 + 12) // 2].sum()


@pytest.mark.parametrize("size", [1e12, 1e200])
def test_size_of_outliers_does_not_matter(size):
    X, y = contaminated(100, 3, 0.0)
    y[:30] = size
    far = fit_raw(X, y)[1]
    y[:30] = 1e6
    assert far.objective == pytest.approx(fit_raw(X, y)[1].objective, rel=1e-9)


@pytest.mark.parametrize("h", [0.0, -3.0, np.nan])
def test_h_that_is_no_positive_mass_is_an_error(h):
    X, y = contaminated(20, 2, 0.0)
    with pytest.raises(ValueError, match="'h' parameter of least trimmed squares"):
        fast_lts(X, y, h=h, random_state=0)
