"""Policies written by hand reach the returns that they promise."""

from __future__ import annotations

import pytest

from statlearn.offline_rl import (
    TrajectoryDataset,
    register_environments,
    scripted_expert,
)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("Acrobot-v1", -110, -75),
        ("CartPole-v1", 500, 500),
        ("MountainCar-v0", -130, -105),
        ("MountainCarContinuous-v0", 85, 93),
        ("Pendulum-v1", -260, -60),
        ("statlearn/Corridor-v0", -30, -10),
    ],
)
def test_expert_solves_its_task(name, low, high):
    register_environments()
    found = TrajectoryDataset.rollout(
        name, scripted_expert(name), n_episodes=10, seed=0
    )
    assert low <= found.returns().mean() <= high


def test_unknown_task_is_refused():
    with pytest.raises(ValueError, match=r"must be one of \['Acrobot', .*'Ant-v5'"):
        scripted_expert("Ant-v5")
