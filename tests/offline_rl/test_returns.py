"""Returns, and what weights say about them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from statlearn.offline_rl import positive_sided_variance
from statlearn.offline_rl._returns import (
    discounted_returns,
    effective_transitions,
    transition_entropy,
)
from statlearn.weights import effective_sample_size

RETURNS = [6.0, 3.0, 2.0, 10.0]
VALUES = [6.807692307692, 2.192307692308, 2.538461538462, 9.461538461538]


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.99, 1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_return_is_the_discounted_sum_with_the_tail(gamma, dtype):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, size=20)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    rewards = rng.integers(-9, 9, size=offsets[-1]).astype(dtype)
    tail = rng.normal(size=20)
    expected = [
        np.polynomial.polynomial.polyval(gamma, np.append(part.astype(float), last))
        for part, last in zip(np.split(rewards, offsets[1:-1]), tail, strict=True)
    ]
    assert_allclose(discounted_returns(rewards, offsets, tail, gamma), expected)


def test_rewards_of_low_precision_are_summed_in_double_precision():
    rewards = np.full(1_000_000, 0.1, np.float32)
    found = discounted_returns(rewards, np.array([0, 1_000_000]), np.zeros(1), 1.0)
    assert found[0] == pytest.approx(1_000_000 * float(np.float32(0.1)), rel=1e-9)


def test_effective_size_and_entropy_count_transitions():
    lengths, p = np.array([3, 1, 2]), np.array([0.1, 0.5, 0.1])
    rows = np.repeat(p, lengths)
    expected = effective_sample_size(rows)
    assert effective_transitions(p, lengths) == pytest.approx(expected)
    assert transition_entropy(p, lengths) == pytest.approx(stats.entropy(rows))


def test_effective_size_of_tiny_probabilities():
    p = np.array([1e-200, 1e-200])
    assert effective_transitions(p, np.array([2, 3])) == pytest.approx(5.0)


# ---------------------------------------------------------- positive-sided variance
def test_positive_sided_variance_of_four_returns():
    assert positive_sided_variance(RETURNS) == 5.78125
    assert positive_sided_variance(RETURNS, unit=True) == 0.09033203125
    residual = positive_sided_variance(RETURNS, VALUES)
    assert residual == pytest.approx(0.23557692307692324, rel=1e-10)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20),
    st.floats(0.01, 100.0),
)
def test_both_sides_make_the_variance_and_a_unit_changes_nothing(returns, factor):
    values = np.array(returns)
    both = positive_sided_variance(values) + positive_sided_variance(-values)
    assert_allclose(both, values.var(), rtol=1e-9, atol=1e-9)
    if np.ptp(values) > 1e-3:
        found = positive_sided_variance(values * factor, unit=True)
        assert_allclose(found, positive_sided_variance(values, unit=True), rtol=1e-6)


def test_huge_returns_overflow_only_where_they_must():
    huge = [0.0, 0.0, 0.0, 1e300]
    assert positive_sided_variance(huge) == np.inf
    assert positive_sided_variance(huge, unit=True) == pytest.approx(0.75**2 / 4)


def test_equal_returns_have_no_variance():
    assert positive_sided_variance([2.0, 2.0]) == 0.0
    assert positive_sided_variance([2.0, 2.0], unit=True) == 0.0
    assert positive_sided_variance([0.0]) == 0.0


@pytest.mark.parametrize(
    ("returns", "baseline", "name"),
    [
        ([], None, "returns"),
        ([1.0, np.nan], None, "returns"),
        ([[1.0]], None, "returns"),
        ([1.0, 2.0], [1.0], "baseline"),
        ([1.0, 2.0], [1.0, np.inf], "baseline"),
    ],
)
def test_what_is_no_list_of_returns_is_refused(returns, baseline, name):
    with pytest.raises(ValueError, match=f"The '{name}' of positive_sided_variance"):
        positive_sided_variance(returns, baseline)
