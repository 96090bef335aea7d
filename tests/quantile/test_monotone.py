"""Maps that put quantiles in order: known answers, laws, infinite values, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import isotonic_regression

from statlearn.metrics import pinball_loss
from statlearn.quantile import isotonic_quantiles, minmax_quantiles, sort_quantiles
from statlearn.quantile._monotone import monotone_rows

INF = np.inf
LEVELS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
MAPS = [sort_quantiles, isotonic_quantiles, minmax_quantiles]
NAMES = ["sort", "isotonic", "minmax"]
GRID = np.array(
    [
        [-1.0, -0.4, 0.1, 0.7, 1.5],
        [0.0, 0.5, 0.3, 1.2, 1.0],
        [2.0, 2.2, 2.1, 2.9, 2.4],
        [-0.5, -0.6, 0.0, 0.4, 0.35],
    ]
)

rows = st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=5).map(np.array)
targets = st.floats(-2e3, 2e3)


def loss(row, y):
    return pinball_loss([y], row[None], LEVELS)


# -- known answers ----------------------------------------------------------------


def test_pools_of_adjacent_violators_known():
    expected = [
        [-1.0, -0.4, 0.1, 0.7, 1.5],
        [0.0, 0.4, 0.4, 1.1, 1.1],
        [2.0, 2.15, 2.15, 2.65, 2.65],
        [-0.55, -0.55, 0.0, 0.375, 0.375],
    ]
    assert_allclose(isotonic_quantiles(GRID), expected, rtol=1e-14)


def test_running_extremes_from_the_middle_known():
    expected = [
        [-1.0, -0.4, 0.1, 0.7, 1.5],
        [0.0, 0.3, 0.3, 1.2, 1.2],
        [2.0, 2.1, 2.1, 2.9, 2.9],
        [-0.6, -0.6, 0.0, 0.4, 0.4],
    ]
    assert_array_equal(minmax_quantiles(GRID), expected)


def test_a_longer_row_known():
    row = [1.0, 3.0, 2.0, 2.5, 5.0, 4.0, 0.5]
    assert_array_equal(minmax_quantiles(row), [1, 2, 2, 2.5, 5, 5, 5])
    third = 19.0 / 6.0
    assert_allclose(isotonic_quantiles(row), [1, 2.5, 2.5, 2.5, third, third, third])


def test_sorting_lowers_the_loss_by_a_known_amount_whatever_the_target():
    row = GRID[2]
    for y in (-4.0, 2.15, 2.7, 9.0):
        drop = len(LEVELS) * (loss(row, y) - loss(sort_quantiles(row), y))
        assert_allclose(drop, 0.1, atol=1e-12)


# -- laws -----------------------------------------------------------------------


@given(rows, targets)
def test_the_drop_by_sorting_does_not_depend_on_the_target(row, y):
    ordered = sort_quantiles(row)
    drop = len(LEVELS) * (loss(row, y) - loss(ordered, y))
    assert_allclose(drop, LEVELS @ (ordered - row), atol=1e-9)


@given(rows, targets)
def test_sorting_and_projecting_never_worsen_the_loss(row, y):
    for mapping in (sort_quantiles, isotonic_quantiles):
        assert loss(mapping(row), y) <= loss(row, y) + 1e-9


def test_running_extremes_can_worsen_the_loss():
    row = np.array([0.0, 1.0, 5.0, 2.0, 3.0])
    assert loss(minmax_quantiles(row), 2.0) > loss(row, 2.0)


@pytest.mark.parametrize("q", [2, 5, 40, 41, 60], ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
@pytest.mark.parametrize("noise", [0.1, 3.0], ids=["mild", "wild"])
def test_projection_is_that_of_scipy_row_by_row(q, weighted, noise):
    rng = np.random.default_rng(q)
    grid = np.linspace(-2.0, 2.0, q) + noise * rng.normal(size=(300, q))
    grid *= 10.0 ** rng.integers(-6, 7, size=(300, 1))
    weight = rng.uniform(0.1, 3.0, size=q) if weighted else None
    expected = [isotonic_regression(row, weights=weight).x for row in grid]
    found = isotonic_quantiles(grid, level_weight=weight)
    scale = np.abs(grid).max(axis=1, keepdims=True)
    assert_allclose(found / scale, expected / scale, atol=1e-12)
    assert (np.diff(found) >= 0.0).all()


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=40))
def test_projection_of_rows_with_ties_is_that_of_scipy(row):
    expected = isotonic_regression(np.array(row, dtype=float)).x
    assert_allclose(isotonic_quantiles([row, row[::-1]])[0], expected, atol=1e-12)


def test_more_rows_than_a_block_are_each_mapped_alone():
    grid = np.random.default_rng(0).normal(size=(9001, 3))
    whole = isotonic_quantiles(grid)
    for row in (0, 2047, 2048, 9000):
        assert_array_equal(whole[row], isotonic_quantiles(grid[row]))


@pytest.mark.parametrize("mapping", MAPS, ids=NAMES)
@pytest.mark.parametrize("q", [5, 50], ids=str)
def test_each_map_keeps_rows_in_order_shape_and_precision(mapping, q):
    ordered = np.sort(np.random.default_rng(0).normal(size=(2, 3, q)), axis=-1)
    assert_array_equal(mapping(ordered), ordered)
    single = ordered[..., ::-1].astype(np.float32)
    before = single.copy()
    found = mapping(single)
    assert found.dtype == np.float32
    assert found.shape == single.shape
    assert (np.diff(found) >= 0.0).all()
    assert_array_equal(single, before)
    assert_array_equal(mapping(found), found)


@pytest.mark.parametrize("mapping", MAPS, ids=NAMES)
@given(row=rows, shift=st.integers(-8, 8), scale=st.sampled_from([0.25, 2.0, 4.0]))
def test_each_map_moves_with_units(mapping, row, shift, scale):
    moved = mapping(row * scale + shift)
    assert_allclose(moved, mapping(row) * scale + shift, atol=1e-9)


@pytest.mark.parametrize("mapping", MAPS, ids=NAMES)
def test_one_level_and_no_rows_stay_as_they_are(mapping):
    assert_array_equal(mapping([[2.0], [1.0]]), [[2.0], [1.0]])
    assert mapping(np.empty((0, 4))).shape == (0, 4)


# -- infinite quantiles -----------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([-INF, 2.0, 1.0, 3.0, INF], [-INF, 1.5, 1.5, 3.0, INF]),
        ([1.0, INF, 2.0, 0.0], [1.0, INF, INF, INF]),
        ([3.0, -INF, 2.0, 1.0], [-INF, -INF, 1.5, 1.5]),
        ([INF, 1.0], [INF, INF]),
        ([5.0, -INF, 0.0, INF, 1.0], [-INF, -INF, 0.0, INF, INF]),
        ([2.0, 1.0, INF, INF], [1.5, 1.5, INF, INF]),
    ],
    ids=["ends", "plus inside", "minus inside", "all plus", "both", "two plus"],
)
@pytest.mark.parametrize("padding", [0, 50], ids=["few", "many"])
def test_projection_of_infinite_quantiles_is_the_limit_of_large_ones(
    row, expected, padding
):
    row, expected = np.array(row), np.array(expected)
    huge = np.where(np.isinf(row), np.sign(row) * 1e9, row)
    limit = isotonic_regression(huge).x
    limit[np.abs(limit) > 1e7] *= INF
    assert_allclose(limit, expected)
    more = np.full(padding, INF)
    found = isotonic_quantiles(np.concatenate([row, more]))
    assert_allclose(found, np.concatenate([expected, more]))


def test_infinite_quantiles_of_opposite_order_have_no_projection():
    with pytest.raises(ValueError, match=r"\+inf before -inf .* 1 rows"):
        isotonic_quantiles([[INF, 0.0, -INF], [0.0, 1.0, INF]])


def test_sorting_and_running_extremes_of_infinite_quantiles():
    row = [0.0, INF, 1.0, -INF, 2.0]
    assert_array_equal(sort_quantiles(row), [-INF, 0.0, 1.0, 2.0, INF])
    assert_array_equal(minmax_quantiles(row), [0.0, 1.0, 1.0, 1.0, 2.0])


# -- names and bad input ----------------------------------------------------------


def test_names_stand_for_maps():
    for name, mapping in zip(NAMES, MAPS, strict=True):
        assert_array_equal(monotone_rows(GRID, name), mapping(GRID))
    assert monotone_rows(GRID, None) is GRID
    with pytest.raises(ValueError, match=r"'monotone'.* one of .* Got 'pava'"):
        monotone_rows(GRID, "pava")


@pytest.mark.parametrize("mapping", MAPS, ids=NAMES)
def test_missing_quantiles_are_refused(mapping):
    with pytest.raises(ValueError, match=f"{mapping.__name__} must hold no NaN"):
        mapping([[0.0, np.nan]])


@pytest.mark.parametrize(
    "weight",
    [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, INF], "ab"],
    ids=["short", "zero", "negative", "infinite", "word"],
)
def test_bad_level_weights_are_refused(weight):
    with pytest.raises(ValueError, match="'level_weight' of isotonic_quantiles"):
        isotonic_quantiles([[1.0, 0.0]], level_weight=weight)
