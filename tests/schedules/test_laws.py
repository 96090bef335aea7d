"""Laws that every schedule keeps; a new one joins the list."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from statlearn import schedules
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
from statlearn.weights import Temperature
from stub_tensor import Tensor

N = 500
RATES = [
    Linear,
    Cosine,
    Exponential,
    InfiniteCosine,
    InfiniteInvSqrt,
    WarmupStableDecay,
]
COOLDOWNS = [StepCooldown, LinearCooldown, CosineCooldown, ExponentialCooldown]
SCHEDULES = [
    Constant(0.1, warmup=20),
    *(cls(0.1, n_steps=N, warmup=20) for cls in RATES),
    *(cls(n_steps=N) for cls in COOLDOWNS),
    InfiniteCosine(0.1, warmup=20, cooldown=60, constant=math.inf),
    Concatenate([Cosine(0.1, n_steps=300), Linear(0.2, n_steps=200, warmup=0.013)]),
    Constant(0.1, n_steps=N).anneal_from(400, 100),
]


def each(schedules):
    return pytest.mark.parametrize(
        "schedule", schedules, ids=lambda s: type(s).__name__
    )


every = each(SCHEDULES)
one_task = each([s for s in SCHEDULES if not isinstance(s, Concatenate)])


def test_every_public_schedule_is_on_the_list():
    public = {getattr(schedules, name) for name in schedules.__all__}
    concrete = {cls for cls in public if dataclasses.is_dataclass(cls)}
    assert concrete == {type(schedule) for schedule in SCHEDULES}


# --------------------------------------------------------------------------- look-ups
@every
def test_one_step_gives_a_float_and_an_array_an_array(schedule):
    for step in (3, 3.0, np.int64(3), np.float32(3), np.array(3)):
        assert type(schedule(step)) is float
        assert schedule(step) == schedule(3)
        assert type(schedule.phase_at(step)) is str
    steps = np.arange(6, dtype=np.int32).reshape(2, 3)
    values = schedule(steps)
    assert values.shape == schedule.phase_at(steps).shape == (2, 3)
    assert values.dtype == np.float64
    assert schedule([]).shape == (0,)


@every
def test_array_of_steps_has_the_values_of_single_steps(schedule):
    steps = np.concatenate([np.arange(0.0, 1.5 * N), np.arange(0.0, N, 0.37)])
    one_by_one = [schedule(float(step)) for step in steps]
    assert_allclose(schedule(steps), one_by_one, rtol=1e-13)
    names = [schedule.phase_at(float(step)) for step in steps]
    assert schedule.phase_at(steps).tolist() == names


@every
def test_order_and_repetition_of_steps_change_nothing(schedule):
    steps = np.random.default_rng(0).integers(0, 2 * N, size=1000)
    assert_array_equal(schedule(steps), schedule(np.arange(2 * N))[steps])


@every
def test_last_value_is_held_for_ever(schedule):
    last = schedule(10 * N)
    assert schedule([10 * N, 10**15, math.inf]).tolist() == [last] * 3
    assert schedule(10**18) == last


@every
def test_a_tensor_gives_a_tensor(schedule):
    steps = Tensor(np.arange(30, dtype=np.float32), device="cuda", requires_grad=True)
    values = schedule(steps)
    assert isinstance(values, Tensor)
    assert (values.device, values.dtype) == ("cuda", np.float32)
    assert_allclose(values.data, schedule(np.arange(30)), rtol=1e-6)
    assert schedule(Tensor(np.array(7))) == schedule(7)


@every
def test_steps_are_not_changed(schedule):
    steps = np.arange(10.0)
    schedule(steps)
    schedule.phase_at(steps)
    assert_array_equal(steps, np.arange(10.0))


# ----------------------------------------------------------------------------- shapes
def joints(schedule):
    """Half-steps at which the name of the phase changes."""
    steps = np.arange(0, 2 * N, 0.5)
    names = schedule.phase_at(steps)
    return steps[1:][names[1:] != names[:-1]]


@each([s for s in SCHEDULES if not isinstance(s, (Concatenate, StepCooldown))])
def test_phases_join_without_a_jump(schedule):
    for joint in joints(schedule):
        near = joint + np.linspace(-1.0, 1.0, 20_001)
        change = np.abs(np.diff(schedule(near)))
        # Steepest is the square-root like start of a decay, smooth over 1e-4 steps.
        assert change.max() < 1e-5 * schedule(np.arange(N)).max() + 1e-12


@one_task
def test_values_fall_after_the_warmup_and_rise_in_it(schedule):
    steps = np.arange(2 * N)
    rising = schedule.phase_at(steps) == "warmup"
    values = schedule(steps)
    assert (np.diff(values[rising]) > 0).all()
    assert (np.diff(values[~rising]) <= 1e-15 * values.max()).all()


@every
def test_phases_follow_each_other_once(schedule):
    names = schedule.phase_at(np.arange(2 * N)).tolist()
    changes = [names[0]] + [b for a, b in pairwise(names) if a != b]
    tasks = len(getattr(schedule, "schedules", "1"))
    assert len(changes) >= 2
    assert all(changes.count(name) <= tasks for name in changes)


rates = st.floats(1e-6, 1e3)
ratios = st.floats(1e-6, 1.0)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([InfiniteCosine, InfiniteInvSqrt]),
    rates,
    st.tuples(ratios, ratios),
    st.integers(20, 10**6),
    st.tuples(st.floats(0, 0.2), st.floats(0.1, 0.4), st.floats(0, 0.3)),
    st.floats(0, 2),
)
def test_infinite_rates_stay_between_their_limits(cls, top, below, n, lengths, where):
    plateau = top * below[0]
    bottom = plateau * below[1]
    names = ("warmup", "cooldown", "constant")
    schedule = cls(
        top,
        eta_min=bottom,
        eta_const=plateau,
        n_steps=n,
        **dict(zip(names, lengths, strict=True)),
    )
    value = schedule(where * n)
    lowest = {"warmup": 0.0, "cooldown": plateau, "constant": plateau}
    phase = schedule.phase_at(where * n)
    slack = 1e-12 * top
    assert lowest.get(phase, bottom) - slack <= value <= top + slack
    assert schedule(n) == pytest.approx(bottom, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([Linear, Cosine, Exponential]),
    rates,
    ratios,
    st.integers(2, 10**6),
    st.floats(0, 0.9),
    st.floats(0.1, 10),
)
def test_values_scale_with_their_unit(cls, top, ratio, n, warmup, unit):
    run = {"n_steps": n, "warmup": warmup}
    steps = np.linspace(0, 1.2 * n, 50)
    one = cls(top, eta_min=ratio * top, **run)(steps)
    other = cls(unit * top, eta_min=unit * ratio * top, **run)(steps)
    assert_allclose(other, unit * one, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 1000), min_size=1, max_size=5), st.floats(0, 1))
def test_tasks_of_any_length_cover_every_step_once(lengths, where):
    task = Cosine(0.1, warmup=0.1)
    tasks = Concatenate([task.over(n) for n in lengths])
    step = 1 + int(where * (sum(lengths) - 1))
    k = tasks.task_at(step)
    own = step - sum(lengths[:k])
    assert 1 <= own <= lengths[k]
    assert tasks(step) == pytest.approx(task.over(lengths[k])(own), rel=1e-9)


# ------------------------------------------------------------------------------ state
@every
def test_state_survives_pickle_copy_and_json(schedule):
    steps = np.arange(2 * N)
    for again in (
        pickle.loads(pickle.dumps(schedule)),
        copy.copy(schedule),
        copy.deepcopy(schedule),
        dataclasses.replace(schedule),
        Schedule.from_dict(schedule.to_dict()),
        Schedule.from_dict(json.loads(json.dumps(schedule.to_dict()))),
        eval(repr(schedule), {**vars(schedules), "inf": math.inf}),
    ):
        assert type(again) is type(schedule)
        assert again == schedule
        assert hash(again) == hash(schedule)
        assert_array_equal(again(steps), schedule(steps))


@every
def test_asdict_names_every_field(schedule):
    fields = {field.name for field in dataclasses.fields(schedule)}
    assert {*dataclasses.asdict(schedule)} == fields
    assert {*schedule.to_dict()} == fields | {"class"}


@every
def test_schedule_is_frozen(schedule):
    name = dataclasses.fields(schedule)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(schedule, name, 1.0)
    with pytest.raises((AttributeError, TypeError)):
        schedule.brand_new = 1.0


@every
def test_rule_with_a_schedule_can_be_cloned(schedule):
    assert clone(Temperature(schedule)).temperature == schedule


@every
def test_loading_a_checkpoint_confirms_the_schedule(schedule):
    # As LambdaLR of PyTorch does with a function that is an object.
    saved = json.loads(json.dumps(schedule.__dict__.copy()))
    assert saved == schedule.to_dict()
    schedule.__dict__.update(saved)
    other = schedule.anneal_from(50, 10)
    with pytest.raises(ValueError, match=r"stored state must be that.*from_dict\("):
        other.__dict__.update(saved)


def test_numbers_of_numpy_become_plain():
    schedule = Cosine(np.float32(0.5), n_steps=np.int64(100), warmup=np.int32(5))
    types = [type(value) for value in dataclasses.astuple(schedule)]
    assert types == [float, float, int, int]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class": "Cubic"}, r"'class' in .* must be one of .* Got 'Cubic'; pass"),
        ({"class": "Spanned"}, r"Got 'Spanned'"),
        ({"class": None}, r"Got None"),
        ({"eta_const": 1.0}, r"'state'.* must have the fields .* for Cosine. Got"),
    ],
)
def test_unknown_state_is_refused(change, message):
    state = Cosine(0.1, n_steps=10).to_dict() | change
    with pytest.raises(ValueError, match=message):
        Schedule.from_dict(state)


def test_incomplete_state_is_refused():
    state = Cosine(0.1, n_steps=10).to_dict()
    del state["warmup"]
    with pytest.raises(ValueError, match=r"must have the fields .*'warmup'"):
        Schedule.from_dict(state)


# -------------------------------------------------------------------------- templates
@pytest.mark.parametrize("cls", [*RATES, *COOLDOWNS])
def test_template_becomes_a_schedule_of_any_length(cls):
    template = cls() if cls in COOLDOWNS else cls(0.1)
    steps = np.arange(2 * N)
    for n_steps in (N, 2 * N):
        assert_array_equal(
            template.over(n_steps)(steps),
            dataclasses.replace(template, n_steps=n_steps)(steps),
        )
    assert template.n_steps is None
    assert template.is_template
    assert not template.over(N).is_template
    for look in (template, template.phase_at):
        for step in (3, [3]):
            with pytest.raises(ValueError, match=r"expected n_steps.*=None; pass n_st"):
                look(step)


def test_template_knows_bad_fields_before_it_has_a_length():
    with pytest.raises(ValueError, match="'warmup'"):
        Cosine(0.1, warmup=-1)
    with pytest.raises(ValueError, match="'eta_min'"):
        InfiniteCosine(0.1, eta_min=1.0)


# -------------------------------------------------------------------------- bad steps
@every
@pytest.mark.parametrize("step", [-1, -1e-9, math.nan, [3, -1], [math.nan, 3]])
def test_negative_or_missing_step_is_refused(schedule, step):
    name = type(schedule).__name__
    for look in (schedule, schedule.phase_at):
        with pytest.raises(
            ValueError, match=rf"'step' of {name} .* Got .*; count steps"
        ):
            look(step)


@every
@pytest.mark.parametrize("step", [None, "3", True, [1 + 2j], {}])
def test_step_that_is_no_number_is_refused(schedule, step):
    name = type(schedule).__name__
    for look in (schedule, schedule.phase_at):
        with pytest.raises(TypeError, match=rf"'step' of {name} .*; pass for example"):
            look(step)
