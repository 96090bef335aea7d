"""Exponential tilting against known answers and a general convex solver."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq
from scipy.special import logsumexp

from statlearn.weights import KLTilt, kl_tilt_weights, tilted_loss
from worst_case import FIVE, measure, sample, shares, worst_case


# ------------------------------------------------------------------------ known answers
def test_tilt_of_five_losses():
    expected = [0.0116562310, 0.0316849208, 0.0861285444, 0.2341216573, 0.6364086466]
    assert_allclose(kl_tilt_weights(FIVE, 1.0) / 5, expected, atol=1e-10)
    assert_allclose(tilted_loss(FIVE, 1.0), 3.8424764835, atol=1e-10)


def test_negative_tilt_of_five_losses():
    expected = [0.4286555288, 0.2599927207, 0.1576935564, 0.0956459768, 0.0580122174]
    assert_allclose(kl_tilt_weights(FIVE, -2.0) / 5, expected, atol=1e-10)


@pytest.mark.parametrize(
    ("temperature", "location"), [(20.0, 4.4537714330), (-20.0, 1.1409472942)]
)
def test_tilted_location_is_the_mean_under_its_own_weights(temperature, location):
    y = np.array([0.0, 1.0, 10.0])

    def excess(m):
        weights = kl_tilt_weights(0.5 * (y - m) ** 2, temperature)
        return np.average(y, weights=weights) - m

    assert_allclose(brentq(excess, 0.0, 5.0, xtol=1e-13), location, atol=1e-9)


# --------------------------------------------------------------------- a general solver
@pytest.mark.parametrize("base_seed", [None, 5])
@pytest.mark.parametrize("seed", range(3))
def test_tilt_solves_the_penalised_problem(seed, base_seed):
    losses = sample(seed)
    base, p = measure(len(losses), base_seed)
    q, value = worst_case(losses, p, price=lambda d: 3.0 * (p @ cp.kl_div(d, 1.0)))
    weights = kl_tilt_weights(losses, 3.0, base_weight=base)
    assert_allclose(shares(weights), q, atol=1e-6)
    assert_allclose(tilted_loss(losses, 3.0, base_weight=base), value, rtol=1e-8)


# ------------------------------------------------------------------------------- limits
def test_infinite_temperature_gives_base_weights_and_their_mean():
    assert_array_equal(kl_tilt_weights(FIVE, np.inf), np.ones(5))
    assert_array_equal(kl_tilt_weights(FIVE, -np.inf), np.ones(5))
    assert_allclose(tilted_loss(FIVE, np.inf, base_weight=[0, 1, 0, 0, 1]), 3.5)


# ----------------------------------------------------------------------------- numerics
@pytest.mark.parametrize("scale", [1e300, 1e-300, 1.7e308])
def test_huge_and_tiny_losses_give_finite_weights(scale):
    weights = kl_tilt_weights(scale * np.array([-1.0, 0.0, 0.5, 1.0]))
    assert np.all(np.isfinite(weights))
    assert_allclose(weights.sum(), 4.0)


@pytest.mark.parametrize("shift", [-1e6, 3.0, 1e9])
def test_tilt_does_not_depend_on_the_origin(shift):
    losses = np.array([0.0, 0.5, 2.0])  # exact in binary after the shift
    for r in (1e-3, 1.0, -0.3):
        assert_array_equal(
            kl_tilt_weights(losses + shift, r), kl_tilt_weights(losses, r)
        )
        assert_allclose(
            tilted_loss(losses + shift, r), tilted_loss(losses, r) + shift, rtol=1e-15
        )


def test_equal_losses_give_base_weights():
    assert_array_equal(kl_tilt_weights(np.full(4, 1e300)), np.ones(4))
    base = [1.0, 2.0, 0.5]
    weights = kl_tilt_weights([0.3, 0.3, 0.3], base_weight=base)
    assert_allclose(weights, base, rtol=1e-15)


def test_one_row_has_weight_one():
    assert_array_equal(kl_tilt_weights([3.0]), [1.0])


@pytest.mark.parametrize("temperature", [1e-3, 0.1, 30.0, 1e8, 1e15, -0.1, -1e10])
def test_tilted_loss_keeps_its_digits_at_every_temperature(temperature):
    losses, p = sample(4), measure(25, 2)[1]
    mean = p @ losses
    variance = p @ (losses - mean) ** 2
    if abs(temperature) > 1e6:
        expected = mean + variance / (2.0 * temperature)
    else:
        expected = temperature * logsumexp(losses / temperature, b=p)
    found = tilted_loss(losses, temperature, base_weight=p)
    assert_allclose(found, expected, rtol=1e-12)


def test_derivative_of_the_tilted_loss_is_the_weights():
    losses, base = sample(2), measure(25, 7)[0]
    weights = shares(kl_tilt_weights(losses, 2.0, base_weight=base))
    h = 1e-5
    slopes = [
        (
            tilted_loss(losses + h * e, 2.0, base_weight=base)
            - tilted_loss(losses - h * e, 2.0, base_weight=base)
        )
        / (2 * h)
        for e in np.eye(25)
    ]
    assert_allclose(slopes, weights, atol=1e-9)


# --------------------------------------------------------------------------- properties
@given(
    losses=arrays(np.float64, st.integers(2, 12), elements=st.floats(-1e6, 1e6)),
    r=st.floats(1e-3, 1e6),
    sign=st.sampled_from([-1, 1]),
)
def test_tilted_loss_lies_between_mean_and_extreme(losses, r, sign):
    value = sign * tilted_loss(losses, sign * r)
    slack = 1e-12 * np.abs(losses).max() + 1e-300
    assert (sign * losses).mean() - slack <= value <= (sign * losses).max() + slack


# ---------------------------------------------------------------------------- the class
@pytest.mark.parametrize("temperature", [2.0, -2.0])
def test_rule_gives_the_numbers_of_its_function(temperature):
    rule, base = KLTilt(temperature), measure(5, 1)[0]
    assert_array_equal(
        rule(FIVE, base_weight=base),
        kl_tilt_weights(FIVE, temperature, base_weight=base),
    )
    rule.set_params(warmup=3)
    assert_array_equal(rule(FIVE, step=2), np.ones(5))
    assert_array_equal(rule(FIVE, step=3), kl_tilt_weights(FIVE, temperature))


def test_temperature_may_be_a_schedule():
    rule = KLTilt(lambda step: 10.0 / (1 + step))
    assert_array_equal(rule(FIVE, step=4), kl_tilt_weights(FIVE, 2.0))
    with pytest.raises(ValueError, match="'step' of KLTilt must be a number"):
        rule(FIVE)


# ------------------------------------------------------------------------------- errors
@pytest.mark.parametrize("temperature", [0.0, -0.0, np.nan])
@pytest.mark.parametrize("function", [kl_tilt_weights, tilted_loss])
def test_temperature_of_zero_is_refused(function, temperature):
    with pytest.raises(ValueError, match=r"'temperature' of .* other than zero. Got"):
        function(FIVE, temperature)


@pytest.mark.parametrize("function", [tilted_loss, kl_tilt_weights])
@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ([[1.0, 2.0]], r"must have shape \(n,\)"),
        ([], r"must have shape \(n,\)"),
        ([1.0, np.nan], "must be finite. Got NaN or infinity in 1 of 2"),
    ],
)
def test_bad_losses_are_refused_by_name(function, losses, message):
    with pytest.raises(ValueError, match=f"'losses' of {function.__name__} {message}"):
        function(losses)


def test_tilted_loss_refuses_bad_base_weights():
    with pytest.raises(ValueError, match="'base_weight' of tilted_loss"):
        tilted_loss(FIVE, 1.0, base_weight=[1.0, -1.0, 1.0, 1.0, 1.0])


def test_tilt_towards_a_row_of_next_to_no_weight():
    weights = kl_tilt_weights([10.0, 0.0], 1e-3, base_weight=[1e-305, 1.0])
    assert_array_equal(weights, [1.0, 0.0])
    weights = kl_tilt_weights([10.0, 0.0], 1e-3, base_weight=[1e-310, 1.0])
    assert_array_equal(weights, [0.0, 1.0])
