"""Trajectories collected from an environment."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from statlearn.offline_rl import TrajectoryDataset

rollout = TrajectoryDataset.rollout


class Counter(gymnasium.Env):
    """Count steps in one array that is written over; end at the action 1."""

    def __init__(self, observation_space=None):
        self.observation_space = gymnasium.spaces.Box(0, 99, (1,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)
        self.state = np.zeros(1, np.float32)
        self.seeds = []

    def reset(self, *, seed=None, options=None):
        self.seeds.append(seed)
        self.state[:] = 0
        return self.state, {}

    def step(self, action):
        self.state += 1
        return self.state, float(self.state[0]), bool(action == 1), False, {}


def expert(observation):
    position, speed, angle, turn = observation
    return int(3 * angle + turn + 0.1 * speed + 0.05 * position > 0)


def test_expert_keeps_the_pole_up():
    dataset = rollout("CartPole-v1", expert, n_episodes=2, seed=0)
    assert_array_equal(dataset.returns(), [500, 500])
    assert_array_equal(np.flatnonzero(dataset.truncations), [499, 999])
    assert not dataset.terminations.any()
    assert dataset.observations.dtype == np.float32
    assert dataset.actions.dtype == np.int64
    assert_array_equal(dataset.next_observations[:499], dataset.observations[1:500])


def test_seed_decides_everything():
    first, again, other = (
        rollout("CartPole-v1", n_episodes=5, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_episodes_differ_from_each_other():
    env = Counter()
    rollout(env, lambda seen: 1, n_episodes=3, seed=0)
    assert env.seeds[0] is not None
    assert env.seeds[1:] == [None, None]
    dataset = rollout("CartPole-v1", n_episodes=20, seed=0)
    assert len(np.unique(dataset.initial_observations, axis=0)) == 20


def test_rows_do_not_share_the_array_of_the_environment():
    dataset = rollout(Counter(), lambda seen: int(seen[0] >= 2), n_episodes=2, seed=0)
    assert_array_equal(dataset.observations[:, 0], [0, 1, 2] * 2)
    assert_array_equal(dataset.next_observations[:, 0], [1, 2, 3] * 2)
    assert_array_equal(dataset.returns(), [6, 6])


def test_steps_are_rounded_up_to_whole_episodes():
    dataset = rollout(Counter(), lambda seen: int(seen[0] >= 2), n_steps=7, seed=0)
    assert_array_equal(dataset.lengths, [3, 3, 3])


def test_endless_episodes_are_cut_off():
    dataset = rollout(
        Counter(), lambda seen: 0, n_episodes=2, max_episode_steps=4, seed=0
    )
    assert_array_equal(dataset.lengths, [4, 4])
    assert_array_equal(dataset.truncations, [0, 0, 0, 1] * 2)


def test_object_with_act_gets_a_generator():
    class Coin:
        def act(self, observation, rng):
            return rng.integers(2)

    first, again = (rollout(Counter(), Coin(), n_episodes=9, seed=3) for _ in range(2))
    assert first == again
    assert len(set(first.lengths)) > 1


class Parity:
    """Push by the sign of the angle; remember how many were asked for at once."""

    def __init__(self):
        self.sizes = []

    def act_batch(self, observations, rng):
        self.sizes.append(len(observations))
        return (observations[:, 2] > 0).astype(int)


def test_environments_side_by_side_play_whole_episodes_from_seeds_of_their_own():
    policy = Parity()
    dataset = rollout("CartPole-v1", policy, n_episodes=5, n_envs=3, seed=7)
    rounds = dataset.lengths[:3], dataset.lengths[3:]
    sizes = [
        int(np.sum(lengths > step))
        for lengths in rounds
        for step in range(max(lengths))
    ]
    assert policy.sizes == sizes
    assert (dataset.terminations | dataset.truncations).sum() == 5
    seeds = np.random.default_rng(7).integers(2**31, size=3)
    env = gymnasium.make("CartPole-v1")
    for seed, episode in zip(seeds, dataset, strict=False):
        observation, _ = env.reset(seed=int(seed))
        for seen, action in zip(episode.observations, episode.actions, strict=True):
            assert_array_equal(seen, observation)
            observation, *_ = env.step(action)


def test_one_environment_does_not_depend_on_how_actions_are_asked_for():
    policy = Parity()
    one = rollout("CartPole-v1", policy, n_episodes=3, seed=0)
    assert set(policy.sizes) == {1}
    each = rollout("CartPole-v1", lambda seen: int(seen[2] > 0), n_episodes=3, seed=0)
    assert one == each


def test_steps_side_by_side_stop_at_the_episode_that_completes_them():
    dataset = rollout("CartPole-v1", n_steps=300, n_envs=4, seed=0)
    total = np.cumsum(dataset.lengths)
    assert total[-2] < 300 <= total[-1]
    few = rollout("CartPole-v1", n_episodes=2, n_envs=9, seed=0)
    assert len(few) == 2


def test_copies_that_fail_are_told():
    class Single(Counter):
        def __deepcopy__(self, memo):
            raise RuntimeError("one of a kind")

    assert len(rollout(Single(), lambda seen: 1, n_episodes=2)) == 2
    with pytest.raises(TypeError, match="Got Single, which gave RuntimeError"):
        rollout(Single(), lambda seen: 1, n_episodes=2, n_envs=2)


def test_parts_of_an_observation_are_flattened_for_the_policy_too():
    space = gymnasium.spaces.Dict(
        {"b": gymnasium.spaces.Box(0, 99, (2,)), "a": gymnasium.spaces.Discrete(3)}
    )

    def parts(state):
        return {"b": np.array([state[0], -state[0]], np.float32), "a": 1}

    env = gymnasium.wrappers.TransformObservation(Counter(), parts, space)
    seen = []
    dataset = rollout(
        env, lambda observation: seen.append(observation) or 1, n_episodes=1, seed=0
    )
    assert_array_equal(dataset.observations, [[0, 1, 0, 0, 0]])
    assert_array_equal(seen[0], dataset.observations[0])


@pytest.mark.parametrize(
    ("space", "action"),
    [
        (gymnasium.spaces.Discrete(2), [1]),
        (gymnasium.spaces.Discrete(2), np.array([[1]])),
        (gymnasium.spaces.MultiDiscrete([2]), 1),
        (gymnasium.spaces.Box(0, 1, (1,)), np.float64(1.0)),
    ],
    ids=["list", "table", "number", "column"],
)
def test_actions_reach_the_environment_in_its_shape(space, action):
    env = Counter()
    env.action_space = space
    taken, step = [], env.step
    env.step = lambda value: taken.append(value) or step(value)
    dataset = rollout(env, lambda observation: action, n_episodes=1, seed=0)
    assert np.shape(taken[0]) == space.shape
    assert dataset.actions.shape == (1, *space.shape)
    if space.shape == ():
        assert {taken[0]: "a key of a table"}[1]


def test_action_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"actions of shape \(\). Got shape \(2,\)"):
        rollout(Counter(), lambda observation: [0, 1], n_episodes=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "expected n_episodes or n_steps. Got neither"),
        ({"n_episodes": 1, "n_steps": 1}, "Got both"),
        ({"n_episodes": 0}, "The 'n_episodes' of .*>= 1"),
        ({"n_steps": 5, "max_episode_steps": 0}, "The 'max_episode_steps' of"),
        ({"n_steps": 5, "n_envs": 0}, "The 'n_envs' of .*>= 1"),
    ],
    ids=range(5),
)
def test_bad_counts_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        rollout(Counter(), **options)


def test_what_is_no_environment_or_policy_is_refused():
    vector = gymnasium.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")
    with pytest.raises(TypeError, match="not a vector of environments"):
        rollout(vector, n_episodes=1)
    with pytest.raises(TypeError, match="The 'policy' of"):
        rollout(Counter(), 3, n_episodes=1)
    env = Counter()
    env.action_space = gymnasium.spaces.Tuple((gymnasium.spaces.Discrete(2),))
    with pytest.raises(ValueError, match="actions that are arrays or numbers"):
        rollout(env, n_episodes=1)
