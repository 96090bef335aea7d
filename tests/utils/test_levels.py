"""Quantile levels: refused when they mislead, found again, and turned into ranks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from statlearn.utils._levels import find_level, rank_above, read_levels


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([0.5, 0.1], r"Got \[0.5, 0.1\]; pass sorted"),
        ([0.1, 0.5, 0.5], "Got 0.5 twice"),
        ([0.3, 0.1 + 0.2], "Got 0.3 twice"),
        ([0.0, 0.5], "Got 0; leave it out"),
        ([5, 50, 95], "Got 5; .* divide percentages by 100"),
        ([0.5, np.nan], "pass a list such as"),
        ([[0.1, 0.9]], "pass a list such as"),
        ([], "pass a list such as"),
        (0.5, "pass a list such as"),
        ("median", "Got 'median'; pass a list"),
        (None, "Got None; pass a list"),
    ],
)
def test_levels_that_mislead_are_refused(levels, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_levels(levels, "Forecast")
    assert "The 'levels' of Forecast must be" in str(caught.value)


def test_long_lists_are_cut_short_in_the_message():
    with pytest.raises(ValueError, match=r"0.4, \.\.\.\]; pass sorted"):
        read_levels(np.arange(9, 0, -1) / 10, "Forecast")


def test_levels_keep_their_digits():
    np.testing.assert_array_equal(read_levels((0.05, 0.5), "Forecast"), [0.05, 0.5])


def test_a_level_is_found_in_spite_of_rounding():
    levels = np.arange(1, 100) * 0.01
    assert [find_level(levels, k / 100) for k in (1, 29, 55, 99)] == [0, 28, 54, 98]
    assert find_level(levels, 0.295) is None


def test_rounding_moves_no_rank():
    assert 0.55 * 100 > 55
    assert rank_above(0.55 * 100) == 55
    assert rank_above(8.01) == 9
    assert rank_above(math.nextafter(9, 10)) == 9
