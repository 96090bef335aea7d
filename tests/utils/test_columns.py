"""Which columns do not vary."""

from __future__ import annotations

import numpy as np

from statlearn.utils._columns import hardly_vary


def test_columns_that_differ_by_rounding_only_are_constant():
    low = np.array([0.0, 0.1, -3.0, 1e300, 1e-300, -1.7e308])
    high = np.array([0.0, np.nextafter(0.1, 1.0), -3.0, 1e300, 1e-300, 1.7e308])
    assert hardly_vary(low, high).tolist() == [True] * 5 + [False]


def test_a_small_step_far_from_zero_is_a_difference():
    assert not hardly_vary(np.array([1.0]), np.array([1.0 + 1e-13])).any()
