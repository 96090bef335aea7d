from __future__ import annotations

import numpy as np
import pytest

from statlearn.merging._state._entry import BLOCK, Entry, in_unit


def test_updates_are_differences_taken_in_double_precision():
    base = np.full(3, 16777216.0, dtype=np.float32)  # 2**24: float32 has no 2**24 + 1
    model = np.full(3, 16777217.0)
    entry = Entry("w", base, (model,))
    np.testing.assert_array_equal(entry.updates(), np.ones((1, 3)))


def test_blocks_cover_each_number_once():
    entry = Entry("w", np.zeros((3, BLOCK)), ())
    covered = np.zeros(entry.size, dtype=int)
    for block in entry.blocks():
        covered[block] += 1
    np.testing.assert_array_equal(covered, 1)


@pytest.mark.parametrize("unit", [2.0**-1060, 1e-200, 1e-80, 1e80, 1e160, 1e308])
def test_extreme_numbers_get_a_unit_that_is_undone_to_the_bit(unit):
    base, model = np.array([1.0, -0.25, 0.0]), np.array([0.5, 0.75, -0.125])
    found, power = in_unit(Entry("w", unit * base, (unit * model,)))
    assert 0.5 <= np.abs(found.base).max() < 1.0
    np.testing.assert_array_equal(np.ldexp(found.base, power), unit * base)
    np.testing.assert_array_equal(np.ldexp(found.models[0], power), unit * model)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_usual_numbers_and_those_of_few_digits_keep_their_unit(dtype):
    largest = min(1e50, float(np.finfo(dtype).max))
    entry = Entry("w", np.array([largest, 1.0], dtype), (np.ones(2, dtype),))
    assert in_unit(entry) == (entry, 0)


@pytest.mark.parametrize("size", [0, 3])
def test_zeros_and_nothing_have_any_unit(size):
    found, power = in_unit(Entry("w", np.zeros(size), (np.zeros(size),)))
    assert power == 0
    np.testing.assert_array_equal(found.base, np.zeros(size))
