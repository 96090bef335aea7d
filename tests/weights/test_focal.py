"""Focal weights against probabilities written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from statlearn.weights import Focal, focal_weights

FIVE = np.arange(1.0, 6.0)


def test_focal_weights_of_known_probabilities():
    p = np.array([0.9, 0.5, 0.1])
    raw = np.array([0.01, 0.25, 0.81])
    assert_allclose(focal_weights(-np.log(p)), raw / raw.mean(), rtol=1e-13)
    assert_allclose(focal_weights(-np.log(p), 0.5), 3 * raw**0.25 / sum(raw**0.25))


def test_exponent_zero_gives_base_weights_even_at_loss_zero():
    assert_array_equal(focal_weights([0.0, 1.0, 2.0], 0.0), np.ones(3))


def test_rows_without_loss_count_alike():
    assert_array_equal(focal_weights(np.zeros(3)), np.ones(3))
    assert_array_equal(focal_weights([0.0, -0.0, 1.0]), [0.0, 0.0, 3.0])


@pytest.mark.parametrize("gamma", [0.5, 2.0, 900.0])
def test_tiny_log_losses_keep_their_ratios(gamma):
    # 1 - exp(-l) is l to all digits
    weights = focal_weights([1e-300, 2e-300], gamma)
    assert_allclose(weights[0], weights[1] * 0.5**gamma, rtol=1e-11)


def test_huge_log_losses_have_equal_weights():
    assert_array_equal(focal_weights([1e300, 50.0, 800.0]), np.ones(3))


@given(
    losses=arrays(np.float64, 8, elements=st.floats(0.0, 50.0)),
    gamma=st.floats(0.0, 10.0),
)
def test_focal_weights_rise_with_the_loss(losses, gamma):
    weights = focal_weights(np.sort(losses), gamma)
    assert np.all(np.diff(weights) >= -1e-14 * weights.max())


def test_negative_log_loss_is_refused():
    with pytest.raises(ValueError, match=r"log losses, which are >= 0. Got -0\.5"):
        Focal()([1.0, -0.5])


@pytest.mark.parametrize("gamma", [-1.0, np.inf, np.nan])
def test_exponent_must_be_finite_and_not_negative(gamma):
    with pytest.raises(ValueError, match="'gamma' of focal_weights must be a finite"):
        focal_weights(FIVE, gamma)


def test_rule_gives_the_numbers_of_its_function():
    rule, base = Focal(1.5), np.array([1.0, 0.5, 2.0, 0.0, 3.0])
    assert_array_equal(
        rule(FIVE, base_weight=base), focal_weights(FIVE, 1.5, base_weight=base)
    )
    rule.set_params(warmup=3)
    assert_array_equal(rule(FIVE, step=2), np.ones(5))
    assert_array_equal(rule(FIVE, step=3), focal_weights(FIVE, 1.5))
