"""Shares of targets below quantiles, and quantiles in the wrong order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from statlearn.metrics import crossing_rate, level_calibration_error
from statlearn.quantile import sort_quantiles

INF = np.inf
LEVELS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
GRID = np.array(
    [
        [-1.0, -0.4, 0.1, 0.7, 1.5],
        [0.0, 0.5, 0.3, 1.2, 1.0],
        [2.0, 2.2, 2.1, 2.9, 2.4],
        [-0.5, -0.6, 0.0, 0.4, 0.35],
    ]
)
Y = np.array([0.2, 1.4, 1.0, -0.7])


def test_calibration_errors_known():
    raw = level_calibration_error(Y, GRID, LEVELS, multioutput="raw_values")
    assert_allclose(raw + LEVELS, [0.5, 0.5, 0.5, 0.75, 0.75])
    assert_allclose(level_calibration_error(Y, GRID, LEVELS), 0.16)
    assert_allclose(np.sqrt(np.mean(raw**2)), 0.2213594, atol=5e-8)


def test_empirical_quantiles_are_calibrated():
    y = np.random.default_rng(0).permutation(np.arange(100.0))
    grid = np.tile(np.quantile(y, LEVELS, method="inverted_cdf"), (100, 1))
    assert_allclose(level_calibration_error(y, grid, LEVELS), 0.0, atol=1e-12)


def test_infinite_quantiles_lie_below_or_above_everything():
    grid = np.tile([-INF, 0.0, INF], (4, 1))
    raw = level_calibration_error(Y, grid, [0.25, 0.5, 0.75], multioutput="raw_values")
    assert_allclose(raw, [-0.25, -0.25, 0.25])


def test_crossings_known():
    assert_array_equal(crossing_rate(GRID, average=False), [0.0, 0.5, 0.5, 0.5])
    assert crossing_rate(GRID) == 0.375
    assert_allclose(crossing_rate(GRID, sample_weight=[3.0, 1.0, 0.0, 0.0]), 0.125)


def test_equal_and_infinite_quantiles_do_not_cross():
    assert crossing_rate([[1.0, 1.0, 1.0], [-INF, -INF, INF]]) == 0.0
    assert crossing_rate([[INF, -INF]]) == 1.0


def test_one_level_cannot_cross():
    assert crossing_rate([[1.0], [0.0]]) == 0.0


@given(st.lists(st.floats(-9, 9), min_size=2, max_size=8, unique=True))
def test_sorted_rows_never_cross_and_falling_ones_always_do(row):
    ordered = sort_quantiles([row])
    assert crossing_rate(ordered) == 0.0
    assert crossing_rate(ordered[:, ::-1]) == 1.0


def test_missing_quantiles_are_refused():
    with pytest.raises(ValueError, match="'y_pred' of crossing_rate must hold no NaN"):
        crossing_rate([[0.0, np.nan]])
    with pytest.raises(ValueError, match="'sample_weight' parameter of crossing_rate"):
        crossing_rate(GRID, sample_weight=[1.0])
