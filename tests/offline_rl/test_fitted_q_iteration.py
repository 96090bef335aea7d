"""Values of actions, and policies among those that the data take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from random_walks import Graph
from statlearn.offline_rl import (
    BehaviorCloning,
    FittedQIteration,
    ReturnWeighting,
    TabularPolicy,
    TopFraction,
    TrajectoryDataset,
)
from trajectory_cases import four

TREE = DecisionTreeRegressor(random_state=0)
COUNTS = DecisionTreeClassifier(random_state=0)


def q_of(graph, gamma, n_iter):
    """Optimal values of a deterministic process after so many sweeps."""
    q = np.zeros(graph.target.shape)
    for _ in range(n_iter):
        ahead = np.where(graph.target >= 0, q.max(axis=1)[graph.target], 0.0)
        q = graph.reward + gamma * ahead
    return q


@pytest.mark.parametrize("n_iter", [1, 2, 30])
def test_values_are_those_of_value_iteration(n_iter):
    graph = Graph(6, 3, seed=1)
    data = graph.walks(300)  # of all states and actions
    model = FittedQIteration(
        TREE, policy_constraint=0.0, gamma=0.9, n_iter=n_iter, behavior=COUNTS
    ).fit(data)
    found = model.action_values(np.arange(6))
    assert_allclose(found, q_of(graph, 0.9, n_iter), rtol=1e-9, atol=1e-9)
    assert_array_equal(model.predict(np.arange(6)), np.argmax(found, axis=1))
    assert model.n_iter_ == n_iter


def two_armed(counts, rewards):
    """One state: each action so often, with its reward."""
    actions = np.repeat(np.arange(len(counts)), counts)
    return TrajectoryDataset.from_arrays(
        np.zeros((len(actions), 1)),
        actions,
        np.repeat(np.asarray(rewards, float), counts),
        [True] * len(actions),
    )


@pytest.mark.parametrize(
    ("constraint", "action"),
    [(0.0, 2), (0.3, 2), (0.4, 1), (0.5, 1), (0.6, 0), (1.0, 0)],
)
def test_rare_action_is_not_allowed(constraint, action):
    data = two_armed([60, 30, 20], [0.0, 1.0, 2.0])  # shares 1, 1/2, 1/3 of the largest
    model = FittedQIteration(TREE, policy_constraint=constraint, behavior=COUNTS)
    assert model.fit(data).predict([[0.0]]) == [action]
    assert_array_equal(model.predict_proba([[0.0]]), np.eye(3)[[action]])
    assert model.act([0.0]) == action


def test_future_is_valued_among_allowed_actions_only():
    data = TrajectoryDataset.from_episodes(
        {
            "observations": np.array([[0.0], [1.0], [2.0]]),
            "actions": np.array([0, action]),
            "rewards": np.array([0.0, float(action)]),
            "terminated": True,
        }
        for action in (0, 0, 0, 1)
    )
    for constraint, value in ((0.5, 0.0), (0.3, 0.5)):
        model = FittedQIteration(
            TREE, policy_constraint=constraint, gamma=0.5, n_iter=2, behavior=COUNTS
        ).fit(data)
        assert model.action_values([[0.0]])[0, 0] == value


def test_truncated_episode_has_a_future():
    options = {
        "observations": [[0.0], [0.0]],
        "actions": [0, 0],
        "rewards": [1.0, 1.0],
        "next_observations": [[0.0], [0.0]],
    }
    ends = TrajectoryDataset.from_arrays(**options, terminals=[True, True])
    cut = TrajectoryDataset.from_arrays(
        **options, terminals=[False, False], timeouts=[True, True]
    )
    model = FittedQIteration(TREE, gamma=0.5, n_iter=60)
    assert model.fit(ends).action_values([[0.0]]) == [[1.0]]
    assert_allclose(model.fit(cut).action_values([[0.0]]), [[2.0]])


def test_what_follows_a_termination_does_not_matter():
    data = four()
    following = data.next_observations.astype(float)
    following[data.terminations] = np.nan
    model = FittedQIteration(LinearRegression(), n_iter=3, policy_constraint=0.0)
    plain = clone(model).fit(data)
    found = model.fit(replace(data, next_observations=following))
    rows = data.observations
    assert_array_equal(found.action_values(rows), plain.action_values(rows))


def test_weights_choose_what_is_allowed():
    data = two_armed([90, 10], [0.0, 1.0])
    plain = FittedQIteration(TREE, behavior=COUNTS)
    weighted = clone(plain).set_params(weighting=ReturnWeighting())
    assert plain.fit(data).predict([[0.0]]) == [0]
    assert weighted.fit(data).predict([[0.0]]) == [1]


def test_weighted_values_of_a_lottery_are_optimistic():
    """Half of the data safe at 0.6, half a lottery of mean 0.3."""
    actions = np.repeat([0, 1], 10)
    data = TrajectoryDataset.from_arrays(
        np.zeros((20, 1)), actions, np.repeat([0.6, 1.0, 0.0], [10, 3, 7]), [True] * 20
    )
    plain = FittedQIteration(TREE, behavior=COUNTS)
    weighted = clone(plain).set_params(weighting=ReturnWeighting(0.5))
    assert_allclose(plain.fit(data).action_values([[0.0]]), [[0.6, 0.3]])
    found = weighted.fit(data).action_values([[0.0]])
    assert_allclose(found, [[0.6, 0.760004128]], rtol=1e-8)
    assert weighted.predict([[0.0]]) == [1]


def test_action_without_weight_does_not_exist():
    data = two_armed([5, 5, 5], [0.0, 1.0, 2.0])
    model = FittedQIteration(TREE, weighting=TopFraction(0.1)).fit(data)
    assert_array_equal(model.classes_, [2])
    assert model.predict([[0.0]]) == [2]


def test_rows_are_drawn_for_a_regressor_without_weights():
    data = two_armed([40, 40], [0.0, 1.0])
    model = FittedQIteration(
        KNeighborsRegressor(1), weighting=TopFraction(0.5), random_state=0
    ).fit(data)
    assert model.n_samples_ == 40
    model = FittedQIteration(TREE, n_samples=25, random_state=0).fit(data)
    assert model.n_samples_ == 25


def test_fits_repeat_with_the_seed():
    data = Graph(6, 3, seed=1).walks(100)
    values = [
        FittedQIteration(TREE, n_samples=50, random_state=7, n_iter=3)
        .fit(data)
        .action_values(np.arange(6))
        for _ in range(2)
    ]
    assert_array_equal(*values)


@pytest.mark.parametrize("numbered", [True, False], ids=["numbered", "continuous"])
def test_behavior_is_linear_by_default_and_separate_for_numbered_states(numbered):
    """Action 1 only in the middle one of three states, which no line can tell."""
    state = np.tile([0, 1, 2], 300)
    data = TrajectoryDataset.from_arrays(
        state if numbered else state[:, None] * 1e4,
        (state == 1).astype(int),
        np.zeros(900),
        np.ones(900, bool),
    )
    model = FittedQIteration(TREE, n_iter=1).fit(data)
    kinds = [type(step).__name__ for _, step in model.behavior_.steps]
    scaler = "OneHotEncoder" if numbered else "StandardScaler"
    assert kinds == [scaler, "LogisticRegression"]
    share = model.behavior_.predict_proba(data.observations.reshape(-1, 1)[:3])[:, 1]
    assert_allclose(share, [0, 1, 0] if numbered else 1 / 3, atol=0.02)


def test_default_behavior_keeps_a_rare_expert_sharp():
    """An action is excluded on the wrong side of the border that the expert draws."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 4)) * [1.0, 0.1, 10.0, 1.0]
    side = X @ [3.0, 10.0, 0.05, 1.0]
    actions = (side > 0).astype(int)
    data = TrajectoryDataset.from_arrays(
        X, actions, np.zeros(4000), np.ones(4000, bool)
    )
    model = FittedQIteration(TREE, n_iter=1).fit(data)
    clear = np.abs(side) > 0.5
    other = np.eye(2)[1 - actions].astype(bool)
    allowed = model._allowed(X)[clear]
    assert allowed[~other[clear]].all()
    assert allowed[other[clear]].mean() < 0.01


