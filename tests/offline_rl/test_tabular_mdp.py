"""Exact values, and policies as tables."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from random_walks import Graph
from statlearn.offline_rl import (
    Corridor,
    Lottery,
    ReturnWeighting,
    TabularMDP,
    TabularPolicy,
    TrajectoryDataset,
)
from trajectory_cases import dataset_of


def process_of(graph, initial):
    """The graph as a process with these shares of first states."""
    n_states, n_actions = graph.target.shape
    transition = np.zeros((n_states, n_actions, n_states))
    going = graph.target >= 0
    transition[(*np.nonzero(going), graph.target[going])] = 1.0
    return TabularMDP(transition, graph.reward, initial)


def one_state(actions, rewards):
    n = len(actions)
    return TrajectoryDataset.from_arrays(
        np.zeros(n, int), actions, np.asarray(rewards, float), [True] * n
    )


def test_return_of_the_implied_policy_is_that_of_the_weights():
    graph = Graph(8, 3, seed=4)
    data = graph.walks(60)
    weighting = ReturnWeighting(0.3).fit(data)
    policy = TabularPolicy.from_dataset(
        data, weighting=weighting, n_states=8, n_actions=3
    )
    p = weighting.transition_probability_
    first = np.bincount(data.initial_observations, weights=p, minlength=8)
    value = process_of(graph, first / first.sum()).value(policy)
    assert value == pytest.approx(weighting.expected_return_, abs=1e-9)
    row_weight = weighting.sample_weight()
    solved = graph.value_of_implied_policy(data, row_weight)
    assert value == pytest.approx(solved, abs=1e-9)


@pytest.mark.parametrize(("horizon", "value"), [(1, -1.0), (3, -3.0), (100, -5.0)])
def test_horizon_limits_the_steps(horizon, value):
    corridor = Corridor(11)
    exact = TabularMDP.from_env(corridor)
    starts = np.eye(11)[5]
    exact = TabularMDP(exact.transition, exact.reward, starts)
    left = TabularPolicy(np.tile([1.0, 0.0], (11, 1)))
    assert exact.value(left, horizon=horizon) == pytest.approx(value)


def test_discounted_value_is_a_geometric_sum():
    exact = TabularMDP(np.ones((1, 1, 1)), np.ones((1, 1)), np.ones(1))
    policy = TabularPolicy([[1.0]])
    assert exact.value(policy, gamma=0.9) == pytest.approx(10.0)
    assert exact.value(policy, gamma=0.9, horizon=2) == pytest.approx(1.9)


def test_best_policy_of_a_corridor_goes_left():
    exact = TabularMDP.from_env(Corridor())
    best = exact.optimal_policy()
    assert_array_equal(best.predict(np.arange(1, 40)), np.zeros(39))
    assert exact.value(best) == pytest.approx(-20.0)
    assert exact.value(best, horizon=100) == pytest.approx(-20.0)


def test_best_policy_without_discount_does_not_walk_in_circles():
    env = gymnasium.make("FrozenLake-v1", map_name="4x4", is_slippery=False)
    exact = TabularMDP.from_env(env)
    assert exact.value(exact.optimal_policy(gamma=1.0), horizon=6) == 1.0


def test_known_values_of_a_slippery_lake():
    env = gymnasium.make("FrozenLake-v1", map_name="8x8", is_slippery=True)
    exact = TabularMDP.from_env(env)
    best = exact.optimal_policy(gamma=0.99)
    assert exact.value(best, gamma=0.99) == pytest.approx(0.4146, abs=5e-5)
    assert exact.value(best, horizon=200) == pytest.approx(0.863, abs=5e-4)


def test_estimate_from_data_counts():
    data = TrajectoryDataset.from_episodes(
        {
            "observations": np.array(states),
            "actions": np.array(actions),
            "rewards": np.array(rewards),
            "terminated": True,
        }
        for states, actions, rewards in (
            ([0, 1, 2], [0, 1], [1.0, 2.0]),
            ([0, 0, 2], [0, 1], [3.0, 5.0]),
        )
    )
    process = TabularMDP.from_dataset(data)
    assert_allclose(process.transition[0, 0], [0.5, 0.5, 0.0])
    assert_allclose(process.transition[0, 1], [0.0, 0.0, 0.0])  # the episode ends
    assert_allclose(process.reward, [[2.0, 5.0], [0.0, 2.0], [0.0, 0.0]])
    assert_allclose(process.initial, [1.0, 0.0, 0.0])
    assert_array_equal(process.allowed, [[True, True], [False, True], [True, True]])
    strict = TabularMDP.from_dataset(data, policy_constraint=0.6)
    assert_array_equal(strict.allowed[0], [True, False])


@pytest.mark.parametrize(
    ("alpha", "seen", "share"),
    [
        (0.1, 0.999894078, 0.942466507),
        (0.5, 0.760004128, 0.467659865),
        (1.0, 0.538101526, 0.454063707),
    ],
)
def test_weighted_lottery_is_optimistic(alpha, seen, share):
    data = one_state(np.repeat([0, 1], 10), np.repeat([0.6, 1.0, 0.0], [10, 3, 7]))
    weighting = ReturnWeighting(alpha)
    process = TabularMDP.from_dataset(data, weighting=weighting)
    assert_allclose(process.reward, [[0.6, seen]], rtol=1e-8)
    policy = TabularPolicy.from_dataset(data, weighting=weighting)
    assert_allclose(policy.probability[0, 1], share, rtol=1e-8)
    truth = TabularMDP.from_env(Lottery())
    assert truth.optimal_policy().predict([0]) == [0]
    assert truth.value(process.optimal_policy()) == pytest.approx(
        0.3 if seen > 0.6 else 0.6
    )


def test_weights_for_actions_leave_the_process_plain():
    data = one_state(np.repeat([0, 1], 10), np.repeat([0.6, 1.0, 0.0], [10, 3, 7]))
    likely = TabularPolicy.from_dataset(data, weighting=ReturnWeighting())
    process = TabularMDP.from_dataset(data, behavior=likely, policy_constraint=0.5)
    assert_allclose(process.reward, [[0.6, 0.3]])
    assert_array_equal(process.allowed, [[False, True]])
    own = TabularMDP.from_dataset(data, policy_constraint=0.5)
    same = TabularMDP.from_dataset(
        data, behavior=TabularPolicy.from_dataset(data), policy_constraint=0.5
    )
    assert_array_equal(own.allowed, same.allowed)


def test_likely_action_must_have_been_taken():
    data = one_state([0, 1], [0, 0])
    for share, allowed in (
        ([0.0, 0.4, 0.6], [False, True, False]),
        ([0.0, 0.0, 1.0], [True, True, False]),
    ):
        table = TabularPolicy([share, share])
        process = TabularMDP.from_dataset(
            data, behavior=table, policy_constraint=0.5, n_states=2, n_actions=3
        )
        assert_array_equal(process.allowed, [allowed, [True] * 3])


def test_state_without_data_has_a_uniform_policy():
    policy = TabularPolicy.from_dataset(one_state([1, 1], [0, 0]), n_states=2)
    assert_allclose(policy.probability, [[0.0, 1.0], [0.5, 0.5]])


def test_table_draws_by_its_probabilities():
    policy = TabularPolicy([[0.25, 0.75]])
    rng = np.random.default_rng(0)
    drawn = [policy.act(0, rng) for _ in range(2000)]
    assert np.mean(drawn) == pytest.approx(0.75, abs=0.04)  # standard error 0.0097
    assert policy.predict([[0]]) == [1]
    again = policy.act_batch(np.zeros(2000, int), np.random.default_rng(0))
    assert_array_equal(again, drawn)


# --------------------------------------------------------------------------- refusals
def test_endless_episodes_need_a_horizon():
    endless = TabularMDP(np.ones((1, 1, 1)), np.ones((1, 1)), np.ones(1))
    with pytest.raises(ValueError, match="go on for ever; pass a horizon"):
        endless.value(TabularPolicy([[1.0]]))


@pytest.mark.parametrize("table", [[[0.5, 0.4]], [[1.5, -0.5]], [1.0]], ids=str)
def test_tables_that_are_no_probabilities_are_refused(table):
    with pytest.raises(ValueError, match="'probability' of TabularPolicy must be"):
        TabularPolicy(table)


def test_arrays_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="must have shapes"):
        TabularMDP(np.ones((2, 1, 2)) / 2, np.ones((1, 1)), np.ones(2) / 2)


@pytest.mark.parametrize("seen", [[0.5, 1.0], [-1, 0], [[0, 1], [1, 0]]], ids=str)
def test_observations_that_are_no_numbers_of_states_are_refused(seen):
    data = TrajectoryDataset.from_arrays(seen, [0, 1], [0.0, 0.0], [True, True])
    with pytest.raises(ValueError, match="expected observations that are integers"):
        TabularPolicy.from_dataset(data)


@pytest.mark.parametrize("placeholder", [-1, 7, np.nan])
def test_what_follows_a_termination_need_not_be_a_state(placeholder):
    data = dataset_of([(1.0, 2.0), (0.0, 3.0)], [[0], [0]])
    following = np.array([1.0, 0.0, 2.0, 0.0])
    seen = np.array([0.0, 1.0, 0.0, 2.0])
    data = replace(data, observations=seen, next_observations=following.copy())
    plain = TabularMDP.from_dataset(replace(data, next_observations=following))
    following[data.terminations] = placeholder
    found = TabularMDP.from_dataset(
        replace(data, next_observations=following), n_states=3
    )
    assert_array_equal(found.transition, plain.transition)
    assert_array_equal(found.reward, plain.reward)


@pytest.mark.parametrize("states", [[-1], [1.7], [2], [np.nan], [[0, 1]]], ids=str)
def test_policy_refuses_what_is_none_of_its_states(states):
    policy = TabularPolicy([[1.0, 0.0], [0.5, 0.5]])
    with pytest.raises(ValueError, match="observations that are integers from 0 to 2"):
        policy.predict_proba(states)


def test_policy_of_no_rows_has_none():
    assert TabularPolicy([[1.0, 0.0]]).predict_proba([]).shape == (0, 2)


def test_behavior_of_other_states_is_refused():
    with pytest.raises(ValueError, match=r"\(1, 1\) states and actions. Got \(2, 1\)"):
        TabularMDP.from_dataset(
            one_state([0], [0]), behavior=TabularPolicy([[1.0], [1.0]])
        )


def test_too_few_states_are_refused():
    with pytest.raises(ValueError, match="integers from 0 to 2 - 1"):
        TabularMDP.from_dataset(
            dataset_of([(1,), (1,), (1,)], [[0], [1], [2]]), n_states=2
        )


def test_environment_without_tables_is_refused():
    with pytest.raises(TypeError, match="must have the tables P"):
        TabularMDP.from_env(gymnasium.make("CartPole-v1"))


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_bad_constraint_is_refused(share):
    with pytest.raises(ValueError, match="'policy_constraint'"):
        TabularMDP.from_dataset(one_state([0], [0]), policy_constraint=share)
