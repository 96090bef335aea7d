from __future__ import annotations

import numpy as np
import pytest

from statlearn.merging._state._entry import Entry
from statlearn.merging._state._running_statistics import statistic_kernel, within_bounds


def moved(weights, lam=1.0, name="n.running_mean"):
    entry = Entry(name, np.array([10.0]), (np.array([0.1]), np.array([4.1])))
    return statistic_kernel(weights, 2, lam)(entry)


@pytest.mark.parametrize(
    ("weights", "lam", "expected"),
    [
        (None, 1.0, 2.1),
        ([1.0, 0.0], 1.0, 0.1),
        ([3.0, 1.0], 1.0, 1.1),
        ([6.0, 2.0], 0.5, 5.55),
        ([1.0, 1.0], 0.0, 10.0),
        ([1.0, 1.0], -1.0, 17.9),
        ([-1.0, 2.0], 1.0, 4.1),
        ([-1.0, 0.0], 1.0, 10.0),
        ([0.0, 0.0], 3.0, 10.0),
    ],
)
def test_statistic_moves_from_the_base_to_the_mean(weights, lam, expected):
    np.testing.assert_allclose(moved(weights, lam), expected, rtol=1e-14)


def test_ends_are_met_to_the_bit():
    assert moved([1.0, 0.0])[0] == 0.1
    assert moved([1.0, 1.0], 0.0)[0] == 10.0


def test_variance_stays_at_zero_or_above():
    assert moved(None, 5.0)[0] == pytest.approx(-29.5)
    assert moved(None, 5.0, "n.running_var")[0] == 0.0
    numbers = np.array([-1.0, 2.0])
    np.testing.assert_array_equal(within_bounds(numbers, "a.running_var"), [0.0, 2.0])
    np.testing.assert_array_equal(within_bounds(numbers, "a.weight"), numbers)