def test_policy_of_the_data_in_all_forms():
    data = two_armed([90, 10], [0.0, 1.0])
    cloned = BehaviorCloning(COUNTS, weighting=ReturnWeighting())
    fitted = clone(cloned).fit(data)
    share = fitted.predict_proba([[0.0]])
    assert share[0, 1] > 0.99
    for policy in (cloned, fitted, TabularPolicy(share), FrozenEstimator(fitted)):
        model = FittedQIteration(TREE, behavior=policy).fit(data)
        assert_array_equal(model.behavior_.predict_proba([[0]]), share)
        assert model.predict([[0.0]]) == [1]
    assert not hasattr(cloned, "policy_")
    model = FittedQIteration(TREE, behavior=fitted).fit(data)
    assert model.behavior_ is fitted


def test_weights_for_actions_leave_values_plain():
    """A lottery that wins 1 in three of ten, and a safe reward of 0.6."""
    data = TrajectoryDataset.from_arrays(
        np.zeros((20, 1)),
        np.repeat([0, 1], 10),
        np.repeat([0.6, 1.0, 0.0], [10, 3, 7]),
        [True] * 20,
    )
    apart = FittedQIteration(
        TREE, behavior=BehaviorCloning(COUNTS, weighting=ReturnWeighting())
    ).fit(data)
    assert_allclose(apart.action_values([[0.0]]), [[0.6, 0.3]])
    assert_allclose(apart.behavior_.predict_proba([[0.0]])[0, 1], 0.942466507)
    together = FittedQIteration(TREE, behavior=COUNTS, weighting=ReturnWeighting())
    assert_allclose(
        together.fit(data).action_values([[0.0]]), [[0.6, 0.999894078]], rtol=1e-8
    )


