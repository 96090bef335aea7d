"""Probabilities of domains, weights of their rows, and the noise of either."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from statlearn.sampling import (
    UniMax,
    gradient_variance_ratio,
    scalarization_weights,
    temperature_probs,
)
from statlearn.weights import temperature_weights

THREE = [1000, 100, 10]
FOUR = [2733, 162, 39, 1]
exact = {"rtol": 0.0, "atol": 1.0000001e-10}
rounded = {"rtol": 0.0, "atol": 0.51e-10}
many_sizes = st.lists(st.integers(1, 10**6), min_size=1, max_size=8)


# ----------------------------------------------------------------- known answers
@pytest.mark.parametrize(
    ("sizes", "tau", "expected"),
    [
        (THREE, 1.0, [0.9009009009, 0.0900900901, 0.0090090090]),
        (THREE, 2.0, [0.7061011117, 0.2232887771, 0.0706101112]),
        (THREE, 5.0, [0.4928379520, 0.3109597254, 0.1962023226]),
        (FOUR, 5.0, [0.4543017452, 0.2581781484, 0.1941911351, 0.0933289713]),
        (FOUR, 3.33, [0.5555401957, 0.2377987659, 0.1550560632, 0.0516049752]),
        (FOUR, 100.0, [0.2594402120, 0.2522121732, 0.2486460362, 0.2397015786]),
    ],
)
def test_probabilities_have_known_values(sizes, tau, expected):
    assert_allclose(temperature_probs(sizes, tau), expected, **exact)


@pytest.mark.parametrize(
    ("sizes", "tau", "expected"),
    [
        (THREE, 2.0, [0.7837722340, 2.4785054262, 7.8377223398]),
        (THREE, 5.0, [0.5470501267, 3.4516529523, 21.7784578085]),
        (FOUR, 5.0, [0.4878798472, 4.6774868241, 14.6141277299, 273.9205307266]),
    ],
)
def test_weights_have_known_values(sizes, tau, expected):
    assert_allclose(scalarization_weights(sizes, tau), expected, **exact)


@pytest.mark.parametrize(
    ("sizes", "tau", "expected"),
    [
        (THREE, 1.0, 1.0),
        (THREE, 2.0, 1.6602673372),
        (THREE, 5.0, 5.6159161231),
        (FOUR, 2.0, 2.2489515587),
        (FOUR, 5.0, 29.8319249525),
        (FOUR, 100.0, 174.5133040372),
        (FOUR, np.inf, 189.3404753537),
    ],
)
def test_ratio_for_equal_gradients_has_known_values(sizes, tau, expected):
    assert_allclose(gradient_variance_ratio(sizes, tau), expected, **exact)


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (0.0, [1.0, 1.0, 1.0]),
        (0.5, [1.035135, 1.085192, 1.105802]),
        (1.0, [1.161809, 1.403343, 1.503183]),
        (2.0, [1.806497, 3.821883, 4.822903]),
    ],
)
def test_ratio_for_power_law_sizes_has_known_values(alpha, expected):
    sizes = 1.0 / np.arange(1, 11) ** alpha
    found = [gradient_variance_ratio(sizes, tau) for tau in (2.0, 5.0, 10.0)]
    assert_allclose(found, expected, rtol=0.0, atol=0.51e-6)


@pytest.mark.parametrize(
    ("moments", "weighting", "sampling"),
    [
        ([1.0, 0.0], 0.41091, 0.60813),
        ([0.0, 1.0], 1.53565, 0.39187),
        ([1.0, 1.0], 1.94656, 1.0),
    ],
)
def test_weighting_can_be_the_less_noisy_one(moments, weighting, sampling):
    ratio = gradient_variance_ratio([900, 100], 5.0, moments)
    share = temperature_probs([900, 100], 5.0) @ moments
    assert_allclose(share, sampling, rtol=0.0, atol=0.51e-5)
    assert_allclose(ratio * share, weighting, rtol=0.0, atol=0.51e-5)


# -------------------------------------------------------------------------- laws
@given(many_sizes, st.floats(0.2, 200.0))
def test_weights_turn_one_law_into_the_other(sizes, tau):
    size = np.array(sizes, dtype=float)
    weights, share = scalarization_weights(sizes, tau), size / size.sum()
    assert_allclose(weights * share, temperature_probs(sizes, tau), rtol=1e-12)
    assert_allclose(weights @ share, 1.0)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.floats(0.3, 50.0))
def test_weights_are_those_of_the_rows(sizes, tau):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rows = scalarization_weights(sizes, tau)[labels]
    assert_allclose(rows, temperature_weights(labels, tau), rtol=1e-12)


@given(many_sizes, st.floats(0.2, 200.0), st.data())
def test_ratio_is_that_of_the_two_sums(sizes, tau, data):
    moment = np.array(
        data.draw(
            st.lists(st.floats(0.01, 100.0), min_size=len(sizes), max_size=len(sizes))
        )
    )
    p, w = temperature_probs(sizes, tau), scalarization_weights(sizes, tau)
    direct = sum(p * w * moment) / sum(p * moment)
    assert_allclose(gradient_variance_ratio(sizes, tau, moment), direct, rtol=1e-11)


@given(many_sizes, st.floats(1.0, 100.0), st.floats(1.0, 100.0))
def test_ratio_for_equal_gradients_rises_with_the_temperature(sizes, one, other):
    low, high = sorted((one, other))
    at_low, at_high = (gradient_variance_ratio(sizes, t) for t in (low, high))
    assert 1.0 - 1e-9 <= at_low <= at_high * (1.0 + 1e-9)


def test_ratio_is_that_of_measured_gradients():
    rng = np.random.default_rng(0)
    sizes, tau = np.array([900, 100]), 5.0
    labels = np.repeat([0, 1], sizes)
    gradient = rng.normal(size=(1000, 3)) * np.where(labels, 3.0, 1.0)[:, None]
    square = (gradient**2).sum(axis=1)
    moments = [square[labels == k].mean() for k in (0, 1)]
    weights = temperature_weights(labels, tau)
    chance = weights / weights.sum()
    direct = np.mean(weights**2 * square) / (chance @ square)
    assert_allclose(gradient_variance_ratio(sizes, tau, moments), direct)


def test_equal_sizes_leave_nothing_to_balance():
    assert_allclose(temperature_probs([7, 7, 7], 3.0), 1 / 3)
    assert_allclose(scalarization_weights([7, 7, 7], 3.0), 1.0)
    assert_allclose(gradient_variance_ratio([7, 7, 7], 3.0), 1.0)


def test_one_domain_gets_everything():
    assert_array_equal(temperature_probs([7], 3.0), [1.0])


def test_sizes_far_apart_do_not_overflow():
    probs = temperature_probs([1, 10**18], 0.01)
    assert_allclose(probs, [0.0, 1.0])
    assert np.isfinite(gradient_variance_ratio([1, 10**18], np.inf))


# ------------------------------------------------------------------------ UniMax
def test_unimax_by_hand():
    # 10 rows: at most 40 of 300; 100 rows: at most 400 of 430, so 400 and 460 are left
    found = UniMax([1000, 100, 10], budget=900, max_epochs=4).probabilities
    assert_allclose(found, np.array([460, 400, 40]) / 900)


def test_unimax_without_need_of_a_limit_is_uniform():
    found = UniMax([1000, 100, 10], budget=30, max_epochs=1).probabilities
    assert_allclose(found, 1 / 3)


def test_unimax_with_too_large_a_budget_is_proportional():
    found = UniMax([60, 30, 10], budget=10**6, max_epochs=2).probabilities
    assert_allclose(found, [0.6, 0.3, 0.1])


@given(many_sizes, st.integers(1, 10**7), st.floats(0.5, 20.0))
def test_unimax_repeats_no_domain_too_often(sizes, budget, max_epochs):
    law = UniMax(sizes, budget, max_epochs)
    used = min(budget, max_epochs * sum(sizes)) * law.probabilities
    assert (used <= max_epochs * np.array(sizes) * (1 + 1e-9)).all()
    assert_allclose(law(0), law.probabilities)
    assert_allclose(law.probabilities.sum(), 1.0)


def test_unimax_keeps_the_order_of_its_domains():
    law, turned = UniMax([10, 1000, 100], 900, 4), UniMax([1000, 100, 10], 900, 4)
    assert_allclose(law.probabilities, turned.probabilities[[2, 0, 1]])


def test_unimax_compares_by_its_fields():
    assert UniMax(np.array([3, 2]), 5, 1) == UniMax([3, 2], 5, 1)
    assert UniMax([3, 2], 5, 1) != UniMax([3, 2], 6, 1)


def test_probabilities_of_unimax_cannot_be_overwritten():
    with pytest.raises(ValueError, match="read-only"):
        UniMax([3, 2], 5, 1).probabilities[0] = 1.0


# --------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    "sizes", [[], [3, 0], [3, -1], [[1, 2]], [np.nan, 1], [np.inf, 1], ["a"], None, 3]
)
@pytest.mark.parametrize(
    "function", [temperature_probs, scalarization_weights, gradient_variance_ratio]
)
def test_sizes_that_are_no_sizes_are_refused(function, sizes):
    with pytest.raises(ValueError, match=r"'sizes' of .* Got .*; leave empty domains"):
        function(sizes, 2.0)
    with pytest.raises(ValueError, match="'sizes' of UniMax"):
        UniMax(sizes, 10, 1)


@pytest.mark.parametrize("tau", [0.0, -1.0, np.nan])
@pytest.mark.parametrize(
    "function", [temperature_probs, scalarization_weights, gradient_variance_ratio]
)
def test_temperatures_that_are_not_positive_are_refused(function, tau):
    with pytest.raises(ValueError, match=r"The 'tau' of .* positive\. Got .*; pass 1"):
        function([3, 2], tau)


@pytest.mark.parametrize(
    "moments", [[1.0], [1.0, -1.0], [0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0], "ab"]
)
def test_second_moments_that_are_none_are_refused(moments):
    with pytest.raises(ValueError, match=r"'second_moments' of .* 2 finite numbers"):
        gradient_variance_ratio([3, 2], 2.0, moments)


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
def test_limits_of_unimax_that_are_not_positive_are_refused(value):
    with pytest.raises(ValueError, match="The 'budget' of UniMax"):
        UniMax([3, 2], value, 1)
    with pytest.raises(ValueError, match="The 'max_epochs' of UniMax"):
        UniMax([3, 2], 10, value)
