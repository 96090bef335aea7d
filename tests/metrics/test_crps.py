"""The CRPS of quantiles is an integral, taken exactly."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.stats import norm

from statlearn.metrics import crps_from_quantiles

LEVELS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
rows = st.lists(st.floats(-10.0, 10.0), min_size=5, max_size=5)


@pytest.mark.parametrize("y", [-1.0, 0.0, 0.3, 0.55, 1.0, 2.5])
def test_uniform_distribution_known(y):
    levels = np.concatenate([[1e-7], np.linspace(0.05, 0.95, 7), [1.0 - 1e-7]])
    inside = min(max(y, 0.0), 1.0)
    expected = inside**2 - inside + 1.0 / 3.0 + abs(y - inside)
    assert_allclose(crps_from_quantiles([y], [levels], levels), expected, atol=1e-6)


@given(rows, st.floats(-12.0, 12.0))
def test_integral_of_the_pinball_loss_is_that_of_quadrature(row, y):
    row = np.sort(row)

    def loss(level):
        error = y - np.interp(level, LEVELS, row)
        return max(level * error, (level - 1.0) * error)

    corners = np.interp(y, row, LEVELS) if row[0] < y < row[-1] else 0.5
    points = np.unique([0.0, 1.0, corners, *LEVELS])
    parts = [quad(loss, a, b, epsabs=1e-12)[0] for a, b in pairwise(points)]
    found = crps_from_quantiles([y], [row], LEVELS)
    assert_allclose(found, 2.0 * sum(parts), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("y", [-2.0, 0.0, 0.7, 3.0])
def test_normal_distribution_known_with_many_levels(y):
    """Closed form; what lies beyond the outer levels is of their order of 1e-4."""
    levels = np.arange(1, 10_000) / 10_000
    expected = y * (2.0 * norm.cdf(y) - 1.0) + 2.0 * norm.pdf(y) - 1.0 / np.sqrt(np.pi)
    found = crps_from_quantiles([y], [norm.ppf(levels)], levels)
    assert_allclose(found, expected, atol=1e-4)


def test_one_sure_value_is_scored_by_its_distance():
    grid = np.full((3, 5), 2.0)
    y = [2.0, 5.0, -1.0]
    found = crps_from_quantiles(y, grid, LEVELS, average=False)
    assert_allclose(found, [0.0, 3.0, 3.0], atol=1e-15)
    found = crps_from_quantiles(y, grid[:, :1], [0.3], average=False)
    assert_allclose(found, [0.0, 3.0, 3.0], atol=1e-15)


def test_rows_are_scored_each_on_its_own():
    rng = np.random.default_rng(0)
    grid, y = np.sort(rng.normal(size=(15_000, 5))), rng.normal(size=15_000)
    scores = crps_from_quantiles(y, grid, LEVELS, average=False)
    for row in (0, 6552, 6553, 14_999):
        alone = crps_from_quantiles(y[[row]], grid[[row]], LEVELS)
        assert_allclose(scores[row], alone, rtol=1e-12)
    assert_allclose(crps_from_quantiles(y, grid, LEVELS), scores.mean())


def test_an_infinite_quantile_has_an_infinite_score():
    grid = np.array([[-np.inf, 0.0, 1.0, 2.0, np.inf], [0.0, 1.0, 2.0, 3.0, 4.0]])
    scores = crps_from_quantiles([0.5, 0.5], grid, LEVELS, average=False)
    assert_array_equal(np.isinf(scores), [True, False])
    assert crps_from_quantiles([0.5, 0.5], grid, LEVELS) == np.inf


@pytest.mark.parametrize("size", [1e-170, 1e200, 1e300], ids=str)
def test_unit_of_the_target_is_that_of_the_score(size):
    grid = np.array([[-0.5, 0.2, 0.7, 1.1, 3.0]])
    score = crps_from_quantiles([0.3], grid, LEVELS)
    scaled = crps_from_quantiles([0.3 * size], grid * size, LEVELS)
    assert_allclose(scaled / size, score, rtol=1e-12)
