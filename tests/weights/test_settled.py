"""When a rule, or a schedule, has come to its last phase."""

from __future__ import annotations

import numpy as np
import pytest

from statlearn.schedules import (
    Concatenate,
    Constant,
    Cosine,
    InfiniteCosine,
    LinearCooldown,
    StepCooldown,
)
from statlearn.weights import (
    Chain,
    ClipRatio,
    Huber,
    InverseFrequency,
    KLTilt,
    LinUpper,
    SelfPaced,
    WeightingRule,
)


def settled_at(schedule, steps=400):
    """Return the first step from which the values stay, by looking at them all."""
    values = schedule(np.arange(steps))
    return steps - 1 - int(np.argmax(values[::-1] != values[-1])) + 1


@pytest.mark.parametrize(
    "schedule",
    [
        StepCooldown(5.0, 1.0, switch=10),
        StepCooldown(1.0, 5.0, n_steps=100),
        LinearCooldown(n_steps=40),
        Cosine(0.1, n_steps=100, warmup=10),
        InfiniteCosine(0.1, warmup=10, cooldown=60, constant=np.inf),
        Concatenate([Cosine(0.1, n_steps=20), Cosine(0.3, n_steps=30)]),
        Concatenate([Cosine(0.1, n_steps=20), Constant(0.3)]),
        Cosine(0.1, n_steps=100).anneal_from(20, 50),
    ],
    ids=["step", "up", "line", "cosine", "infinite", "twice", "jump", "annealed"],
)
def test_schedule_settles_with_its_last_value(schedule):
    first = settled_at(schedule)
    assert not schedule.settled(first - 1)
    assert schedule.settled(first)
    assert schedule.settled(10_000)


def test_constant_is_settled_at_once():
    assert Constant(0.1).settled(0)


def test_rule_waits_for_its_warm_up_and_its_schedule():
    assert Huber().settled(0)
    assert InverseFrequency().settled(0)
    assert [LinUpper(warmup=3).settled(step) for step in (2, 3)] == [False, True]
    rule = KLTilt(StepCooldown(switch=10), warmup=20)
    assert [rule.settled(step) for step in (12, 19, 20)] == [False, False, True]
    assert not KLTilt(lambda step: 1.0).settled(1000)


def test_self_paced_rule_waits_until_its_threshold_has_passed_all_losses():
    losses = [1.0, 4.0, np.inf]
    growing, falling = SelfPaced(2.0, growth=2.0), SelfPaced(2.0, growth=0.5)
    assert [growing.settled(step, losses) for step in (1, 2)] == [False, True]
    assert [falling.settled(step, losses) for step in (0, 1)] == [False, True]
    assert not growing.settled(1)
    assert SelfPaced(2.0).settled(0)
    assert SelfPaced(2.0, growth=2.0).settled(5000)


def test_chain_waits_for_all_of_its_rules():
    chain = Chain(LinUpper(warmup=3), Chain(KLTilt(warmup=5), ClipRatio()))
    assert [chain.settled(step) for step in (3, 4, 5)] == [False, False, True]

    def unknown(losses, **keywords):
        return np.ones(len(losses))

    assert not Chain(unknown, ClipRatio()).settled(100)


def test_rule_of_ones_own_inherits_the_answer():
    class Late(WeightingRule):
        def __init__(self, warmup=2):
            self.warmup = warmup

    assert [Late().settled(step) for step in (1, 2)] == [False, True]
