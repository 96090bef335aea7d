"""Links against SciPy's distributions, limits in the tails, and differences."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from statlearn.ordinal._links import LINKS

DISTRIBUTIONS = {
    "logit": stats.logistic,
    "probit": stats.norm,
    "cloglog": stats.gumbel_l,
    "loglog": stats.gumbel_r,
    "cauchit": stats.cauchy,
}
NAMES = sorted(LINKS)
GRID = np.linspace(-6.0, 3.0, 37)


@pytest.mark.parametrize("name", NAMES)
def test_cdf_and_density_are_those_of_scipy(name):
    link, distribution = LINKS[name], DISTRIBUTIONS[name]
    assert_allclose(link.cdf(GRID), distribution.cdf(GRID), rtol=1e-12)
    assert_allclose(link.survival(GRID), distribution.sf(GRID), rtol=1e-12)
    assert_allclose(link.log_cdf(GRID), distribution.logcdf(GRID), rtol=1e-11)
    assert_allclose(link.pdf(GRID), distribution.pdf(GRID), rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_quantile_inverts_the_cdf(name):
    probability = np.array([1e-8, 0.01, 0.3, 0.5, 0.9, 0.999])
    assert_allclose(LINKS[name].cdf(LINKS[name].quantile(probability)), probability)


@pytest.mark.parametrize("name", NAMES)
def test_reflection_swaps_the_tails(name):
    link = LINKS[name]
    assert_allclose(link.reflected.cdf(-GRID), 1.0 - link.cdf(GRID), atol=1e-15)
    assert link.reflected.reflected is link


@pytest.mark.parametrize("name", NAMES)
def test_one_sided_derivatives_match_differences(name):
    link, h = LINKS[name], 1e-5
    value, slope, bend = link.one_sided(GRID)
    up, slope_up, _ = link.one_sided(GRID + h)
    down, slope_down, _ = link.one_sided(GRID - h)
    assert_allclose(value, -DISTRIBUTIONS[name].logcdf(GRID), rtol=1e-10, atol=1e-15)
    assert_allclose(slope, (up - down) / (2 * h), rtol=1e-6, atol=1e-9)
    assert_allclose(bend, (slope_up - slope_down) / (2 * h), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gap", [0.01, 0.5, 4.0])
def test_interval_derivatives_match_differences(name, gap):
    link, h = LINKS[name], 1e-6
    a, b = GRID + gap, GRID

    def moved(da, db):
        return link.interval(a + da, b + db)

    value, g_a, g_b, h_aa, h_ab, h_bb = moved(0.0, 0.0)
    mass = DISTRIBUTIONS[name].cdf(a) - DISTRIBUTIONS[name].cdf(b)
    assert_allclose(value, -np.log(mass), rtol=1e-7)
    h *= gap
    by_a = [(u - d) / (2 * h) for u, d in zip(moved(h, 0), moved(-h, 0), strict=True)]
    by_b = [(u - d) / (2 * h) for u, d in zip(moved(0, h), moved(0, -h), strict=True)]
    assert_allclose(g_a, by_a[0], rtol=2e-5, atol=1e-6)
    assert_allclose(g_b, by_b[0], rtol=2e-5, atol=1e-6)
    scale = 1.0 + np.abs(h_aa)
    assert_allclose(h_aa / scale, by_a[1] / scale, atol=2e-5)
    assert_allclose(h_ab / scale, by_a[2] / scale, atol=2e-5)
    assert_allclose(h_bb / scale, by_b[2] / scale, atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_interval_is_the_same_without_curvature(name):
    full = LINKS[name].interval(GRID + 0.5, GRID)
    short = LINKS[name].interval(GRID + 0.5, GRID, curvature=False)
    assert len(short) == 3
    assert_array_equal(short, full[:3])


@pytest.mark.parametrize("name", NAMES)
def test_log_interval_keeps_digits_in_both_tails(name):
    # Far out, F(a) - F(b) is a difference of two numbers near 0 or 1; the mean value
    # theorem with a narrow interval gives it without cancellation.
    link = LINKS[name]
    for centre in (-8.0, -3.0, 2.0, 3.5):
        narrow = 1e-6
        expected = link.log_pdf(np.array(centre)) + np.log(narrow)
        found = link.log_interval(
            np.array(centre + narrow / 2), np.array(centre - narrow / 2)
        )
        assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_extreme_predictors_give_no_nan(name):
    far = np.array([-1e4, -700.0, -50.0, 50.0, 700.0, 1e4])
    with np.errstate(all="ignore"):
        value, slope, _ = LINKS[name].one_sided(far)
    assert not np.isnan(value).any()
    assert (value >= 0).all()
    assert (slope[np.isfinite(slope)] <= 0).all()


def test_logistic_forms_are_exact_at_large_predictors():
    link = LINKS["logit"]
    value, slope, bend = link.one_sided(np.array([800.0, -800.0]))
    assert_allclose(value, [0.0, 800.0])
    assert_allclose(slope, [0.0, -1.0])
    assert_allclose(bend, [0.0, 0.0])
