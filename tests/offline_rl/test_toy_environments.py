"""Environments that are registered with gymnasium."""

from __future__ import annotations

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import statlearn.offline_rl
from statlearn.offline_rl import (
    Corridor,
    Lottery,
    TrajectoryDataset,
    register_environments,
)


@pytest.mark.parametrize("name", ["statlearn/Corridor-v0", "statlearn/Lottery-v0"])
def test_environment_keeps_the_contract_of_gymnasium(name):
    register_environments()
    check_env(gymnasium.make(name).unwrapped, skip_render_check=True)


def test_corridor_starts_anywhere_but_at_the_goal():
    env = Corridor(5)
    starts = [env.reset(seed=0)[0]] + [env.reset()[0] for _ in range(400)]
    share = np.bincount(starts, minlength=5) / 401
    assert share[0] == 0.0
    assert np.abs(share[1:] - 0.25).max() < 0.08  # standard error 0.022


def test_corridor_ends_at_the_left_and_is_closed_at_the_right():
    env = Corridor(4)
    assert env.reset(options={"state": 3})[0] == 3
    assert env.step(1)[:3] == (3, -1.0, False)
    assert env.step(0)[:3] == (2, -1.0, False)
    env.step(0)
    assert env.step(0)[:3] == (0, -1.0, True)


def test_corridor_is_cut_after_a_hundred_steps():
    register_environments()
    data = TrajectoryDataset.rollout(
        "statlearn/Corridor-v0", lambda state: 1, n_episodes=1, seed=0
    )
    assert data.n_transitions == 100
    assert data.truncations[-1]
    assert not data.terminations.any()


def test_lottery_wins_as_often_as_it_says():
    env = Lottery()
    env.reset(seed=0)
    gains = [env.step(1)[1] for _ in range(2000)]
    assert set(gains) == {0.0, 1.0}
    assert np.mean(gains) == pytest.approx(0.3, abs=0.04)  # standard error 0.0102
    assert env.step(0) == (0, 0.6, True, False, {})


def test_bad_parameters_are_refused():
    with pytest.raises(ValueError, match="'length' of Corridor must be at least 2"):
        Corridor(1)
    with pytest.raises(ValueError, match="'chance' of Lottery must lie in"):
        Lottery(chance=1.5)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Maze'"):
        _ = statlearn.offline_rl.Maze


LATE = {
    "not loaded": "import statlearn.offline_rl; assert 'gymnasium' not in sys.modules",
    "loaded before": "import gymnasium, statlearn.offline_rl; "
    "gymnasium.make('statlearn/Lottery-v0')",
    "class imported": "from statlearn.offline_rl import Corridor; import gymnasium; "
    "gymnasium.make('statlearn/Lottery-v0')",
    "by module": "import gymnasium; gymnasium.make("
    "'statlearn.offline_rl.toy_environments:statlearn/Corridor-v0')",
}
# Each runs in a child of one interpreter that has only loaded what all of them need.
EACH_IN_A_CHILD = f"""
import os, sys
import sklearn.linear_model
for name, code in {LATE}.items():
    if os.fork() == 0:
        exec(code)
        os._exit(0)
    print(name, os.wait()[1], sep=":", flush=True)
"""


def test_gymnasium_is_loaded_late_and_knows_the_names():
    code = [sys.executable, "-c", EACH_IN_A_CHILD]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [f"{name}:0" for name in LATE], done.stderr
