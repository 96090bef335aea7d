"""Temperatures fall from their first value to their last one, and rules take them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statlearn.schedules import (
    Constant,
    CosineCooldown,
    ExponentialCooldown,
    LinearCooldown,
    StepCooldown,
)
from statlearn.weights import KLTilt, Temperature, temperature_weights

GRADUAL = [LinearCooldown, CosineCooldown, ExponentialCooldown]


def test_step_cooldown_switches_at_half_of_the_run():
    schedule = StepCooldown(5, 1, 0.5, n_steps=60_000)
    assert schedule([0, 29_999, 30_000, 59_999]).tolist() == [5.0, 5.0, 1.0, 1.0]
    assert [schedule(29_999), schedule(30_000)] == [5.0, 1.0]
    names = schedule.phase_at([0, 29_999, 30_000, 10**6]).tolist()
    assert names == ["start", "start", "end", "end"]


@pytest.mark.parametrize(("n_steps", "first"), [(7, 4), (8, 4), (1, 1)])
def test_switch_between_two_steps_takes_effect_at_the_later_one(n_steps, first):
    schedule = StepCooldown(n_steps=n_steps)
    assert schedule([first - 1, first]).tolist() == [5.0, 1.0]


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_share_of_whole_steps_is_not_moved_by_rounding(percent):
    # 0.07 * 100 is a little more than 7, 0.29 * 100 a little less than 29.
    schedule = StepCooldown(switch=percent / 100, n_steps=100)
    assert schedule([percent - 1, percent]).tolist() == [5.0, 1.0]


@pytest.mark.parametrize("switch", [0, 0.0])
def test_switch_at_the_start_is_a_constant(switch):
    schedule = StepCooldown(switch=switch, n_steps=10)
    assert schedule([0, 1, 99]).tolist() == [1.0] * 3
    assert schedule.phase_at(0) == "end"


def test_switch_at_a_step_needs_no_length():
    assert StepCooldown(switch=3)([2, 3, 10**9]).tolist() == [5.0, 1.0, 1.0]
    assert LinearCooldown(switch=4)([0, 2, 4, 9]).tolist() == [5.0, 3.0, 1.0, 1.0]


def test_gradual_cooldowns_have_their_formulas():
    t = np.arange(61.0)
    run = {"n_steps": 60}
    assert_allclose(LinearCooldown(**run)(t), 5 + (1 - 5) * t / 60, rtol=1e-14)
    assert_allclose(ExponentialCooldown(**run)(t), 5 ** (1 - t / 60), rtol=1e-14)
    wave = 1 + (5 - 1) / 2 * (1 + np.cos(np.pi * t / 60))
    assert_allclose(CosineCooldown(**run)(t), wave, rtol=1e-14)


@pytest.mark.parametrize("cls", GRADUAL)
def test_gradual_cooldown_ends_at_the_switch(cls):
    schedule = cls(4.0, 2.0, switch=0.5, n_steps=100)
    assert schedule([0, 50, 51, 100, 1000]).tolist() == [4.0, 2.0, 2.0, 2.0, 2.0]
    assert schedule.phase_at([50, 51]).tolist() == ["cooling", "end"]


@pytest.mark.parametrize("cls", [StepCooldown, *GRADUAL])
def test_temperature_may_rise(cls):
    values = cls(1.0, 5.0, n_steps=10)(np.arange(11))
    assert (np.diff(values) >= -1e-15).all()
    assert (values[0], values[-1]) == (1.0, 5.0)


def test_infinite_temperature_samples_domains_alike_until_the_switch():
    assert StepCooldown(math.inf, n_steps=10)([0, 5]).tolist() == [math.inf, 1.0]


# ------------------------------------------------------------------ in other packages
def test_weighting_rule_takes_a_schedule_as_its_temperature():
    groups = ["a"] * 4 + ["b"]
    rule = Temperature(StepCooldown(5.0, n_steps=10))
    assert_array_equal(rule(groups, step=4), temperature_weights(groups, 5.0))
    assert_array_equal(rule(groups, step=5), temperature_weights(groups, 1.0))
    losses = [0.2, 1.0, 4.0]
    tilt = KLTilt(LinearCooldown(n_steps=10))
    assert_array_equal(tilt(losses, step=5), KLTilt(3.0)(losses))
    assert_array_equal(KLTilt(Constant(3.0))(losses, step=0), KLTilt(3.0)(losses))


# -------------------------------------------------------------------------- bad input
@pytest.mark.parametrize("cls", [StepCooldown, *GRADUAL])
@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"tau_start": 0.0}, ValueError, r"'tau_start'.* > 0.* Got 0.0; pass"),
        ({"tau_end": -1.0}, ValueError, r"'tau_end'.* Got -1.0"),
        ({"tau_end": math.nan}, ValueError, r"'tau_end'.* Got nan"),
        ({"tau_end": None}, TypeError, r"'tau_end'.* Got None of type"),
        ({"switch": 1.5}, ValueError, r"'switch'.* \[0, 1\].* Got 1.5; write steps"),
        ({"switch": -1}, ValueError, r"'switch'.* Got -1"),
        ({"switch": 11}, ValueError, r"switch <= n_steps. Got 11 = 11 of n_steps=10"),
        ({"n_steps": 0}, ValueError, r"'n_steps'.* at least 1. Got 0"),
    ],
)
def test_bad_field_is_refused_with_what_to_do(cls, fields, error, message):
    with pytest.raises(error, match=message):
        cls(**{"n_steps": 10} | fields)


@pytest.mark.parametrize("cls", GRADUAL)
def test_no_curve_starts_at_infinity(cls):
    with pytest.raises(
        ValueError, match=r"'tau_start'.* finite number > 0. Got inf; pass"
    ):
        cls(math.inf, n_steps=10)