def test_action_that_the_policy_of_the_data_does_not_take_is_not_allowed():
    data = two_armed([60, 30, 20], [0.0, 1.0, 2.0])
    best = BehaviorCloning(COUNTS, weighting=TopFraction(0.1))  # of the last action
    table = TabularPolicy([[0.4, 0.0, 0.0, 0.6]])
    for policy, action in ((best, 2), (table, 0)):
        model = FittedQIteration(TREE, behavior=policy).fit(data)
        assert_array_equal(model.classes_, [0, 1, 2])
        assert model.predict([[0.0]]) == [action]


@pytest.mark.parametrize("numbered", [True, False], ids=["numbered", "continuous"])
def test_default_behavior_is_weighted_also_with_metadata_routing(numbered):
    rng = np.random.default_rng(0)
    state = rng.integers(4, size=200)
    data = TrajectoryDataset.from_arrays(
        state if numbered else state[:, None] + rng.normal(size=(200, 1)),
        rng.integers(2, size=200),
        rng.normal(size=200),
        [True] * 200,
    )
    model = FittedQIteration(TREE, n_iter=1, weighting=ReturnWeighting(0.2))
    X = data.observations.reshape(200, 1)
    expected = clone(model).fit(data).behavior_.predict_proba(X)
    with config_context(enable_metadata_routing=True):
        found = model.fit(data).behavior_.predict_proba(X)
    assert_allclose(found, expected, rtol=1e-12)
    plain = clone(model).set_params(weighting=None).fit(data)
    assert np.abs(plain.behavior_.predict_proba(X) - expected).max() > 0.05


def test_actions_for_several_observations_are_those_for_each():
    data = Graph(6, 3, seed=1).walks(60)
    model = FittedQIteration(TREE, n_iter=3).fit(data)
    found = model.act_batch(np.arange(6))
    assert_array_equal(found, [model.act(state) for state in range(6)])


def test_continuous_actions_are_refused():
    data = TrajectoryDataset.from_arrays([[0.0]], [0.5], [1.0], [True])
    with pytest.raises(ValueError, match="expected discrete actions"):
        FittedQIteration(TREE).fit(data)


def test_unfitted_model_does_not_predict():
    with pytest.raises(NotFittedError):
        FittedQIteration(TREE).predict([[0.0]])


@pytest.mark.parametrize(
    "bad",
    [{"policy_constraint": 1.5}, {"gamma": -0.1}, {"n_iter": 0}, {"weighting": 3}],
    ids=str,
)
def test_bad_parameters_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        FittedQIteration(TREE, **bad).fit(four())
