"""Grids, targets and coverages are read, or refused by their name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from statlearn.utils._grids import read_column, read_grid, read_rows

GRID = np.arange(6.0).reshape(2, 3)
LEVELS = np.array([0.1, 0.5, 0.9])


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["single", "double"])
def test_floating_arrays_are_returned_as_they_are(dtype):
    grid = GRID.astype(dtype)
    assert read_grid(grid, "f") is grid
    assert read_rows(grid, "f", LEVELS) is grid


@pytest.mark.parametrize(
    "grid",
    [GRID.tolist(), GRID.astype(int), GRID.astype(object), pd.DataFrame(GRID)],
    ids=["list", "integers", "objects", "frame"],
)
def test_other_numbers_become_double(grid):
    found = read_rows(grid, "f", LEVELS)
    assert found.dtype == np.float64
    assert_array_equal(found, GRID)


def test_any_leading_shape_and_infinite_values_are_read():
    grid = np.full((2, 1, 4, 3), -np.inf)
    assert read_grid(grid, "f", LEVELS) is grid
    assert read_grid([1.0, 2.0], "f").shape == (2,)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (3.0, r"along its last axis. Got shape \(\)"),
        (np.empty((4, 0)), "along its last axis"),
        (GRID[:, :2], r"each of 3 levels.* Got shape \(2, 2\)"),
        ([["a", "b", "c"]], "hold numbers. Got dtype <U1"),
        (np.where(GRID % 3 == 2, np.nan, GRID), "no NaN. Got 2 of 6"),
    ],
    ids=["scalar", "empty", "count", "words", "missing"],
)
def test_what_is_no_grid_is_refused(grid, message):
    with pytest.raises(ValueError, match=f"'grid' of f must.*{message}"):
        read_grid(grid, "f", LEVELS)


def test_rows_have_two_axes():
    with pytest.raises(ValueError, match=r"'Q' of f must have shape \(n, q\)"):
        read_rows(GRID[0], "f", LEVELS, name="Q")


@pytest.mark.parametrize(
    "values",
    [[1.0, 2.0], [[1], [2]], pd.Series([1.0, 2.0], index=[7, 3])],
    ids=["list", "column", "series"],
)
def test_a_column_is_read_as_numbers_by_position(values):
    assert_array_equal(read_column(values, 2, "f"), [1.0, 2.0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, 2.0, 3.0], "each of 2 rows. Got 3"),
        ([[1.0, 2.0]], "each of 2 rows. Got values refused with"),
        ([1.0, np.inf], "finite number for each of 2 rows"),
        (["a", "b"], "finite number for each of 2 rows"),
        (1.0, "finite number for each of 2 rows"),
    ],
    ids=["long", "wide", "infinite", "words", "scalar"],
)
def test_what_is_no_column_is_refused(values, message):
    with pytest.raises(ValueError, match=f"'y_true' of f must hold one.*{message}"):
        read_column(values, 2, "f")
