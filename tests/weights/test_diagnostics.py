"""Effective sample size, design effect, entropy, and the summary of weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from statlearn.exceptions import DegenerateWeightsWarning
from statlearn.weights import (
    WeightSummary,
    design_effect,
    effective_sample_size,
    weight_entropy,
    weight_summary,
)
from stub_tensor import Tensor

some_weights = arrays(
    np.float64, st.integers(1, 12), elements=st.floats(0.0, 1e6)
).filter(lambda w: w.max() > 1e-3)
FUNCTIONS = [effective_sample_size, design_effect, weight_entropy, weight_summary]
each_function = pytest.mark.parametrize("function", FUNCTIONS)
quiet = pytest.mark.filterwarnings(
    "ignore::statlearn.exceptions.DegenerateWeightsWarning"
)


# ------------------------------------------------------------------------ numbers
@given(some_weights)
def test_design_effect_is_one_plus_the_squared_coefficient_of_variation(weights):
    expected = 1.0 + (weights.std() / weights.mean()) ** 2
    assert_allclose(design_effect(weights), expected, rtol=1e-9)
    assert_allclose(effective_sample_size(weights), len(weights) / expected, rtol=1e-9)


@given(some_weights)
def test_entropy_is_that_of_scipy(weights):
    assert_allclose(weight_entropy(weights), stats.entropy(weights), atol=1e-12)


def test_equal_weights_cost_nothing():
    assert effective_sample_size(np.full(7, 0.3)) == 7.0
    assert design_effect(np.full(7, 0.3)) == 1.0
    assert_allclose(weight_entropy(np.full(7, 0.3)), np.log(7.0))


def test_one_row_with_all_weight_is_one_row():
    assert effective_sample_size([0.0, 5.0, 0.0]) == 1.0
    assert weight_entropy([0.0, 5.0, 0.0]) == 0.0


def test_variance_of_a_weighted_mean_grows_by_the_design_effect():
    rng = np.random.default_rng(0)
    weights = rng.gamma(1.0, size=50)
    means = rng.normal(size=(20_000, 50)) @ weights / weights.sum()
    # 20 000 draws give the variance with a relative standard error of 1 %
    assert_allclose(means.var() * 50, design_effect(weights), rtol=0.04)


@quiet
@pytest.mark.parametrize("scale", [1e-300, 1e-20, 1e300])
def test_unit_of_the_weights_does_not_matter(scale):
    weights = np.array([1.0, 2.0, 3.0, 0.0])
    for function in FUNCTIONS[:3]:
        assert_allclose(function(weights * scale), function(weights), rtol=1e-13)
    unit, scaled = weight_summary(weights), weight_summary(weights * scale)
    assert_allclose([scaled.gini, scaled.top_share], [unit.gini, unit.top_share])
    assert_allclose(scaled.mean, unit.mean * scale)


@each_function
def test_a_tensor_is_read(function):
    weights = np.array([1.0, 2.0, 3.0])
    tensor = Tensor(weights, device="cuda", requires_grad=True)
    assert str(function(tensor)) == str(function(weights))


@each_function
@pytest.mark.parametrize("bad", [[], [[1.0]], [np.nan], [np.inf, 1], [-1.0], [0.0, 0]])
def test_what_is_no_weight_is_refused(function, bad):
    message = rf"'weights' of {function.__name__} must be .* Got .*; drop"
    with pytest.raises(ValueError, match=message):
        function(bad)


# ------------------------------------------------------------------------ summary
def test_summary_of_five_rows_by_hand():
    table = weight_summary([1.0, 1.0, 1.0, 3.0, 0.0])
    assert (table.n, table.n_zero, table.total) == (5, 1, 6.0)
    assert (table.min, table.max) == (0.0, 3.0)
    assert_allclose(table.mean, 1.2)
    assert_array_equal(table.quartiles, [1.0, 1.0, 1.0])
    assert_allclose(table.effective_sample_size, 3.0)
    assert_allclose(table.design_effect, 5.0 / 3.0)
    assert_allclose(table.entropy, np.log(6.0) - 0.5 * np.log(3.0))
    assert_allclose(table.top_share, 0.5)
    # sum of all absolute differences: 2 (3 * 1 + 3 * 2 + 3) = 24 of 2 * 5 * 6
    assert_allclose(table.gini, 24.0 / 60.0)


@quiet
@given(some_weights)
def test_gini_is_half_the_relative_mean_difference(weights):
    differences = np.abs(weights[:, None] - weights[None, :]).mean()
    expected = differences / (2.0 * weights.mean())
    assert_allclose(weight_summary(weights).gini, expected, rtol=1e-9, atol=1e-12)


def test_top_share_is_that_of_one_row_in_a_hundred():
    weights = np.r_[np.ones(297), 10.0, 10.0, 10.0]
    assert_allclose(weight_summary(weights).top_share, 30.0 / 327.0)
    weights = np.r_[np.ones(298), 10.0, 10.0, 10.0]  # 1 % of 301 rows, rounded up
    assert_allclose(weight_summary(weights).top_share, 31.0 / 328.0)


def test_weights_far_apart_are_summarised():
    table = weight_summary(np.r_[np.full(50, 1e300), np.full(50, 1e-300)])
    assert_allclose(table.total, 5e301)
    assert_allclose(table.effective_sample_size, 50.0)
    assert table.min == 1e-300


def test_a_total_beyond_the_largest_number_is_infinite():
    table = weight_summary(np.full(20, 1.7e308))
    assert table.total == np.inf
    assert_allclose(table.mean, 1.7e308)
    assert "inf" in table.summary()


# ------------------------------------------------------------------------- groups
def test_each_group_is_summarised_as_if_alone():
    rng = np.random.default_rng(0)
    weights, groups = rng.gamma(2.0, size=90), rng.choice(["b", "a", "c"], size=90)
    table = weight_summary(weights, groups=groups)
    assert list(table.groups) == ["a", "b", "c"]
    for label, part in table.groups.items():
        alone = weight_summary(weights[groups == label])
        assert part.to_frame().equals(alone.to_frame())
    assert_allclose(sum(p.total for p in table.groups.values()), table.total)


def test_a_group_without_weight_has_no_effective_rows():
    table = weight_summary([1.0, 1.0, 0.0, 0.0], groups=["x", "x", "y", "y"])
    empty = table.groups["y"]
    assert empty.effective_sample_size == 0.0
    assert np.isnan([empty.design_effect, empty.entropy, empty.gini]).all()
    assert table.summary().splitlines()[-1].split()[-2:] == ["0.0", "-"]


def test_labels_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"each of the 3 weights. Got 2; pass both"):
        weight_summary([1.0, 1.0, 1.0], groups=[1, 2])


# ------------------------------------------------------------------------ outputs
def test_text_has_a_line_for_each_group():
    text = weight_summary([1.0, 1.0, 1.0, 3.0], groups=[10, 10, 7, 7]).summary()
    head, rule, seven, ten = text.split("\n\n")[1].splitlines()
    assert set(rule) == {"-"}
    assert head.split() == [
        "group",
        "rows",
        "share",
        "mean",
        "largest",
        "ESS",
        "design",
        "effect",
    ]
    assert seven.split() == ["7", "2", "0.6667", "2.0000", "3.0000", "1.6", "1.2500"]
    assert ten.split() == ["10", "2", "0.3333", "1.0000", "1.0000", "2.0", "1.0000"]


def test_frame_has_a_row_for_all_and_for_each_group():
    frame = weight_summary([1.0, 1.0, 1.0, 3.0], groups=list("bbaa")).to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert frame.index.tolist() == ["all", "a", "b"]
    assert frame.loc["all", "n"] == 4
    assert_allclose(frame.loc["a", ["25 %", "50 %", "75 %"]], [1.5, 2.0, 2.5])
    assert set(frame.columns) - {"25 %", "50 %", "75 %"} == {
        field
        for field in WeightSummary.__slots__
        if field not in ("quartiles", "groups")
    }


def test_a_summary_cannot_be_changed():
    table = weight_summary([1.0, 2.0])
    with pytest.raises(AttributeError):
        table.n = 3


# ----------------------------------------------------------------------- warnings
@pytest.mark.parametrize(
    "weights",
    [
        np.r_[np.ones(9), np.zeros(20)],  # 9 effective rows of 29
        np.r_[np.ones(15), np.full(1985, 1e-9)],  # fewer than 1 %
        [1.0, 0.0, 0.0],
    ],
    ids=["few", "1 %", "one of three"],
)
def test_weights_on_very_few_rows_are_announced(weights):
    with pytest.warns(DegenerateWeightsWarning, match=r"expected .* Got .* rows; clip"):
        weight_summary(weights)


@pytest.mark.parametrize(
    "weights",
    [np.ones(3), [1.0, 2.0, 3.0], np.r_[np.ones(11), np.zeros(100)]],
    ids=["three", "unequal", "eleven"],
)
def test_few_rows_with_similar_weights_are_no_reason_to_warn(weights):
    assert weight_summary(weights).n == len(weights)  # warnings are errors


def test_the_warning_points_at_the_caller():
    with pytest.warns(DegenerateWeightsWarning) as caught:
        weight_summary([1.0, 0.0, 0.0])
    assert caught[0].filename == __file__
