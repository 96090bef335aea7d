"""Conformal calibration of grids and intervals given as arrays."""

from __future__ import annotations

import json
import warnings
from math import ceil, floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from statlearn.exceptions import SmallCalibrationWarning
from statlearn.quantile import _conformal_scores
from statlearn.quantile._conformal import calibrate_grid, calibrate_interval
from statlearn.quantile._conformal_scores import smallest_calibration

# Nine rows whose scores are -.4, -.3, -.2, -.1, -.1, .1, .2, .3, .6 in order.
Y = np.arange(1.0, 10.0)
LOWER = Y - np.array([0.5, -0.2, 1.0, 0.1, 0.4, 0.3, -0.1, 0.6, 0.2])
UPPER = Y + np.array([0.4, 0.6, 0.1, -0.3, 0.2, 0.5, 0.7, 0.1, -0.6])

LEVELS = np.array([0.1, 0.3, 0.5, 0.55, 0.9])


def table(n, n_new=7, n_folds=4, seed=0):
    """Grids of fold models, for calibration rows and for new ones."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    folds = np.arange(n) % n_folds
    grid = np.sort(rng.normal(size=(n, len(LEVELS))), axis=1)
    new = rng.normal(size=(n_folds, n_new, len(LEVELS)))
    return grid, y, folds, new


def kth(values, rank):
    """The value of a rank from 1 on, infinite beyond the sample."""
    if rank < 1:
        return -np.inf
    return np.sort(values)[rank - 1] if rank <= len(values) else np.inf


# -------------------------------------------------------------------- known answers
@pytest.mark.parametrize(
    ("coverage", "offset"), [(0.9, 0.6), (0.8, 0.3), (0.5, -0.1)], ids=str
)
def test_interval_moves_by_the_score_of_the_rank(coverage, offset):
    calibration = calibrate_interval(LOWER, UPPER, Y, coverage)
    assert_allclose(calibration.offsets, [-offset, offset], atol=1e-12)
    assert_allclose(
        calibration.apply([0.0, 5.0], [1.0, 5.5]),
        [[-offset, 1.0 + offset], [5.0 - offset, 5.5 + offset]],
        atol=1e-12,
    )
    assert (calibration.n_calibration, calibration.coverage) == (9, coverage)


def test_interval_is_infinite_where_the_rank_exceeds_the_sample():
    with pytest.warns(SmallCalibrationWarning, match="at least 19 calibration rows"):
        calibration = calibrate_interval(LOWER, UPPER, Y, 0.95)
    assert_array_equal(calibration.apply([1.0], [2.0]), [[-np.inf, np.inf]])


def test_level_is_infinite_where_the_rank_exceeds_the_sample():
    grid = np.column_stack([LOWER, UPPER])
    with pytest.warns(
        SmallCalibrationWarning, match=r"99 calibr.* level 0\.99\. Got 9"
    ):
        calibration = calibrate_grid(grid, Y, [0.1, 0.99])
    # The ninth of lower - y is 0.2.
    assert_allclose(calibration.offsets, [-0.2, np.inf], atol=1e-12)


def test_message_names_the_first_of_many_levels():
    levels = np.arange(1, 20) / 20
    message = r"19 .* levels 0\.05, 0\.1, 0\.15 and 9 more\. Got 2"
    with pytest.warns(SmallCalibrationWarning, match=message):
        calibrate_grid(np.zeros((2, 19)), [0.0, 1.0], levels)


def test_ends_can_move_each_by_itself():
    calibration = calibrate_interval(LOWER, UPPER, Y, 0.8, symmetric=False)
    # Ninth of lower - y and of y - upper, the rank of 0.9.
    assert_allclose(calibration.offsets, [-0.2, 0.6], atol=1e-12)


def test_median_stays_as_it_is():
    grid, y, _, _ = table(50)
    calibration = calibrate_grid(grid, y, LEVELS)
    assert calibration.offsets[2] == 0.0
    assert_array_equal(calibration.apply(grid)[:, 2], grid[:, 2])


def test_rank_of_a_level_that_rounds_up_is_not_one_too_high():
    # 0.55 * 100 is 55.00000000000001 in floating point.
    y = np.arange(99.0)
    assert calibrate_grid(np.zeros((99, 1)), y, [0.55]).offsets == [54.0]
    weighted = calibrate_grid(np.zeros((99, 1)), y, [0.55], sample_weight=np.ones(99))
    assert weighted.apply([[0.0]], weight_new=[1.0]) == [[54.0]]


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999])
@pytest.mark.parametrize("symmetric", [True, False])
def test_message_names_the_smallest_number_that_would_do(coverage, symmetric):
    # As fractions: 1 - 0.9 is less than 0.1 in floating point.
    missed = round((1.0 - coverage) * 10_000)
    n = ceil((1 if symmetric else 2) * 10_000 / missed) - 1
    if n > 1:
        values = np.arange(n - 1.0)
        with pytest.warns(SmallCalibrationWarning, match=f"at least {n} calibration"):
            calibrate_interval(values, values, values, coverage, symmetric=symmetric)
    values = np.arange(float(n))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = calibrate_interval(
            values, values, values, coverage, symmetric=symmetric
        )
    assert np.isfinite(found.offsets).all()
    assert smallest_calibration(coverage if symmetric else (1 + coverage) / 2) == n


# ------------------------------------------------------------------ against brute force
def brute_split(grid, y, level, new):
    """One level of split calibration, by its definition."""
    n = len(y)
    if level > 0.5:
        return new + kth(y - grid, ceil(level * (n + 1) - 1e-9))
    return new - kth(grid - y, ceil((1.0 - level) * (n + 1) - 1e-9))


def brute_cv_plus(grid, y, level, folds, new):
    """One level of CV+, row by row."""
    n, bounds = len(y), []
    rank = (
        ceil(level * (n + 1) - 1e-9) if level > 0.5 else floor(level * (n + 1) + 1e-9)
    )
    for row in range(new.shape[1]):
        values = [new[folds[i], row] + (y[i] - grid[i]) for i in range(n)]
        bounds.append(kth(values, rank))
    return np.array(bounds)


@pytest.mark.parametrize("n", [9, 100, 523])
def test_split_grid_is_its_definition(n):
    grid, y, _, new = table(n)
    found = calibrate_grid(grid, y, LEVELS).apply(new[0])
    for k in (0, 1, 3, 4):
        expected = brute_split(grid[:, k], y, LEVELS[k], new[0, :, k])
        assert_allclose(found[:, k], expected, atol=1e-12)


def always_search(patch):
    """Let few values be searched as many are, and not sorted."""
    patch.setattr(_conformal_scores, "_FEW_SCORES", 0)
    patch.setattr(_conformal_scores, "_FEW_VALUES", 0)


@pytest.fixture(params=["sorted", "searched"])
def either_way(request, monkeypatch):
    if request.param == "searched":
        always_search(monkeypatch)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("n", [60, 700])
def test_cv_plus_grid_is_its_definition(n):
    grid, y, folds, new = table(n)
    found = calibrate_grid(grid, y, LEVELS, method="cv+", folds=folds).apply(new)
    for k in (0, 1, 3, 4):
        expected = brute_cv_plus(grid[:, k], y, LEVELS[k], folds, new[:, :, k])
        assert_allclose(found[:, k], expected, atol=1e-12)
    assert_allclose(found[:, 2], np.median(new[:, :, 2], axis=0))


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("n", [60, 700])
def test_cv_plus_interval_is_its_definition(n, symmetric):
    grid, y, folds, new = table(n)
    lower, upper = grid[:, 0], grid[:, 4]
    calibration = calibrate_interval(
        lower, upper, y, 0.8, symmetric=symmetric, method="cv+", folds=folds
    )
    found = calibration.apply(new[:, :, 0], new[:, :, 4])
    scores = lower - y, y - upper
    missed = 0.1
    if symmetric:
        scores, missed = (np.maximum(*scores),) * 2, 0.2
    for row in range(new.shape[1]):
        below = [new[folds[i], row, 0] - scores[0][i] for i in range(n)]
        above = [new[folds[i], row, 4] + scores[1][i] for i in range(n)]
        ends = (
            kth(below, floor(missed * (n + 1) + 1e-9)),
            kth(above, ceil((1.0 - missed) * (n + 1) - 1e-9)),
        )
        assert_allclose(found[row], ends, atol=1e-12)


@pytest.mark.parametrize("symmetric", [True, False])
def test_minmax_starts_from_the_outermost_predictions(symmetric):
    grid, y, folds, new = table(90)
    lower, upper = grid[:, 0], grid[:, 4]
    split = calibrate_interval(lower, upper, y, 0.8, symmetric=symmetric)
    calibration = calibrate_interval(
        lower,
        upper,
        y,
        0.8,
        symmetric=symmetric,
        method="jackknife-minmax",
        folds=folds,
    )
    found = calibration.apply(new[:, :, 0], new[:, :, 4])
    expected = [new[:, :, 0].min(axis=0), new[:, :, 4].max(axis=0)] + split.offsets[
        :, np.newaxis
    ]
    assert_allclose(found, expected.T)


def test_minmax_grid_starts_from_the_outermost_predictions():
    grid, y, folds, new = table(90)
    split = calibrate_grid(grid, y, LEVELS)
    found = calibrate_grid(grid, y, LEVELS, method="jackknife-minmax", folds=folds)
    ends = np.where(LEVELS < 0.5, new.min(axis=0), new.max(axis=0)) + split.offsets
    ends[:, 2] = np.median(new[:, :, 2], axis=0)
    assert_allclose(found.apply(new), ends)


def test_fold_models_that_agree_give_the_split_answer():
    grid, y, folds, new = table(300)
    same = np.repeat(new[:1], 4, axis=0)
    split = calibrate_grid(grid, y, LEVELS)
    for method in ("cv+", "jackknife-minmax"):
        found = calibrate_grid(grid, y, LEVELS, method=method, folds=folds)
        assert_allclose(found.apply(same), split.apply(new[0]), atol=1e-12)
        assert_array_equal(found.offsets, split.offsets)


def test_leave_one_out_is_the_jackknife_plus():
    grid, y, _, _ = table(40)
    new = np.random.default_rng(1).normal(size=(40, 6, 5))
    folds = np.arange(40)
    found = calibrate_grid(grid, y, LEVELS, method="cv+", folds=folds).apply(new)
    expected = brute_cv_plus(grid[:, 4], y, LEVELS[4], folds, new[:, :, 4])
    assert_allclose(found[:, 4], expected, atol=1e-12)


def test_many_new_rows_are_the_same_as_few():
    # More than one block of the search.
    grid, y, folds, _ = table(700)
    new = np.random.default_rng(1).normal(size=(4, 70_000, 1))
    calibration = calibrate_grid(grid[:, :1], y, [0.9], method="cv+", folds=folds)
    found = calibration.apply(new)
    for rows in (slice(0, 3), slice(65_530, 65_540), slice(69_990, None)):
        assert_array_equal(found[rows], calibration.apply(new[:, rows]))


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(30, 160),
    n_folds=st.integers(2, 3),
    digits=st.integers(0, 2),
    spread=st.sampled_from([0.0, 1.0, 100.0]),
)
def test_search_finds_the_rank_among_ties_and_unlike_folds(
    seed, n, n_folds, digits, spread
):
    rng = np.random.default_rng(seed)
    folds = np.minimum(rng.geometric(0.6, n), n_folds) - 1
    y = rng.normal(size=n).round(digits)
    new = (spread * rng.normal(size=(n_folds, 5, 1))).round(digits)
    grid = np.zeros((n, 1))
    folds[:n_folds] = np.arange(n_folds)
    for level in (0.05, 0.37, 0.9):
        calibration = calibrate_grid(grid, y, [level], method="cv+", folds=folds)
        with pytest.MonkeyPatch.context() as patch:
            always_search(patch)
            found = calibration.apply(new)
        expected = brute_cv_plus(grid[:, 0], y, level, folds, new[:, :, 0])
        assert_allclose(found[:, 0], expected, atol=1e-10)


# -------------------------------------------------------------------------------- peers
PEERS = json.loads(
    (Path(__file__).parents[1] / "reference" / "conformal_peers.json").read_text()
)


@pytest.mark.parametrize("case", PEERS["split"], ids=lambda case: str(case["coverage"]))
@pytest.mark.parametrize("name", ["symmetric", "asymmetric"])
def test_split_intervals_are_those_of_mapie(case, name):
    calibration = calibrate_interval(
        *case["ends"], case["y"], case["coverage"], symmetric=name == "symmetric"
    )
    assert_allclose(calibration.apply(*case["ends_new"]), case[name], rtol=1e-12)


@pytest.mark.parametrize("case", PEERS["cross"], ids=lambda case: str(case["coverage"]))
@pytest.mark.parametrize(
    ("method", "name"), [("cv+", "plus"), ("jackknife-minmax", "minmax")]
)
def test_cross_fitted_intervals_are_those_of_mapie(case, method, name):
    calibration = calibrate_interval(
        *case["ends"], case["y"], case["coverage"], method=method, folds=case["folds"]
    )
    assert_allclose(calibration.apply(*case["ends_new"]), case[name], rtol=1e-12)


@pytest.mark.parametrize("grouped", [False, True], ids=["plain", "grouped"])
def test_intervals_around_a_point_are_those_of_crepes(grouped):
    case = PEERS["crepes"]
    groups, new = (case["groups"], case["groups_new"]) if grouped else (None, None)
    for record in case["intervals"]:
        calibration = calibrate_interval(
            case["median"],
            case["median"],
            case["y"],
            record["coverage"],
            groups=groups,
        )
        found = calibration.apply(case["median_new"], case["median_new"], groups=new)
        expected = record["grouped" if grouped else "plain"]
        assert_allclose(found, expected, rtol=1e-12)


def test_levels_are_the_percentiles_of_crepes():
    case = PEERS["crepes"]
    known, new = (
        np.repeat(np.array(case[name])[:, np.newaxis], 4, axis=1)
        for name in ("median", "median_new")
    )
    calibration = calibrate_grid(known, case["y"], case["levels"])
    assert_allclose(calibration.apply(new).T, case["quantiles"], rtol=1e-12)


# ------------------------------------------------------------------------------ weights
def weighted_bound(values, weight, weight_new, share):
    """Least value below which the share of all weight lies, the new row at infinity."""
    order = np.argsort(values)
    cumulated = np.cumsum(weight[order]) / (weight.sum() + weight_new)
    enough = np.flatnonzero(cumulated >= share - 1e-12)
    return values[order][enough[0]] if len(enough) else np.inf


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("method", ["split", "cv+"])
@pytest.mark.parametrize("n", [60, 300])
def test_weighted_bounds_are_their_definition(method, n):
    grid, y, folds, new = table(n)
    rng = np.random.default_rng(2)
    weight, weight_new = rng.exponential(size=n), rng.exponential(size=7)
    if method == "split":
        folds, new = np.zeros(n, int), new[:1]
    calibration = calibrate_grid(
        grid,
        y,
        LEVELS,
        method=method,
        folds=None if method == "split" else folds,
        sample_weight=weight,
    )
    given_grid = new[0] if method == "split" else new
    found = calibration.apply(given_grid, weight_new=weight_new)
    for row in range(7):
        above = new[folds, row, 4] + (y - grid[:, 4])
        below = -new[folds, row, 1] - (y - grid[:, 1])
        ends = (
            -weighted_bound(below, weight, weight_new[row], 0.7),
            weighted_bound(above, weight, weight_new[row], 0.9),
        )
        assert_allclose(found[row, [1, 4]], ends, atol=1e-12)


@pytest.mark.parametrize("method", ["split", "cv+", "jackknife-minmax"])
def test_counts_are_repeated_rows(method):
    grid, y, folds, new = table(120)
    count = np.random.default_rng(3).integers(0, 4, 120)
    again = np.repeat(np.arange(120), count)
    if method == "split":
        folds, new = None, new[0]
    one = calibrate_grid(
        grid, y, LEVELS, method=method, folds=folds, sample_weight=count
    )
    folds = None if folds is None else folds[again]
    other = calibrate_grid(grid[again], y[again], LEVELS, method=method, folds=folds)
    assert_array_equal(one.offsets, other.offsets)
    assert_allclose(
        one.apply(new, weight_new=np.ones(7)), other.apply(new), rtol=0, atol=1e-12
    )
    assert one.n_calibration == np.count_nonzero(count)


def test_scale_of_the_weights_does_not_matter():
    grid, y, _, new = table(120)
    weight = np.random.default_rng(3).exponential(size=120)
    bounds = [
        calibrate_grid(grid, y, LEVELS, sample_weight=scale * weight).apply(
            new[0], weight_new=np.full(7, scale)
        )
        for scale in (1.0, 1e-6, 1e6)
    ]
    assert_array_equal(bounds[0], bounds[1])
    assert_array_equal(bounds[0], bounds[2])


def test_heavier_new_rows_have_wider_intervals():
    grid, y, _, _ = table(120)
    calibration = calibrate_interval(
        grid[:, 0], grid[:, 4], y, 0.8, sample_weight=np.ones(120)
    )
    heavy = np.array([0.0, 1.0, 10.0, 29.0])
    found = calibration.apply(np.zeros(4), np.zeros(4), weight_new=heavy)
    assert (np.diff(found[:, 1]) >= 0.0).all()
    assert found[0, 1] < found[-1, 1] < np.inf


def test_row_heavier_than_the_rest_is_infinite():
    calibration = calibrate_interval(LOWER, UPPER, Y, 0.8, sample_weight=np.ones(9))
    with pytest.warns(
        SmallCalibrationWarning, match=r"4 times.*up to 2\.5.*1 of 2 rows"
    ):
        found = calibration.apply([0.0, 0.0], [1.0, 1.0], weight_new=[1.0, 2.5])
    assert_array_equal(np.isinf(found), [[False, False], [True, True]])


# ------------------------------------------------------------------------------- groups
@pytest.mark.parametrize("method", ["split", "cv+", "jackknife-minmax"])
def test_group_is_calibrated_by_its_own_rows(method):
    grid, y, folds, new = table(120)
    groups = np.where(np.arange(120) < 50, "b", "a")
    new_groups = np.array(["a", "b", "a", "a", "b", "b", "a"])
    if method == "split":
        folds, new = None, new[0]
    calibration = calibrate_grid(
        grid, y, LEVELS, method=method, folds=folds, groups=groups
    )
    assert calibration.groups == ["a", "b"]
    assert calibration.offsets.shape == (2, 5)
    found = calibration.apply(new, groups=new_groups)
    for number, name in enumerate("ab"):
        own = groups == name
        alone = calibrate_grid(
            grid[own],
            y[own],
            LEVELS,
            method=method,
            folds=None if folds is None else folds[own],
        )
        assert_array_equal(calibration.offsets[number], alone.offsets)
        rows = new_groups == name
        assert_array_equal(found[rows], alone.apply(new[..., rows, :]))


def test_group_without_rows_in_a_fold_is_calibrated():
    grid, y, folds, new = table(120)
    groups = np.where(folds == 3, "late", "early")
    found = calibrate_grid(
        grid, y, LEVELS, method="cv+", folds=folds, groups=groups
    ).apply(new, groups=["early"] * 7)
    own = folds != 3
    expected = brute_cv_plus(grid[own, 4], y[own], 0.9, folds[own], new[:, :, 4])
    assert_allclose(found[:, 4], expected, atol=1e-12)


def test_unknown_group_is_named():
    calibration = calibrate_interval(LOWER, UPPER, Y, 0.5, groups=list("aaabbbccc"))
    with pytest.raises(ValueError, match=r"Got 'y' \(and 1 more\) in 3 rows"):
        calibration.apply(np.zeros(4), np.zeros(4), groups=list("azyz"))


def test_group_of_zero_weight_is_unknown():
    calibration = calibrate_interval(
        LOWER,
        UPPER,
        Y,
        0.5,
        groups=list("aaabbbccc"),
        sample_weight=[1, 1, 1, 0, 0, 0, 1, 1, 1],
    )
    assert calibration.groups == ["a", "c"]
    with pytest.raises(ValueError, match="Got 'b' in 1 rows"):
        calibration.apply([0.0], [0.0], groups=["b"], weight_new=[1.0])


def test_warning_names_the_smallest_group():
    with pytest.warns(
        SmallCalibrationWarning,
        match=r"9 calibration rows in each group.*Got 1 in group 'c' \(and in 2 more\)",
    ):
        calibrate_interval(LOWER, UPPER, Y, 0.9, groups=list("aaabbbbbc")[::-1])


# ------------------------------------------------------------------------------ summary
def test_summary_shows_the_offsets_of_levels_and_groups():
    grid = np.column_stack([LOWER, UPPER])
    calibration = calibrate_grid(grid, Y, [0.4, 0.6], groups=list("aaaabbbbb"))
    lines = calibration.summary().splitlines()
    assert lines[0] == "split, 9 calibration rows"
    assert lines[2].split() == ["a", "b"]
    # Of lower - y the third of four and the fourth of five, of y - upper likewise.
    assert lines[4].split() == ["level", "0.4", "0.1000", "0.2000"]
    assert lines[5].split() == ["level", "0.6", "-0.1000", "-0.1000"]


def test_summary_shows_both_ends():
    lines = calibrate_interval(LOWER, UPPER, Y, 0.8).summary().splitlines()
    assert [line.split() for line in lines[4:]] == [
        ["lower", "-0.3000"],
        ["upper", "0.3000"],
    ]


# ---------------------------------------------------------------------------- bad input
def interval(**changes):
    settings = {"lower": LOWER, "upper": UPPER, "y": Y, "coverage": 0.8} | changes
    return calibrate_interval(**settings)


def grids(**changes):
    settings = {"grid": np.column_stack([LOWER, UPPER]), "y": Y, "levels": [0.2, 0.8]}
    return calibrate_grid(**(settings | changes))


BAD_INTERVALS = {
    "coverage of one": ({"coverage": 1.0}, "'coverage'.*must lie in"),
    "coverage in percent": ({"coverage": 80}, "'coverage'.*must lie in"),
    "a column of y": ({"y": Y[:, None]}, r"'y'.*shape \(9,\).*Got shape \(9, 1\)"),
    "fewer ends": ({"lower": LOWER[:8]}, r"same shape. Got \(8,\) and \(9,\)"),
    "missing y": ({"y": np.where(Y > 8, np.nan, Y)}, "'y'.*finite numbers.*1 of 9"),
    "infinite end": ({"upper": np.where(Y > 8, np.inf, UPPER)}, "finite.*1 of 18"),
    "no such method": ({"method": "plus"}, "'method'.*Got 'plus'"),
    "folds of split": ({"folds": np.zeros(9, int)}, "'folds'.*method='split'"),
    "no folds": ({"method": "cv+"}, "'folds'.*Got None with method='cv"),
    "folds below zero": (
        {"method": "cv+", "folds": np.full(9, -1)},
        "'folds'.*integers from 0 on.*leave out",
    ),
    "folds of few rows": (
        {"method": "cv+", "folds": np.zeros(8, int)},
        r"'folds'.*shape \(9,\)",
    ),
    "groups of few rows": ({"groups": list("abc")}, r"'groups'.*shape \(9,\).*\(3,\)"),
    "negative weights": ({"sample_weight": -Y}, "'sample_weight'.*>= 0"),
    "weights of few rows": ({"sample_weight": Y[:8]}, "'sample_weight'"),
}


@pytest.mark.parametrize("case", BAD_INTERVALS)
def test_bad_interval_is_refused(case):
    changes, message = BAD_INTERVALS[case]
    with pytest.raises(ValueError, match=message):
        interval(**changes)


BAD_GRIDS = {
    "unsorted levels": ({"levels": [0.8, 0.2]}, "strictly increasing"),
    "a level of one": ({"levels": [0.2, 1.0]}, r"\(0, 1\)"),
    "three levels of two": (
        {"levels": [0.2, 0.5, 0.8]},
        r"'grid'.*\(n, 3\).*\(9, 2\)",
    ),
    "a column of y": ({"y": Y[:, None]}, r"'y'.*shape \(9,\)"),
    "no rows": ({"grid": np.empty((0, 2)), "y": []}, "n >= 1"),
}


@pytest.mark.parametrize("case", BAD_GRIDS)
def test_bad_grid_is_refused(case):
    changes, message = BAD_GRIDS[case]
    with pytest.raises(ValueError, match=message):
        grids(**changes)


def test_coverage_must_be_a_number():
    with pytest.raises(TypeError, match=r"'coverage'.*real number"):
        interval(coverage="0.8")


BAD_NEW_ROWS = {
    "three columns": ({}, {"grid": np.zeros((4, 3))}, r"shape \(n, 2\).*\(4, 3\)"),
    "folds of split": ({}, {"grid": np.zeros((2, 4, 2))}, r"shape \(n, 2\)"),
    "missing": ({}, {"grid": np.full((4, 2), np.nan)}, "finite numbers.*8 of 8"),
    "groups out of the blue": (
        {},
        {"grid": np.zeros((1, 2)), "groups": ["a"]},
        "'groups'.*only there. Got groups",
    ),
    "no groups": (
        {"groups": ["a"] * 9},
        {"grid": np.zeros((1, 2))},
        "'groups'.*Got None; pass the group",
    ),
    "groups of few rows": (
        {"groups": ["a"] * 9},
        {"grid": np.zeros((2, 2)), "groups": ["a"]},
        r"'groups'.*shape \(2,\)",
    ),
    "weights out of the blue": (
        {},
        {"grid": np.zeros((1, 2)), "weight_new": [1.0]},
        "'weight_new'.*Got weights",
    ),
    "no weights": (
        {"sample_weight": np.ones(9)},
        {"grid": np.zeros((1, 2))},
        "'weight_new'.*Got None",
    ),
    "negative weights": (
        {"sample_weight": np.ones(9)},
        {"grid": np.zeros((1, 2)), "weight_new": [-1.0]},
        "'weight_new'.*>= 0",
    ),
    "one fold of two": (
        {"method": "cv+", "folds": np.arange(9) % 2},
        {"grid": np.zeros((1, 4, 2))},
        r"shape \(2, n, 2\).*\(1, 4, 2\)",
    ),
}


@pytest.mark.parametrize("case", BAD_NEW_ROWS)
def test_bad_new_rows_are_refused(case):
    changes, new, message = BAD_NEW_ROWS[case]
    with pytest.raises(ValueError, match=message):
        grids(**changes).apply(**new)


def test_inputs_stay_as_they_are():
    grid, y, folds, new = table(60)
    weight, groups = np.ones(60), np.arange(60) % 2
    copies = [a.copy() for a in (grid, y, folds, new, weight, groups)]
    calibration = calibrate_grid(
        grid, y, LEVELS, method="cv+", folds=folds, sample_weight=weight, groups=groups
    )
    calibration.apply(new, groups=np.zeros(7, int), weight_new=np.ones(7))
    for now, before in zip((grid, y, folds, new, weight, groups), copies, strict=True):
        assert_array_equal(now, before)
