"""Quantiles between the levels of a grid, and the base of its estimators."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import mean_pinball_loss
from sklearn.utils import get_tags
from sklearn.utils.validation import validate_data

from statlearn.quantile import interpolate_quantiles
from statlearn.quantile._grid import GridRegressor

INF = np.inf
LEVELS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])


class NormalGrid(GridRegressor):
    """Normal quantiles around the first feature, whatever the data."""

    def __init__(self, levels=LEVELS):
        self.levels = levels

    def fit(self, X, y):
        validate_data(self, X, y)
        self.levels_ = np.asarray(self.levels)
        return self

    def _predict_grid(self, X):
        X = validate_data(self, X, reset=False)
        return X[:, :1] + norm.ppf(self.levels_)


X = np.array([[0.0], [2.0], [-1.0]])


def fitted(levels=LEVELS):
    return NormalGrid(levels).fit(X, [0.0, 1.0, 2.0])


# -- between levels ---------------------------------------------------------------


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=5),
    st.lists(st.floats(0.1, 0.9), min_size=1, max_size=6, unique=True),
)
def test_interpolation_is_that_of_numpy(row, wanted):
    wanted = np.unique(np.round(wanted, 6))
    found = interpolate_quantiles([row], LEVELS, wanted)[0]
    assert_allclose(found, np.interp(wanted, LEVELS, row), rtol=1e-9, atol=1e-6)


def test_levels_of_the_grid_are_returned_to_the_last_bit():
    grid = np.random.default_rng(0).normal(size=(4, 3, 5)) * 1e-3 + 1e6
    assert_array_equal(interpolate_quantiles(grid, LEVELS, LEVELS), grid)
    shifted = [0.1 - 1e-12, 0.25 + 1e-12, 0.9 + 1e-12]
    assert_array_equal(
        interpolate_quantiles(grid, LEVELS, shifted), grid[..., [0, 1, 4]]
    )


def test_single_precision_is_kept():
    grid = np.arange(5.0, dtype=np.float32)[None]
    assert interpolate_quantiles(grid, LEVELS, [0.3]).dtype == np.float32


def test_next_to_an_infinite_quantile_the_answer_is_infinite():
    found = interpolate_quantiles(
        [[-INF, 1.0, 2.0, 3.0, INF]], LEVELS, [0.1, 0.2, 0.25, 0.5, 0.8, 0.9]
    )
    assert_array_equal(found, [[-INF, -INF, 1.0, 2.0, INF, INF]])


def test_between_two_infinite_quantiles_it_is_the_nearer_one():
    wanted = [0.1, 0.4, 0.5, 0.6, 0.9]
    found = interpolate_quantiles([[-INF, INF], [INF, INF]], [0.1, 0.9], wanted)
    assert_array_equal(found, [[-INF, -INF, -INF, INF, INF], [INF] * 5])


def test_one_level_answers_for_itself():
    assert_array_equal(interpolate_quantiles([[3.0], [4.0]], [0.5], [0.5]), [[3], [4]])


@pytest.mark.parametrize("wanted", [[0.05], [0.5, 0.95]], ids=["below", "above"])
def test_levels_outside_of_the_grid_are_refused(wanted):
    with pytest.raises(ValueError, match=r"within those of the grid, \[0.1, 0.9\]"):
        interpolate_quantiles(np.zeros((2, 5)), LEVELS, wanted)
    with pytest.raises(ValueError, match="asked of NormalGrid must lie within"):
        fitted().predict_quantiles(X, wanted)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (np.zeros((2, 4)), "one value for each of 5 levels"),
        ([[0.0, 1.0, np.nan, 2.0, 3.0]], "no NaN. Got 1 of 5"),
        ([list("abcde")], "hold numbers"),
        (3.0, "along its last axis"),
    ],
    ids=["count", "missing", "words", "scalar"],
)
def test_a_bad_grid_is_refused(grid, message):
    with pytest.raises(ValueError, match=f"'grid' of interpolate_quantiles.*{message}"):
        interpolate_quantiles(grid, LEVELS, [0.5])


# -- the base of estimators -----------------------------------------------------


@pytest.mark.parametrize(
    ("levels", "shift"),
    [
        ([0.1, 0.5, 0.9], 0.0),
        ([0.4, 0.6], 0.0),
        ([0.6, 0.8], norm.ppf(0.6)),
        ([0.2], norm.ppf(0.2)),
    ],
    ids=["in grid", "between", "below grid", "one level"],
)
def test_predict_is_the_median_or_what_is_nearest(levels, shift):
    assert_allclose(fitted(levels).predict(X), X[:, 0] + shift, atol=1e-15)


def test_quantiles_at_other_levels_lie_on_lines():
    model = fitted()
    assert_array_equal(model.predict_quantiles(X), X + norm.ppf(LEVELS))
    found = model.predict_quantiles(X, [0.3])
    assert_allclose(found, X + np.interp(0.3, LEVELS, norm.ppf(LEVELS)))


def test_interval_has_the_quantiles_of_both_ends():
    interval = fitted().predict_interval(X, coverage=0.5)
    assert_allclose(interval, X + norm.ppf([0.25, 0.75]), atol=1e-15)
    assert_allclose(fitted().predict_interval(X), X + norm.ppf([0.1, 0.9]))


@pytest.mark.parametrize(
    ("coverage", "message"),
    [
        (0.9, "at most 0.8. Got 0.9; fit with levels that include 0.05 and 0.95"),
        (1.5, r"lie in \(0, 1\). Got 1.5"),
    ],
    ids=["too wide", "no share"],
)
def test_coverage_out_of_reach_is_refused(coverage, message):
    with pytest.raises(ValueError, match=f"'coverage' of NormalGrid.*{message}"):
        fitted().predict_interval(X, coverage=coverage)
    with pytest.raises(TypeError, match="'coverage' of NormalGrid must be a real"):
        fitted().predict_interval(X, coverage="wide")


def test_probabilities_of_values_for_all_rows_or_row_by_row():
    model = fitted()
    far = np.array([-3.0, 5.0])
    assert_allclose(model.predict_cdf(X, far), norm.cdf(far - X), rtol=1e-12)
    assert_allclose(model.predict_cdf(X, X - 3.0), np.full(3, norm.cdf(-3.0)))
    assert_allclose(model.predict_cdf(X, 5.0), norm.cdf(5.0 - X[:, 0]))


@pytest.mark.parametrize(
    "values",
    [np.zeros((2, 1)), np.zeros((3, 2)), [np.nan], [], "high"],
    ids=["short", "wide", "missing", "empty", "word"],
)
def test_values_that_do_not_fit_the_rows_are_refused(values):
    with pytest.raises(ValueError, match="'values' of NormalGrid must be numbers"):
        fitted().predict_cdf(X, values)


def test_sample_has_a_row_for_each_row_and_is_seeded():
    model = fitted()
    draws = model.sample(X, 4000, random_state=0)
    assert draws.shape == (3, 4000)
    assert_array_equal(draws, model.sample(X, 4000, random_state=0))
    assert_allclose(draws.mean(axis=1), X[:, 0], atol=4 / np.sqrt(4000))
    assert abs(np.corrcoef(draws)[0, 1]) < 4 / np.sqrt(4000)


def test_no_draws_at_all_are_refused():
    with pytest.raises(ValueError, match=r"'n_draws' of NormalGrid.* Got 0"):
        fitted().sample(X, 0)
    for n_draws in (True, 2.0, "x"):
        with pytest.raises(TypeError, match=r"'n_draws' of NormalGrid.* an integer"):
            fitted().sample(X, n_draws)


def test_one_level_makes_no_distribution():
    model = fitted([0.5])
    for ask in (lambda: model.sample(X), lambda: model.predict_cdf(X, 0.0)):
        with pytest.raises(ValueError, match="two levels or more"):
            ask()


def test_score_is_minus_the_mean_pinball_loss():
    model, y, weight = fitted(), np.array([0.3, 1.0, -2.0]), [1.0, 2.0, 0.5]
    grid = model.predict_quantiles(X)
    losses = [
        mean_pinball_loss(y, grid[:, k], alpha=level, sample_weight=weight)
        for k, level in enumerate(LEVELS)
    ]
    assert_allclose(model.score(X, y, sample_weight=weight), -np.mean(losses))
    assert get_tags(model).regressor_tags.poor_score


@pytest.mark.parametrize(
    "method",
    ["predict", "predict_quantiles", "predict_interval", "sample", "score"],
)
def test_before_fit_there_is_nothing_to_predict(method):
    arguments = (X, X[:, 0]) if method == "score" else (X,)
    with pytest.raises(NotFittedError):
        getattr(clone(fitted()), method)(*arguments)
