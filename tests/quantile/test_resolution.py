"""Groups of levels."""

from __future__ import annotations

import numpy as np
import pytest

from statlearn.quantile._resolution import read_resolution


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [
        ("coarse", [0, 0, 0, 0, 0]),
        ("medium", [0, 1, 2, 3, 4]),
        ("fine", [0, 1, 2, 3, 4]),
        (1, [0, 0, 0, 0, 0]),
        (2, [0, 0, 0, 1, 1]),
        (5, [0, 1, 2, 3, 4]),
    ],
)
def test_each_resolution_has_its_groups(resolution, expected):
    groups = read_resolution(resolution, None, 5, "f")
    np.testing.assert_array_equal(groups, expected)


@pytest.mark.parametrize("n_groups", [2, 3, 7, 9])
def test_groups_of_a_number_are_as_equal_as_possible(n_groups):
    sizes = np.bincount(read_resolution(n_groups, None, 19, "f"))
    assert len(sizes) == n_groups
    assert sizes.max() - sizes.min() <= 1


def test_explicit_groups_count_from_zero_and_need_not_be_adjacent():
    groups = read_resolution("medium", [7, -1, 7], 3, "f")
    np.testing.assert_array_equal(groups, [1, 0, 1])


@pytest.mark.parametrize("resolution", [0, 6, 2.0, True, "rough", None])
def test_no_resolution_is_refused(resolution):
    with pytest.raises(ValueError, match=r"'resolution' of f must be one of .* Got"):
        read_resolution(resolution, None, 5, "f")


@pytest.mark.parametrize("groups", [[0, 1], [0, 0.5, 1], [0, np.nan, 1], "abc"])
def test_labels_that_are_no_groups_are_refused(groups):
    with pytest.raises(ValueError, match=r"'level_groups' of f must hold one whole"):
        read_resolution("medium", groups, 3, "f")
