"""The scale of residuals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from statlearn.utils._scale import mad

VALUES = st.lists(st.integers(-4, 4), min_size=1, max_size=9)


def test_six_residuals_have_the_known_scale():
    residuals = np.array([-3.0, -1.0, 0.0, 1.0, 2.0, 10.0])
    assert mad(residuals) == pytest.approx(2.2239033278, rel=1e-10)


def test_scale_of_a_normal_sample_is_its_deviation():
    residuals = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    assert mad(residuals) == pytest.approx(1.0, abs=1e-4)


def test_residuals_are_not_centred():
    assert mad(np.full(5, 2.0)) == pytest.approx(2.0 * 1.482602218505602)


@given(VALUES, st.data(), st.sampled_from([1.0, 0.1, 1e-3, 7.3]))
def test_integer_weight_is_repetition_on_any_scale(values, data, unit):
    counts = data.draw(st.lists(st.integers(0, 3), min_size=9, max_size=9))
    counts = np.array(counts[: len(values)])
    if not counts.any():
        counts[0] = 1
    residuals = np.array(values, dtype=float)
    expected = mad(np.repeat(residuals, counts))
    assert mad(residuals, counts * unit) == pytest.approx(expected, rel=1e-12)


def test_equal_halves_of_the_weight_give_the_mean_of_both():
    scale = mad(np.array([1.0, 3.0]), np.array([0.3, 0.3]))
    assert scale == pytest.approx(2.0 * 1.482602218505602)
