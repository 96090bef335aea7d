"""Forgetting and transfer on tables of results of tasks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from statlearn.metrics import backward_transfer, forgetting, forward_transfer

ACCURACY = np.array(
    [
        [0.9, 0.2, 0.1, 0.3],
        [0.7, 0.8, 0.2, 0.4],
        [0.8, 0.5, 0.9, 0.5],
        [0.6, 0.6, 0.4, 0.7],
    ]
)
TABLES = st.integers(2, 6).flatmap(
    lambda n: arrays(float, (n, n), elements=st.floats(-10, 10, width=32))
)


def test_known_tables_have_the_numbers_found_by_hand():
    # best before the end: .9 .8 .9; after the last task: .6 .6 .4
    assert_allclose(forgetting(ACCURACY, average=False), [0.3, 0.2, 0.5])
    assert forgetting(ACCURACY) == pytest.approx(1.0 / 3.0)
    # own: .9 .8 .9
    assert_allclose(backward_transfer(ACCURACY, average=False), [-0.3, -0.2, -0.5])
    # before their own task: .2 .2 .5; baseline .1 .25 .25 .25
    found = forward_transfer(ACCURACY, [0.1, 0.25, 0.25, 0.25], average=False)
    assert_allclose(found, [-0.05, -0.05, 0.25])
    assert forward_transfer(ACCURACY, 0.25) == pytest.approx(0.05)


def test_forgetting_looks_at_the_best_of_all_earlier_times():
    table = [[0.5, 0.0, 0.0], [0.9, 0.5, 0.0], [0.6, 0.5, 0.5]]
    assert forgetting(table, average=False)[0] == pytest.approx(0.3)
    assert backward_transfer(table, average=False)[0] == pytest.approx(0.1)


def test_weights_are_those_of_the_tasks():
    weights = [2.0, 1.0, 0.0, 5.0]
    assert forgetting(ACCURACY, weights=weights) == pytest.approx((0.6 + 0.2) / 3)
    assert backward_transfer(ACCURACY, weights=weights) == pytest.approx(-0.8 / 3)
    found = forward_transfer(ACCURACY, 0.2, weights=weights)
    assert found == pytest.approx((0.0 * 1 + 0.3 * 5) / 6)


def test_tables_may_have_holes_above_the_diagonal():
    lower = np.where(np.tri(4, dtype=bool), ACCURACY, np.nan)
    assert forgetting(lower) == pytest.approx(forgetting(ACCURACY))
    assert backward_transfer(lower) == backward_transfer(ACCURACY)
    with pytest.raises(ValueError, match=r"in the row before its own. Got NaN"):
        forward_transfer(lower, 0.0)


@given(TABLES)
def test_losses_are_scores_of_the_other_sign(table):
    for function in (forgetting, backward_transfer):
        losses = function(-table, greater_is_better=False)
        assert losses == pytest.approx(function(table))
    losses = forward_transfer(-table, -1.0, greater_is_better=False)
    assert losses == pytest.approx(forward_transfer(table, 1.0))


@given(TABLES)
def test_forgetting_is_at_least_what_is_lost_since_each_task(table):
    lost = -backward_transfer(table, average=False)
    assert (forgetting(table, average=False) >= lost - 1e-12).all()


@given(TABLES, st.floats(-5, 5))
def test_a_constant_added_to_all_results_changes_nothing(table, constant):
    for function in (forgetting, backward_transfer):
        assert function(table + constant) == pytest.approx(function(table), abs=1e-9)


def test_results_stay_as_they_are():
    before = ACCURACY.copy()
    forgetting(ACCURACY, greater_is_better=False)
    assert_allclose(ACCURACY, before, rtol=0)


@pytest.mark.parametrize("function", [forgetting, backward_transfer])
@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([[0.5]], r"at least 2 tasks. Got shape \(1, 1\); pass a row"),
        ([[0.5, 0.5]], r"Got shape \(1, 2\)"),
        (["a", "b"], r"Got shape \(1,\)"),
        ([[0.5, np.inf], [0.5, 0.5]], "Got infinity; correct"),
        ([[0.5, 0.5], [np.nan, 0.5]], "the last row. Got NaN for 1 of 1 tasks"),
        ([[np.nan, 0.5], [0.5, 0.5]], "Got NaN for 1 of 1 tasks.*; measure them"),
    ],
)
def test_tables_without_what_is_needed_are_refused(function, results, message):
    with pytest.raises(ValueError, match=message):
        function(results)


@pytest.mark.parametrize(
    "weights", [[1.0, 1.0], [-1.0, 1, 1, 1], [0, 0, 0, 1.0], [np.nan, 1, 1, 1], "abcd"]
)
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match=r"'weights' of .* Got .*; pass None"):
        forgetting(ACCURACY, weights=weights)


@pytest.mark.parametrize("baseline", [[0.1, 0.2], np.nan, "chance", None])
def test_a_baseline_for_other_tasks_is_refused(baseline):
    with pytest.raises(ValueError, match=r"'baseline' .* 4 tasks. Got .*; pass the"):
        forward_transfer(ACCURACY, baseline)
