"""Election of signs and the mean that agrees."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from statlearn.merging._rules._signs import combine, disjoint_mean, elect

NUMBERS = st.integers(-4, 4).map(float)


def test_sum_of_zero_elects_what_the_caller_says():
    updates = np.array([[1.0, -2.0, 3.0], [-1.0, 1.0, 0.0]])
    assert_array_equal(elect(updates), [1.0, -1.0, 1.0])
    assert_array_equal(elect(updates, -1.0), [-1.0, -1.0, 1.0])


def test_updates_of_zero_agree_with_no_sign():
    updates = np.array([[4.0], [0.0]])
    merged = disjoint_mean(updates, np.ones(1), np.ones(2), np.ones(2))
    assert_array_equal(merged, [4.0])


def test_negative_weight_turns_an_update_around():
    updates = np.array([[2.0, -3.0]])
    merged = combine(updates, np.array([-5.0]), consensus=True)
    assert_array_equal(merged, [-2.0, 3.0])


def test_weights_of_opposite_sign_do_not_cancel_in_the_divisor():
    # Both weighted updates are positive: 1 * 2 and -1 * -4.
    updates = np.array([[2.0], [-4.0]])
    merged = combine(updates, np.array([1.0, -1.0]), consensus=True)
    assert_array_equal(merged, [3.0])


@given(arrays(np.float64, (3, 5), elements=NUMBERS))
def test_mean_that_agrees_is_that_of_a_plain_loop(updates):
    weights = np.array([0.5, 1.0, 2.0])
    expected = np.zeros(5)
    for i, column in enumerate((weights[:, None] * updates).T):
        sign = 1.0 if column.sum() >= 0.0 else -1.0
        agree = column * sign > 0.0
        if agree.any():
            expected[i] = column[agree].sum() / weights[agree].sum()
    merged = combine(updates.copy(), weights, consensus=True)
    assert_allclose(merged, expected, rtol=1e-14)


@given(arrays(np.float64, (3, 4), elements=NUMBERS))
def test_mean_lies_between_zero_and_the_largest_update(updates):
    merged = combine(updates.copy(), np.ones(3), consensus=True)
    assert (np.abs(merged) <= np.abs(updates).max(axis=0)).all()
