from __future__ import annotations

import numpy as np
import pytest

from statlearn.merging._state._powers_of_two import in_units, unit_of


@pytest.mark.parametrize("size", [2.0**-1060, 1e-200, 1e160, 1e308])
def test_numbers_whose_products_are_no_doubles_get_a_unit_near_the_largest(size):
    power = unit_of([np.array([0.0, size]), np.array([-size / 4])])
    assert 0.5 <= in_units(size, power) < 1.0
    assert np.ldexp(in_units(size, power), power) == size


@pytest.mark.parametrize("arrays", [[], [np.zeros(0)], [np.zeros(2)], [np.ones(3)]])
def test_usual_numbers_zeros_and_nothing_stay_as_they_are(arrays):
    assert unit_of(arrays) == 0
    for array in arrays:
        assert in_units(array, 0) is array
