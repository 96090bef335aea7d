"""Scores, coverages and lengths of intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from statlearn.metrics import (
    interval_coverage,
    interval_length,
    interval_score,
    pinball_loss,
)

INF = np.inf
Y = np.array([0.2, 1.4, 1.0, -0.7])
OUTER = np.array([[-1.0, 1.5], [0.0, 1.0], [2.0, 2.4], [-0.5, 0.35]])
INNER = np.array([[-0.4, 0.7], [0.5, 1.2], [2.2, 2.9], [-0.6, 0.4]])

METRICS = {
    "interval_score": lambda y, interval, **more: interval_score(
        y, interval, 0.8, **more
    ),
    "interval_coverage": interval_coverage,
    "interval_length": lambda y, interval, **more: interval_length(interval, **more),
}
WITH_TARGETS = ["interval_score", "interval_coverage"]


def test_scores_and_coverages_known():
    assert_allclose(interval_score(Y, OUTER, 0.8), 5.1875)
    assert_allclose(interval_score(Y, INNER, 0.5), 2.375)
    assert interval_coverage(Y, OUTER) == 0.25
    assert interval_coverage(Y, INNER) == 0.25


def test_lengths_known():
    assert_allclose(interval_length(OUTER), (2.5 + 1.0 + 0.4 + 0.85) / 4)
    assert_allclose(interval_length(OUTER, average=False), [2.5, 1.0, 0.4, 0.85])


@given(
    st.tuples(*[st.floats(-100.0, 100.0)] * 3),
    st.floats(0.05, 0.95),
)
def test_score_is_the_length_and_what_is_missed(numbers, coverage):
    y, lower, upper = numbers
    miss = 1.0 - coverage
    expected = upper - lower
    expected += 2.0 / miss * (max(lower - y, 0.0) + max(y - upper, 0.0))
    found = interval_score([y], [[lower, upper]], coverage)
    assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_score_is_the_pinball_loss_of_both_ends_in_other_units():
    loss = pinball_loss(Y, OUTER, [0.1, 0.9])
    assert_allclose(interval_score(Y, OUTER, 0.8), 2.0 / 0.2 * 2.0 * loss)


def test_ends_belong_to_the_interval():
    assert interval_coverage([1.0, 2.0], [[1.0, 2.0], [1.0, 2.0]]) == 1.0


@pytest.mark.parametrize("name", METRICS)
def test_whole_weights_are_repeated_rows_and_zero_leaves_out(name):
    weight = np.array([2, 0, 1, 3])
    repeated = METRICS[name](np.repeat(Y, weight), np.repeat(OUTER, weight, axis=0))
    assert_allclose(METRICS[name](Y, OUTER, sample_weight=weight), repeated)
    ends = OUTER.copy()
    ends[1] = -INF, INF
    assert_allclose(METRICS[name](Y, ends, sample_weight=weight), repeated)


@pytest.mark.parametrize("name", WITH_TARGETS)
def test_a_column_of_targets_does_not_become_a_square(name):
    assert METRICS[name](Y[:, None], OUTER) == METRICS[name](Y, OUTER)


def test_infinite_intervals_hold_everything_at_an_infinite_price():
    ends = [[-INF, INF], [0.0, INF], [-INF, 0.0], [-1.0, 0.0]]
    assert interval_coverage(Y, ends) == 0.75
    found = interval_length(ends, average=False)
    assert_array_equal(np.isinf(found), [True, True, True, False])
    assert interval_length(ends) == INF
    found = interval_score(Y, ends, 0.8, average=False)
    assert_array_equal(np.isinf(found), [True, True, True, False])


@pytest.mark.parametrize("ends", [[INF, INF], [-INF, -INF], [INF, -INF]], ids=str)
def test_intervals_at_infinity_have_no_length(ends):
    for name in ("interval_length", "interval_coverage"):
        with pytest.raises(ValueError, match=f"'interval' of {name}.* in 1 rows"):
            METRICS[name]([0.0, 0.0], [ends, [0.0, 1.0]])
    assert interval_score([0.0], [ends], 0.8) == INF


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    ("interval", "message"),
    [
        (OUTER[:, :1], "along its last axis"),
        (OUTER[0], r"shape \(n, q\)"),
        (np.full((4, 2), np.nan), "no NaN"),
    ],
    ids=["one end", "one row", "missing"],
)
def test_bad_intervals_are_refused(name, interval, message):
    with pytest.raises(ValueError, match=f"'interval' of {name}.*{message}"):
        METRICS[name](Y, interval)


@pytest.mark.parametrize("name", WITH_TARGETS)
def test_targets_of_other_rows_are_refused(name):
    with pytest.raises(ValueError, match=f"'y_true' of {name}.*each of 4 rows. Got 3"):
        METRICS[name](Y[:3], OUTER)


@pytest.mark.parametrize("coverage", [0.0, 1.0, 80.0, np.nan], ids=str)
def test_a_coverage_that_is_no_share_is_refused(coverage):
    with pytest.raises(ValueError, match="'coverage' of interval_score"):
        interval_score(Y, OUTER, coverage)
    with pytest.raises(TypeError, match="'coverage' of interval_score"):
        interval_score(Y, OUTER, "wide")
