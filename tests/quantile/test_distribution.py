"""A grid of quantiles as a distribution: its function and its draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import kstest, norm

from statlearn.quantile import interpolate_quantiles
from statlearn.quantile._distribution import grid_cdf, grid_sample

INF = np.inf
LEVELS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])


# -- distribution functions ---------------------------------------------------------


def test_beyond_the_grid_normal_quantiles_stay_normal():
    values = np.array([-6.0, -2.0, -1.3, 1.3, 2.0, 6.0])
    found = grid_cdf(norm.ppf(LEVELS)[None], LEVELS, values)[0]
    assert_allclose(found, norm.cdf(values), rtol=1e-12)


def test_distribution_function_is_linear_between_quantiles():
    grid = np.array([[0.0, 1.0, 3.0, 4.0, 8.0]])
    values = np.array([0.0, 0.5, 1.0, 2.0, 3.0, 6.0, 8.0])
    expected = np.interp(values, grid[0], LEVELS)
    assert_allclose(grid_cdf(grid, LEVELS, values)[0], expected, rtol=1e-14)


def test_distribution_function_undoes_interpolation():
    rng = np.random.default_rng(0)
    grid = np.sort(rng.normal(size=(50, 5)), axis=1)
    wanted = np.linspace(0.1, 0.9, 33)
    values = interpolate_quantiles(grid, LEVELS, wanted)
    shares = grid_cdf(grid, LEVELS, values)
    assert_allclose(shares, np.tile(wanted, (50, 1)), rtol=1e-9)


def test_equal_quantiles_are_a_jump_to_their_highest_level():
    grid = np.array([[0.0, 1.0, 1.0, 1.0, 2.0]])
    found = grid_cdf(grid, LEVELS, np.array([1.0 - 1e-12, 1.0]))
    assert_allclose(found, [[0.25, 0.75]], atol=1e-9)


def test_equal_quantiles_at_an_end_hold_all_the_rest():
    grid = np.array([[1.0, 1.0, 2.0, 3.0, 3.0]])
    found = grid_cdf(grid, LEVELS, np.array([0.999, 1.0, 2.999999999, 3.0, 3.001]))
    assert_allclose(found, [[0.0, 0.25, 0.75, 1.0, 1.0]], atol=1e-8)


def test_quantiles_that_all_but_touch_are_a_jump():
    tiny = 2e-311
    grid = np.array([[0.0, tiny, 1.0, 2.0, 2.0 + 1e-15]])
    found = grid_cdf(grid, LEVELS, np.array([-1.0, 0.0, tiny, 2.0 + 1e-15, 3.0]))
    assert_allclose(found, [[0.0, 0.1, 0.25, 0.9, 1.0]])


def test_mass_between_an_infinite_and_a_finite_quantile_lies_at_infinity():
    grid = np.array([[-INF, 1.0, 2.0, 3.0, INF]])
    values = np.array([-INF, -1e300, 0.0, 1.0, 3.0, 1e300, INF])
    expected = [[0.25, 0.25, 0.25, 0.25, 0.75, 0.75, 1.0]]
    assert_allclose(grid_cdf(grid, LEVELS, values), expected)


@pytest.mark.parametrize("sign", [-1.0, 1.0], ids=["minus", "plus"])
def test_a_row_of_infinite_quantiles_has_all_its_mass_there(sign):
    grid = np.full((1, 5), sign * INF)
    share = grid_cdf(grid, LEVELS, np.array([-3.0, 3.0]))
    assert_array_equal(share, [[sign < 0.0] * 2])


def test_rows_that_cross_are_put_in_order_first():
    grid = np.array([[3.0, 1.0, 2.0, 5.0, 4.0]])
    expected = grid_cdf(np.sort(grid), LEVELS, np.array([1.5, 4.4]))
    assert_array_equal(grid_cdf(grid, LEVELS, np.array([1.5, 4.4])), expected)
    assert_array_equal(grid, [[3.0, 1.0, 2.0, 5.0, 4.0]])


def test_distribution_function_next_to_the_lowest_quantile_is_not_above_its_level():
    values = np.array([[-1.8806148190308877e-85, 0.0]])
    shares = grid_cdf(np.array([[0.0, 1.0, 1.0, 1.0, 1.0]]), LEVELS, values)[0]
    assert shares[0] <= shares[1] == LEVELS[0]


@given(
    st.lists(
        st.one_of(st.integers(-3, 3).map(float), st.sampled_from([-INF, INF])),
        min_size=5,
        max_size=5,
    ),
    st.lists(st.floats(-5, 5), min_size=2, max_size=9),
)
def test_distribution_function_never_falls_and_is_a_share(row, values):
    shares = grid_cdf(np.array([row]), LEVELS, np.sort(values))[0]
    assert shares.min() >= 0.0
    assert shares.max() <= 1.0
    assert (np.diff(shares) >= 0.0).all()


# -- draws ----------------------------------------------------------------------


def test_draws_follow_the_distribution_function():
    grid = np.array([[-2.0, -1.0, 0.0, 4.0, 5.0]])
    draws = grid_sample(grid, LEVELS, 5000, np.random.default_rng(0))[0]
    found = kstest(draws, lambda v: grid_cdf(grid, LEVELS, np.atleast_1d(v))[0])
    assert found.pvalue > 0.01


def test_draws_of_equal_and_infinite_quantiles_lie_on_them():
    rng = np.random.default_rng(0)
    grid = np.array([[1.0] * 5, [-INF, 0.0, 0.0, 0.0, INF], [-INF] * 5])
    draws = grid_sample(grid, LEVELS, 4000, rng)
    assert_array_equal(draws[0], 1.0)
    assert set(draws[1]) == {-INF, 0.0, INF}
    assert_allclose((draws[1] == -INF).mean(), 0.25, atol=4 * 0.5 / np.sqrt(4000))
    assert_array_equal(draws[2], -INF)
