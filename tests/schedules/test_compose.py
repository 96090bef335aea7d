"""Tasks follow each other, and a branch leaves the schedule it comes from alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statlearn.schedules import (
    Annealed,
    Concatenate,
    Constant,
    Cosine,
    InfiniteCosine,
    Linear,
    LinearCooldown,
    StepCooldown,
    WarmupStableDecay,
)

FIRST = Cosine(0.1, n_steps=100, warmup=10)
SECOND = Linear(0.05, n_steps=40, warmup=0.1)


# ------------------------------------------------------------------------------ tasks
def test_each_task_has_the_values_of_its_own_schedule():
    both = Concatenate([FIRST, SECOND])
    s = np.arange(1, 200)
    assert_array_equal(both(np.arange(101)), FIRST(np.arange(101)))
    assert_allclose(both(100 + s), SECOND(s), rtol=1e-14)
    assert both.n_steps == 140


def test_a_step_at_a_joint_is_the_last_of_the_task_that_ends_there():
    both = Concatenate([FIRST, SECOND])
    assert both(100) == FIRST(100) == FIRST.eta_min
    assert both.phase_at([100, 101]).tolist() == ["decay", "warmup"]
    assert both.task_at([0, 100, 101, 140, 999]).tolist() == [0, 0, 1, 1, 1]
    assert both.task_at(100) == 0
    assert (both(np.arange(1, 141)) > 0).all()


def test_every_task_warms_up_to_its_own_maximum_and_decays_again():
    tasks = Concatenate([FIRST, FIRST.over(50), FIRST])
    t = np.arange(251)
    assert tasks([10, 110, 160]).tolist() == [0.1] * 3
    assert tasks([100, 150, 250]).tolist() == [FIRST.eta_min] * 3
    assert_array_equal(np.bincount(tasks.task_at(t)), [101, 50, 100])


def test_concatenation_of_concatenations_is_flat():
    nested = Concatenate([Concatenate([FIRST, SECOND]), FIRST])
    flat = Concatenate([FIRST, SECOND, FIRST])
    t = np.arange(300)
    assert_array_equal(nested(t), flat(t))
    assert nested.n_steps == flat.n_steps == 240


def test_last_task_may_be_without_end():
    plateau = InfiniteCosine(0.1, warmup=10, cooldown=60, constant=math.inf)
    tasks = Concatenate([plateau.over(200), plateau])
    assert tasks.n_steps is None
    assert tasks.phase_at([150, 200, 201, 10**9]).tolist() == [
        "constant",
        "constant",
        "warmup",
        "constant",
    ]


@pytest.mark.parametrize("first", [Constant(0.1, n_steps=5), StepCooldown(n_steps=5)])
def test_a_schedule_without_end_is_cut_at_its_steps(first):
    tasks = Concatenate([first, Constant(7.0)])
    assert tasks([4, 5, 6]).tolist() == [first(4), first(5), 7.0]


def test_concatenate_takes_any_sequence_and_keeps_a_tuple():
    assert Concatenate([FIRST]).schedules == (FIRST,)
    assert Concatenate((FIRST, SECOND)) == Concatenate([FIRST, SECOND])


@pytest.mark.parametrize(
    ("schedules", "error", "message"),
    [
        ([], ValueError, r"'schedules'.* one Schedule or more. Got none; pass one"),
        ([FIRST, 0.1], TypeError, r"'schedules'.* Got 0.1; pass a list"),
        (None, TypeError, r"'schedules'.* Got None"),
        ([Cosine(0.1), FIRST], ValueError, r"n_steps of every .* call over"),
        (
            [StepCooldown(switch=3), FIRST],
            ValueError,
            r"every schedule but the last",
        ),
        ([FIRST, Cosine(0.1)], ValueError, r"Cosine expected n_steps.* call over"),
    ],
)
def test_bad_tasks_are_refused_with_what_to_do(schedules, error, message):
    with pytest.raises(error, match=message):
        Concatenate(schedules)


# ----------------------------------------------------------------------------- branch
PLATEAU = InfiniteCosine(3e-4, warmup=10, cooldown=600, constant=math.inf)
PARENTS = [
    PLATEAU,
    Constant(0.1, warmup=3),
    Cosine(0.1, n_steps=2000),
    WarmupStableDecay(0.1, n_steps=2000),
    LinearCooldown(n_steps=2000),
    Concatenate([FIRST, Cosine(0.2, n_steps=3000)]),
    Constant(0.1).anneal_from(900, 600),
]


@pytest.mark.parametrize("parent", PARENTS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("shape", ["exponential", "linear", "cosine", "sqrt"])
def test_branch_equals_its_schedule_up_to_the_step_and_then_falls(parent, shape):
    branch = parent.anneal_from(1000, 150, shape=shape)
    before = np.arange(1001)
    assert_array_equal(branch(before), parent(before))
    assert branch.phase_at(before).tolist() == parent.phase_at(before).tolist()
    after = branch(np.arange(1000, 1200))
    assert (np.diff(after) <= 0).all()
    assert after[0] > after[-1] == branch.eta_min == branch(1150)
    assert branch.phase_at([1001, 1150, 1151]).tolist() == ["anneal", "anneal", "end"]
    assert branch.n_steps == 1150


def test_exponential_branch_is_the_annealing_of_a_run_that_ends_there():
    # 10 + 600 + 240 steps, then 150 of annealing: a run of 1000 steps.
    run = InfiniteCosine(3e-4, n_steps=1000, warmup=10, cooldown=600, constant=240)
    t = np.arange(1100)
    assert_allclose(PLATEAU.anneal_from(850, 150)(t), run(t), rtol=1e-13)


def test_branch_ends_in_the_lowest_value_of_its_schedule_by_default():
    assert PLATEAU.anneal_from(700, 10).eta_min == PLATEAU.eta_min
    assert Constant(0.5).anneal_from(0, 10).eta_min == pytest.approx(0.05)
    assert LinearCooldown(n_steps=9).anneal_from(3, 5).eta_min == 1.0
    tasks = Concatenate([FIRST, SECOND])
    assert tasks.anneal_from(50, 10).eta_min == FIRST.eta_min
    assert tasks.anneal_from(120, 10).eta_min == SECOND.eta_min
    assert tasks.anneal_from(120, 10, eta_min=1e-9).eta_min == 1e-9


def test_branch_may_end_in_zero_along_a_line():
    branch = Constant(0.1).anneal_from(0, 10, eta_min=0, shape="linear")
    assert branch([0, 5, 10]).tolist() == [0.1, 0.05, 0.0]


def test_branch_is_a_task_like_any_other():
    tasks = Concatenate([Constant(0.1).anneal_from(50, 10), FIRST])
    assert_allclose(tasks([50, 60, 70]), [0.1, 0.01, 0.1], rtol=1e-14)
    assert tasks.n_steps == 160


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        ((-1, 10), {}, ValueError, r"'step' parameter of anneal_from.* at least 0"),
        ((1.5, 10), {}, TypeError, r"'step'.* integer. Got 1.5; pass an int"),
        ((700, 0), {}, ValueError, r"'n_steps' parameter of anneal_from.* Got 0"),
        ((700, 0.1), {}, TypeError, r"'n_steps'.* Got 0.1"),
        ((0, 10), {}, ValueError, r"'eta_min'.* at most the value at step 0.* lower"),
        ((700, 10), {"eta_min": 1.0}, ValueError, r"the value at step 700"),
        ((700, 10), {"eta_min": math.nan}, ValueError, r"'eta_min'.* Got nan"),
        (
            (700, 10),
            {"eta_min": 0.0},
            ValueError,
            r"exponential.* shape='linear'",
        ),
        ((700, 10), {"shape": "cubic"}, ValueError, r"'shape'.* Got 'cubic'"),
    ],
)
def test_bad_branch_is_refused_with_what_to_do(args, options, error, message):
    with pytest.raises(error, match=message):
        PLATEAU.anneal_from(*args, **options)


def test_only_a_schedule_can_be_annealed():
    with pytest.raises(
        TypeError, match=r"'schedule' of Annealed.* Got float; pass one"
    ):
        Annealed(0.1, 5, 5)
