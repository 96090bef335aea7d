"""Losses of quantiles: known answers, laws, infinite quantiles, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import mean_pinball_loss

from statlearn.metrics import (
    crps_from_quantiles,
    interval_score,
    level_calibration_error,
    pinball_loss,
    relative_wis,
    weighted_interval_score,
)

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
OF_GRIDS = {
    "pinball_loss": pinball_loss,
    "weighted_interval_score": weighted_interval_score,
    "crps_from_quantiles": crps_from_quantiles,
    "level_calibration_error": level_calibration_error,
}

rows = st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=5)
grids = st.lists(rows, min_size=1, max_size=4).map(np.array)


# -- known answers ----------------------------------------------------------------


def test_pinball_losses_known():
    raw = pinball_loss(Y, GRID, LEVELS, multioutput="raw_values")
    assert_allclose(raw, [0.335, 0.3375, 0.375, 0.25625, 0.18375], rtol=1e-14)
    assert_allclose(pinball_loss(Y, GRID, LEVELS), 0.2975, rtol=1e-14)


def test_weighted_interval_scores_known_in_both_scales():
    scores = weighted_interval_score(Y, GRID, LEVELS, scale="sum", average=False)
    assert_allclose(scores, [1.15, 2.85, 5.93, 1.97])
    total = weighted_interval_score(Y, GRID, LEVELS, scale="sum")
    assert_allclose(total, np.mean([1.15, 2.85, 5.93, 1.97]))
    assert_allclose(weighted_interval_score(Y, GRID, LEVELS), 2 * 0.2975)


def test_weighted_interval_score_is_made_of_interval_scores():
    """The definition with K intervals and the median, K + 1/2 below."""
    outer = interval_score(Y, GRID[:, [0, 4]], 0.8, average=False)
    inner = interval_score(Y, GRID[:, [1, 3]], 0.5, average=False)
    middle = np.abs(Y - GRID[:, 2])
    expected = (0.1 * outer + 0.25 * inner + 0.5 * middle) / 2.5
    found = weighted_interval_score(Y, GRID, LEVELS, average=False)
    assert_allclose(found, expected)


def test_relative_score_is_a_ratio_whatever_the_scale():
    reference = np.tile(np.quantile(Y, LEVELS), (4, 1))
    expected = weighted_interval_score(Y, GRID, LEVELS, scale="sum")
    expected /= weighted_interval_score(Y, reference, LEVELS, scale="sum")
    assert_allclose(relative_wis(Y, GRID, reference, LEVELS), expected)
    assert relative_wis(Y, GRID, GRID, LEVELS) == 1.0


# -- laws -----------------------------------------------------------------------


@given(grids, st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4))
def test_pinball_loss_is_that_of_scikit_learn_level_by_level(grid, y):
    y = np.array(y)[: len(grid)]
    weight = 1.0 + np.arange(len(grid))
    expected = [
        mean_pinball_loss(y, grid[:, k], alpha=level, sample_weight=weight)
        for k, level in enumerate(LEVELS)
    ]
    raw = pinball_loss(y, grid, LEVELS, sample_weight=weight, multioutput="raw_values")
    assert_allclose(raw, expected, rtol=1e-9, atol=1e-9)


def test_more_rows_than_a_block_are_all_counted():
    rng = np.random.default_rng(0)
    grid, y = rng.normal(size=(20_000, 5)), rng.normal(size=20_000)
    expected = [mean_pinball_loss(y, grid[:, k], alpha=v) for k, v in enumerate(LEVELS)]
    raw = pinball_loss(y, grid, LEVELS, multioutput="raw_values")
    assert_allclose(raw, expected)
    assert_allclose(weighted_interval_score(y, grid, LEVELS), 2 * np.mean(expected))
    scores = weighted_interval_score(y, grid, LEVELS, average=False)
    assert_allclose(scores.mean(), 2 * np.mean(expected))


@pytest.mark.parametrize("name", OF_GRIDS)
def test_whole_weights_are_repeated_rows_and_zero_leaves_out(name):
    metric, weight = OF_GRIDS[name], np.array([2, 0, 1, 3])
    repeated = metric(np.repeat(Y, weight), np.repeat(GRID, weight, axis=0), LEVELS)
    assert_allclose(metric(Y, GRID, LEVELS, sample_weight=weight), repeated)


@pytest.mark.parametrize("name", OF_GRIDS)
def test_a_row_of_weight_zero_may_be_infinite(name):
    grid, metric = GRID.copy(), OF_GRIDS[name]
    grid[1] = INF
    found = metric(Y, grid, LEVELS, sample_weight=[1.0, 0.0, 1.0, 1.0])
    assert_allclose(found, metric(Y[[0, 2, 3]], GRID[[0, 2, 3]], LEVELS))


def test_level_weights_are_those_of_the_mean_over_levels():
    weight = np.array([1.0, 0.0, 2.0, 0.0, 5.0])
    raw = pinball_loss(Y, GRID, LEVELS, multioutput="raw_values")
    found = pinball_loss(Y, GRID, LEVELS, level_weight=weight)
    assert_allclose(found, np.average(raw, weights=weight))
    grid = GRID.copy()
    grid[:, 1] = -INF
    assert_allclose(pinball_loss(Y, grid, LEVELS, level_weight=weight), found)


@pytest.mark.parametrize("name", OF_GRIDS)
def test_a_column_of_targets_does_not_become_a_square(name):
    metric = OF_GRIDS[name]
    expected = metric(Y, GRID, LEVELS)
    assert metric(Y[:, None], GRID, LEVELS) == expected
    assert metric(pd.DataFrame({"y": Y}), pd.DataFrame(GRID), LEVELS) == expected


@pytest.mark.parametrize("name", OF_GRIDS)
def test_inputs_are_not_changed_and_single_precision_serves(name):
    single, before = GRID.astype(np.float32), GRID.copy()
    found = OF_GRIDS[name](Y, single, LEVELS)
    assert_allclose(found, OF_GRIDS[name](Y, GRID, LEVELS), rtol=1e-5)
    assert_array_equal(GRID, before)


# -- infinite quantiles -----------------------------------------------------------


@pytest.mark.parametrize(
    "metric",
    [pinball_loss, weighted_interval_score],
    ids=["pinball", "wis"],
)
def test_an_infinite_quantile_has_an_infinite_loss(metric):
    grid = GRID.copy()
    grid[0, 0], grid[0, 4] = -INF, INF
    assert metric(Y, grid, LEVELS) == INF
    raw = pinball_loss(Y, grid, LEVELS, multioutput="raw_values")
    assert_array_equal(np.isinf(raw), [True, False, False, False, True])
    scores = weighted_interval_score(Y, grid, LEVELS, average=False)
    assert_array_equal(np.isinf(scores), [True, False, False, False])


# -- bad input ------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_GRIDS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_true": Y[:3]}, "'y_true' of .* each of 4 rows. Got 3"),
        ({"y_true": np.tile(Y, (4, 1))}, "'y_true' of .* each of 4 rows"),
        ({"y_true": [0.0, 1.0, np.nan, 2.0]}, "'y_true' of .* finite"),
        ({"y_true": list("abcd")}, "'y_true' of .* finite number"),
        ({"y_pred": GRID[:, :4]}, "'y_pred' of .* each of 5 levels"),
        ({"y_pred": GRID[0]}, r"'y_pred' of .* shape \(n, q\)"),
        ({"y_pred": np.where(GRID > 2.0, np.nan, GRID)}, "'y_pred' of .* no NaN"),
        ({"levels": LEVELS[::-1]}, "'levels' of .* sorted"),
        ({"levels": LEVELS * 100}, r"'levels' of .* \(0, 1\)"),
        ({"sample_weight": [1.0, 1.0]}, "'sample_weight' parameter of"),
        ({"sample_weight": [1.0, -1.0, 1.0, 1.0]}, "'sample_weight' parameter of"),
    ],
    ids=[
        "short y",
        "wide y",
        "missing y",
        "words",
        "few columns",
        "one row",
        "missing quantiles",
        "order",
        "percent",
        "short weights",
        "negative weights",
    ],
)
def test_bad_input_is_refused_by_name(name, change, message):
    given_ = {"y_true": Y, "y_pred": GRID, "levels": LEVELS} | change
    with pytest.raises(ValueError, match=message) as caught:
        OF_GRIDS[name](**given_)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "weight",
    [[1.0], [0.0] * 5, [1.0, 1.0, 1.0, 1.0, -1.0], [1.0, 1.0, 1.0, 1.0, np.nan]],
    ids=["short", "zero", "negative", "missing"],
)
def test_bad_level_weights_are_refused(weight):
    with pytest.raises(ValueError, match="'level_weight' of pinball_loss"):
        pinball_loss(Y, GRID, LEVELS, level_weight=weight)


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="'scale' of weighted_interval_score"):
        weighted_interval_score(Y, GRID, LEVELS, scale="paper")
    for metric in (pinball_loss, level_calibration_error):
        for value, error in (("median", ValueError), ([0.2] * 5, TypeError)):
            with pytest.raises(error, match=f"'multioutput' of {metric.__name__}"):
                metric(Y, GRID, LEVELS, multioutput=value)


@pytest.mark.parametrize("fill", [0.0, INF], ids=["perfect", "infinite"])
def test_a_reference_without_a_score_is_refused(fill):
    with pytest.raises(ValueError, match="'y_pred_reference' of relative_wis"):
        relative_wis(np.zeros(4), GRID, np.full((4, 5), fill), LEVELS)
