"""States that are none, and schedules at the edge of what is one."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statlearn.schedules import (
    Concatenate,
    Constant,
    Cosine,
    CosineCooldown,
    Exponential,
    ExponentialCooldown,
    InfiniteCosine,
    InfiniteInvSqrt,
    Linear,
    LinearCooldown,
    Schedule,
    StepCooldown,
    WarmupStableDecay,
)

DECAYS = [Linear, Cosine, Exponential, WarmupStableDecay]
INFINITE = [InfiniteCosine, InfiniteInvSqrt]
COOLDOWNS = [StepCooldown, LinearCooldown, CosineCooldown, ExponentialCooldown]


# ------------------------------------------------------------------------------ names
@pytest.mark.parametrize(
    ("cls", "names"),
    [
        (Constant, "eta_max n_steps warmup"),
        (Linear, "eta_max eta_min n_steps warmup"),
        (Cosine, "eta_max eta_min n_steps warmup"),
        (Exponential, "eta_max eta_min n_steps warmup"),
        (WarmupStableDecay, "eta_max eta_min n_steps warmup cooldown shape"),
        (InfiniteCosine, "eta_max eta_min eta_const n_steps warmup cooldown constant"),
        (
            InfiniteInvSqrt,
            "eta_max eta_min eta_const n_steps warmup cooldown constant timescale",
        ),
        *((cls, "tau_start tau_end switch n_steps") for cls in COOLDOWNS),
    ],
)
def test_fields_have_the_names_that_states_are_saved_under(cls, names):
    fields = [field.name for field in dataclasses.fields(cls)]
    assert fields == names.split()


# ----------------------------------------------------------------------------- states
@pytest.mark.parametrize("state", [None, [], "Cosine", 3])
def test_states_that_are_no_dict_are_refused(state):
    with pytest.raises(TypeError, match=r"'state' of .* must be a dict\. Got .*; pass"):
        Schedule.from_dict(state)


def test_states_with_values_that_are_none_are_refused():
    state = Cosine(0.1, n_steps=10).to_dict()
    with pytest.raises(TypeError, match=r"'eta_max' of Cosine .* Got '0\.1'"):
        Schedule.from_dict(state | {"eta_max": "0.1"})


# ----------------------------------------------------------------------- shortest runs
@pytest.mark.parametrize("cls", [*DECAYS, *INFINITE])
def test_a_run_of_one_step_ends_with_it(cls):
    schedule = cls(0.1, n_steps=1, warmup=0)
    end = 0.1 * math.exp(-0.693) if cls is Exponential else 0.01
    assert_allclose(schedule([0, 1, 2]), [0.1, end, end], rtol=1e-14)


@pytest.mark.parametrize("cls", [Linear, Cosine, Exponential, *INFINITE])
def test_a_warmup_over_the_whole_run_is_refused(cls):
    for warmup in (1, 1.0):
        with pytest.raises(ValueError, match="since its last phase needs steps too"):
            cls(0.1, n_steps=1, warmup=warmup)


@pytest.mark.parametrize("cls", INFINITE)
def test_phases_that_leave_nothing_to_anneal_are_refused(cls):
    phases = {"warmup": 1, "cooldown": 60, "constant": 39}
    with pytest.raises(ValueError, match=r"1 \+ 60 \+ 39 = 100 of n_steps=100; short"):
        cls(0.1, n_steps=100, **phases)
    assert cls(0.1, n_steps=101, **phases)([100, 101]).tolist() == pytest.approx(
        [0.055, 0.01]
    )


@pytest.mark.parametrize("cls", INFINITE)
def test_a_plateau_may_have_no_steps(cls):
    schedule = cls(0.1, n_steps=100, warmup=0, cooldown=60, constant=0)
    assert_allclose(schedule([0, 60, 100]), [0.1, 0.055, 0.01])
    assert schedule.phase_at([60, 61]).tolist() == ["cooldown", "anneal"]


# --------------------------------------------------------------- integers and floats
@pytest.mark.parametrize("cls", COOLDOWNS)
def test_a_switch_of_one_is_a_step_and_of_one_point_zero_the_whole_run(cls):
    steps = np.arange(9)
    one, whole = cls(switch=1, n_steps=8)(steps), cls(switch=1.0, n_steps=8)(steps)
    assert one.tolist() == [5.0] + [1.0] * 8
    assert whole[7] > 1.0
    assert whole[8] == 1.0
    assert_array_equal(whole, cls(switch=8, n_steps=8)(steps))
    assert_array_equal(whole, cls(switch=np.float32(1.0), n_steps=8)(steps))
    assert_array_equal(one, cls(switch=np.int8(1), n_steps=np.int16(8))(steps))


@pytest.mark.parametrize("cls", COOLDOWNS)
@pytest.mark.parametrize("switch", [True, None, "0.5", [1]])
def test_switches_that_are_no_numbers_are_refused(cls, switch):
    with pytest.raises(TypeError, match=r"'switch' parameter of .* Got .*; pass one"):
        cls(switch=switch, n_steps=8)


@pytest.mark.parametrize("cls", [LinearCooldown, CosineCooldown, ExponentialCooldown])
def test_extreme_temperatures_are_passed_without_overflow(cls):
    values = cls(5e-324, 1e308, n_steps=4)(np.arange(6))
    assert (np.diff(values) >= 0).all()
    assert values[[0, 4, 5]].tolist() == [5e-324, 1e308, 1e308]


@pytest.mark.parametrize("cls", [Constant, *DECAYS, *INFINITE])
def test_runs_of_any_length_are_looked_up_exactly(cls):
    schedule = cls(0.1, n_steps=10**18, warmup=0.01)
    assert schedule(10**16) == 0.1
    assert schedule(10**18) == schedule(2 * 10**18) == schedule(10**30)


def test_tasks_of_one_step_follow_each_other():
    tasks = Concatenate([Constant(0.1, n_steps=1), Constant(0.2, n_steps=1)])
    assert tasks([0, 1, 2, 3]).tolist() == [0.1, 0.1, 0.2, 0.2]
    with pytest.raises(ValueError, match=r"'step' of Concatenate .* Got nan"):
        tasks.task_at(math.nan)


@pytest.mark.parametrize("cls", [*DECAYS, *INFINITE])
def test_a_branch_after_the_end_starts_from_the_last_value(cls):
    schedule = cls(0.1, n_steps=10, warmup=0)
    branch = schedule.anneal_from(30, 5, eta_min=1e-3)
    assert branch(30) == schedule(10)
    assert branch(35) == 1e-3
