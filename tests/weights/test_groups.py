"""Weights from group labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.class_weight import compute_sample_weight

from statlearn.weights import (
    EffectiveNumber,
    InverseFrequency,
    Temperature,
    effective_number_weights,
    inverse_frequency_weights,
    temperature_weights,
)
from stub_tensor import Tensor

LABELS = np.array(["a", "b", "a", "c", "a", "a", "b"])
FUNCTIONS = [temperature_weights, inverse_frequency_weights, effective_number_weights]
RULES = [Temperature(), InverseFrequency(), EffectiveNumber()]
each_function = pytest.mark.parametrize("function", FUNCTIONS)
each_rule = pytest.mark.parametrize("rule", RULES, ids=repr)
many_labels = st.lists(st.sampled_from("abcd"), min_size=1, max_size=30)


def of_sizes(function, sizes, *options):
    """Weight of one row of each group, for groups of given sizes."""
    weights = function(np.repeat(np.arange(len(sizes)), sizes), *options)
    return weights[np.cumsum(sizes) - 1]


# -------------------------------------------------------------------- temperature
def test_two_groups_by_hand():
    # p = (9, 1)^(1/2) / 4 = (3, 1) / 4 of the weight 10
    assert_allclose(of_sizes(temperature_weights, [9, 1], 2.0), [7.5 / 9.0, 2.5])


@given(many_labels, st.floats(0.1, 100.0))
def test_weight_is_the_ratio_of_the_two_sampling_laws(labels, temperature):
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    p = np.exp(np.log(sizes) / temperature - np.log(sizes.max()) / temperature)
    p /= p.sum()
    expected = p / (sizes / len(labels))
    assert_allclose(temperature_weights(labels, temperature), expected[codes])


def test_temperature_one_gives_equal_rows():
    assert_allclose(temperature_weights(LABELS, 1.0), 1.0, rtol=1e-15)


def test_infinite_temperature_gives_equal_groups():
    assert_allclose(
        temperature_weights(LABELS, np.inf), inverse_frequency_weights(LABELS)
    )


def test_second_moment_of_the_weights_is_that_of_the_limit():
    # F(inf) = N sum(1 / n) / K^2, and F does not fall with the temperature above one
    sizes = np.array([900, 90, 10])
    labels = np.repeat([0, 1, 2], sizes)
    moments = [
        np.mean(temperature_weights(labels, t) ** 2) for t in (1.0, 2.0, 5.0, 1e9)
    ]
    assert_allclose(moments[0], 1.0)
    assert (np.diff(moments) > 0.0).all()
    assert_allclose(moments[-1], 1000 * (1 / sizes).sum() / 9, rtol=1e-6)


def test_a_temperature_below_one_favours_large_groups():
    big, small = of_sizes(temperature_weights, [9, 1], 0.5)
    assert_allclose([big, small], [81 / 82 * 10 / 9, 10 / 82])


def test_a_tiny_temperature_leaves_the_largest_group():
    assert_allclose(of_sizes(temperature_weights, [9, 1], 1e-4), [10 / 9, 0.0])


@pytest.mark.parametrize("temperature", [1e-300, 1e-307, 1e-310, 5e-324])
def test_the_smallest_temperatures_leave_the_largest_groups(temperature):
    largest = of_sizes(temperature_weights, [9, 1], temperature)
    assert_allclose(largest, [10 / 9, 0.0])
    equal = of_sizes(temperature_weights, [5, 5, 2], temperature)
    assert_allclose(equal, [1.2, 1.2, 0.0])
    assert_allclose(temperature_weights([1, 1, 1], temperature), 1.0)


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(ValueError, match="'temperature' of temperature_weights must"):
        temperature_weights(LABELS, temperature)


# -------------------------------------------------------------- inverse frequency
@given(many_labels)
def test_inverse_frequency_is_the_balanced_weight_of_scikit_learn(labels):
    assert_allclose(
        inverse_frequency_weights(labels), compute_sample_weight("balanced", labels)
    )


# -------------------------------------------------------------- effective number
@pytest.mark.parametrize(
    ("beta", "sizes", "published"),
    [
        (0.99, [100, 50, 10], [0.3248432388, 0.5213753692, 2.1537813919]),
        (
            0.9999,
            [5000, 5000, 50, 50],
            [0.02503446, 0.02503446, 1.97496554, 1.97496554],
        ),
        (0.9, [5000, 5000, 50, 50], [0.99741645, 0.99741645, 1.00258355, 1.00258355]),
    ],
)
def test_class_weights_are_those_of_the_published_code(beta, sizes, published):
    weights = of_sizes(effective_number_weights, sizes, beta)
    # published weights have mean one over classes, ours over rows
    assert_allclose(weights * len(sizes) / weights.sum(), published, rtol=1e-6)


def test_beta_zero_gives_equal_rows_and_beta_one_equal_groups():
    assert_array_equal(effective_number_weights(LABELS, 0.0), 1.0)
    balanced = inverse_frequency_weights(LABELS)
    assert_allclose(effective_number_weights(LABELS, 1.0), balanced, rtol=1e-15)


@pytest.mark.parametrize("gap", [1e-8, 1e-12, 1e-15])
def test_beta_next_to_one_does_not_cancel(gap):
    # 1 / (1 - (1 - g)^n) = (1 + (n - 1) g / 2) / (n g) up to g^2
    sizes = np.array([1000, 10])
    gap = 1.0 - (1.0 - gap)  # as the number that beta is
    expected = (1.0 + (sizes - 1) * gap / 2.0) / sizes
    weights = of_sizes(effective_number_weights, sizes, 1.0 - gap)
    assert_allclose(weights[1] / weights[0], expected[1] / expected[0], rtol=1e-10)


def test_sizes_need_not_be_whole_numbers():
    base = np.array([0.5, 0.25, 1.0])
    weights = effective_number_weights([0, 0, 1], 0.5, base_weight=base)
    density = np.array([1 / (1 - 0.5**0.75), 1 / (1 - 0.5**1.0)])[[0, 0, 1]]
    expected = base * density
    assert_allclose(weights, expected * 1.75 / expected.sum())


@pytest.mark.parametrize("beta", [-0.1, 1.1, np.nan])
def test_a_beta_outside_its_range_is_refused(beta):
    with pytest.raises(ValueError, match=r"'beta' .* must lie in .* Got .*; pass"):
        effective_number_weights(LABELS, beta)


# ------------------------------------------------------------------- base weights
@each_function
def test_a_group_without_base_weight_is_no_group(function):
    base = (LABELS != "c").astype(float)
    weights = function(LABELS, base_weight=base)
    assert weights[3] == 0.0
    assert_allclose(np.delete(weights, 3), function(np.delete(LABELS, 3)), rtol=1e-14)


@each_function
def test_base_weights_that_are_far_apart_are_no_harm(function):
    base = np.array([1e300, 1e-300, 1e-300])
    weights = function(["a", "b", "b"], base_weight=base)
    assert np.isfinite(weights).all()
    assert_allclose(weights.sum(), base.sum())
    if function is inverse_frequency_weights:
        assert_allclose(weights, [5e299, 2.5e299, 2.5e299])


# ------------------------------------------------------------------------- labels
@each_function
@pytest.mark.parametrize(
    "labels",
    [
        LABELS.tolist(),
        tuple(LABELS),
        LABELS.astype(object),
        pd.Series(LABELS, index=range(7, 14)),
        pd.Categorical(LABELS),
        pl.Series(LABELS.tolist()),
        np.array([5, -3, 5, 10**15, 5, 5, -3]),
        np.array([0.5, -1.0, 0.5, np.inf, 0.5, 0.5, -1.0]),
        [("x", 1), ("x", 2), ("x", 1), "c", ("x", 1), ("x", 1), ("x", 2)],
        np.array(["2020", "2021", "2020", "2022", "2020", "2020", "2021"], "M8[Y]"),
        ["a", 1, "a", 2.5, "a", "a", 1],
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_labels_may_be_of_any_type(function, labels):
    assert_allclose(function(labels), function(LABELS))


@each_function
def test_a_tensor_of_labels_gives_a_tensor_of_doubles(function):
    codes = np.unique(LABELS, return_inverse=True)[1]
    weights = function(Tensor(codes, device="cuda"))
    assert isinstance(weights, Tensor)
    assert weights.device == "cuda"
    assert weights.dtype == np.float64
    assert_allclose(weights.data, function(LABELS))


@each_function
@pytest.mark.parametrize(
    "labels",
    [
        ["a", None, "b"],
        ["a", np.nan, "b"],
        np.array([1.0, np.nan, 2.0]),
        pd.Series(["a", None, "b"]),
        pd.Series([1, None, 2], dtype="Int64"),
        ["a", pd.NA, "b"],
        pl.Series(["a", None, "b"]),
        np.array(["2020", "NaT", "2021"], "M8[D]"),
    ],
    ids=["None", "nan", "float", "pandas", "Int64", "NA", "polars", "NaT"],
)
def test_missing_labels_are_refused_and_counted(function, labels):
    message = (
        rf"'groups' of {function.__name__} must .*1 of 3 rows, the first at row 1;"
    )
    with pytest.raises(ValueError, match=message):
        function(labels)


@each_function
@pytest.mark.parametrize("labels", [[["a"], ["b"]], [{}, {}]])
def test_labels_that_cannot_be_hashed_are_refused(function, labels):
    with pytest.raises(ValueError, match=r"one label a row .* Got unhashable .*; pass"):
        function(labels)


# -------------------------------------------------------------------------- rules
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Temperature(3.0), temperature_weights(LABELS, 3.0)),
        (InverseFrequency(), inverse_frequency_weights(LABELS)),
        (EffectiveNumber(0.8), effective_number_weights(LABELS, 0.8)),
    ],
    ids=repr,
)
def test_a_rule_takes_labels_as_evidence_or_as_groups(rule, expected):
    assert_array_equal(rule(LABELS), expected)
    assert_array_equal(rule(np.zeros(7), groups=LABELS), expected)


@each_rule
def test_weights_beside_losses_have_their_type(rule):
    losses = np.ones(7, dtype=np.float32)
    assert rule(losses, groups=LABELS).dtype == np.float32
    assert rule([1] * 7, groups=LABELS).dtype == np.float64
    tensor = rule(Tensor(losses, device="cuda", requires_grad=True), groups=LABELS)
    assert (tensor.device, tensor.dtype) == ("cuda", np.float32)
    codes = Tensor(np.arange(7))
    assert isinstance(rule(losses, groups=codes), np.ndarray)


@each_rule
def test_losses_themselves_are_not_looked_at(rule):
    losses = np.array([np.nan, np.inf, -1.0, 0.0, 1.0, 2.0, 3.0])
    assert_array_equal(rule(losses, groups=LABELS), rule(LABELS))


@each_rule
def test_labels_and_losses_of_different_length_are_refused(rule):
    with pytest.raises(ValueError, match=r"one label for each row .* Got 7 labels .*;"):
        rule(np.ones(6), groups=LABELS)


def test_temperature_follows_a_schedule():
    rule = Temperature(lambda step: 5.0 if step < 100 else 1.0)
    assert_array_equal(rule(LABELS, step=99), temperature_weights(LABELS, 5.0))
    assert_allclose(rule(LABELS, step=100), 1.0)
    with pytest.raises(ValueError, match="'step' of Temperature must be a number"):
        rule(LABELS)
