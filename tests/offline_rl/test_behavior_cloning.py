"""Imitation with and without weights."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from statlearn.offline_rl import (
    BehaviorCloning,
    FittedQIteration,
    LinearReturnWeighting,
    ReturnWeighting,
    TopFraction,
    TrajectoryDataset,
)
from trajectory_cases import dataset_of, four


def bandit(actions, rewards, observations=None):
    """One step a trajectory."""
    n = len(actions)
    seen = np.zeros((n, 1)) if observations is None else observations
    return TrajectoryDataset.from_arrays(
        seen, actions, np.asarray(rewards, float), [True] * n
    )


def noisy(n=60, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    actions = (X[:, 0] + rng.normal(size=n) > 0).astype(int)
    return bandit(actions, rng.normal(size=n), X)


def test_probabilities_are_weighted_shares():
    data = bandit([0, 0, 1], [1.0, 0.0, 2.0])
    model = BehaviorCloning(
        DecisionTreeClassifier(), weighting=LinearReturnWeighting(base=0.5)
    ).fit(data)
    # Weights 1, 0.5 and 1.5.
    assert_allclose(model.predict_proba([[0.0]]), [[0.5, 0.5]])


def test_weights_equal_those_given_to_the_estimator():
    data = noisy()
    weighting = ReturnWeighting(0.5)
    model = BehaviorCloning(LogisticRegression(), weighting=weighting).fit(data)
    peer = LogisticRegression().fit(
        data.observations, data.actions, sample_weight=weighting.sample_weight(data)
    )
    X = data.observations
    assert_allclose(model.predict_proba(X), peer.predict_proba(X), rtol=1e-12)


def test_last_step_of_a_pipeline_gets_the_weights():
    data = noisy()
    weighting = ReturnWeighting(0.3)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    model = BehaviorCloning(pipeline, weighting=weighting).fit(data)
    peer = clone(pipeline).fit(
        data.observations,
        data.actions,
        logisticregression__sample_weight=weighting.sample_weight(data),
    )
    X = data.observations
    assert_allclose(model.predict_proba(X), peer.predict_proba(X), rtol=1e-12)


def test_transition_without_weight_brings_in_no_class():
    data = bandit([0, 1, 2], [2.0, 1.0, 0.0], [[0.0], [1.0], [2.0]])
    model = BehaviorCloning(LogisticRegression(), weighting=LinearReturnWeighting())
    model.fit(data)
    assert_array_equal(model.classes_, [0, 1])
    assert model.n_samples_ == 2
    assert model.predict_proba([[2.0]]).shape == (1, 2)


def test_single_action_is_a_constant_policy():
    data = bandit([0, 1, 0], [0.0, 1.0, 0.0])
    model = BehaviorCloning(LogisticRegression(), weighting=TopFraction(0.1)).fit(data)
    assert_array_equal(model.predict([[5.0], [-5.0]]), [1, 1])
    assert_array_equal(model.predict_proba([[5.0]]), [[1.0]])
    assert model.act([0.0], 0) == 1


def test_rows_are_drawn_by_weight_for_an_estimator_without_weights():
    data = bandit([0] * 30 + [1] * 30, np.repeat([0.0, 1.0], 30))
    near = KNeighborsClassifier(20)
    model = BehaviorCloning(
        near, weighting=LinearReturnWeighting(base=1.0), n_samples=3000, random_state=0
    ).fit(data)
    assert model.n_samples_ == 3000
    drawn = model.policy_.n_samples_fit_
    assert drawn == 3000
    # Weights 1 and 2: two thirds of the draws, with a standard error of 0.0086.
    assert np.mean(model.policy_._y) == pytest.approx(2 / 3, abs=0.035)
    weighted = BehaviorCloning(near, weighting=TopFraction(0.5), random_state=0).fit(
        data
    )
    assert weighted.n_samples_ == 30
    assert weighted.predict([[0.0]]) == [1]


def test_actions_for_several_observations_are_those_for_each():
    data = noisy()
    for policy in (LogisticRegression(), LinearSVC(), DecisionTreeRegressor()):
        model = BehaviorCloning(policy).fit(data)
        rng = np.random.default_rng(0)
        found = model.act_batch(data.observations, np.random.default_rng(0))
        assert_array_equal(found, [model.act(seen, rng) for seen in data.observations])


def test_draws_repeat_with_the_seed():
    data = noisy()
    tree = DecisionTreeClassifier(random_state=0)
    models = [
        BehaviorCloning(tree, n_samples=40, random_state=seed).fit(data)
        for seed in (3, 3, 4)
    ]
    first, second, third = (m.policy_.tree_.threshold.tolist() for m in models)
    assert first == second != third


@pytest.mark.parametrize("shape", [(), (1,), (3,)], ids=str)
def test_regressor_predicts_actions_of_the_shape_in_the_data(shape):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 2))
    actions = rng.normal(size=(20, *shape)).astype(np.float32)
    model = BehaviorCloning(LinearRegression()).fit(bandit(actions, np.zeros(20), X))
    found = model.predict(X)
    assert found.shape == actions.shape
    assert found.dtype == np.float32
    assert model.act(X[0]).shape == shape
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "classes_")


def test_drawn_actions_follow_the_probabilities():
    data = bandit([0, 0, 0, 2], np.zeros(4))
    model = BehaviorCloning(DecisionTreeClassifier()).fit(data)
    rng = np.random.default_rng(0)
    drawn = np.array([model.act([0.0], rng) for _ in range(2000)])
    assert set(drawn) == {0, 2}
    # A standard error of 0.0097.
    assert np.mean(drawn == 0) == pytest.approx(0.75, abs=0.04)
    greedy = clone(model).set_params(stochastic=False).fit(data)
    assert {int(greedy.act([0.0], rng)) for _ in range(20)} == {0}


def test_classifier_without_probabilities_acts_by_its_prediction():
    data = noisy()
    model = BehaviorCloning(LinearSVC()).fit(data)
    assert not hasattr(model, "predict_proba")
    row = data.observations[0]
    assert model.act(row, 0) == model.predict(row[None])[0]


def test_images_are_flattened():
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(12, 4, 4, 3), dtype=np.uint8)
    data = bandit(np.arange(12) % 3, np.zeros(12), images)
    model = BehaviorCloning(DecisionTreeClassifier()).fit(data)
    assert_array_equal(model.predict(images), np.arange(12) % 3)
    assert_array_equal(model.predict(images.reshape(12, -1)), np.arange(12) % 3)
    assert model.act(images[1], 0) == 1


def test_actions_in_a_column_keep_their_shape():
    data = bandit([[0], [1], [1]], np.zeros(3), [[0.0], [1.0], [2.0]])
    model = BehaviorCloning(DecisionTreeClassifier()).fit(data)
    assert_array_equal(model.predict([[0.0], [2.0]]), [[0], [1]])
    # An environment with discrete actions takes a number.
    assert model.act([0.0], 0).shape == ()
    for other in (
        BehaviorCloning(DecisionTreeClassifier(), stochastic=False),
        FittedQIteration(DecisionTreeRegressor(), n_iter=1),
    ):
        assert other.fit(data).act([2.0]) == 1
        assert other.act([2.0]).shape == ()
        assert other.predict([[2.0]]).shape == (1, 1)


def test_inputs_stay_as_they_were():
    data, before = noisy(), noisy()
    weighting = ReturnWeighting()
    BehaviorCloning(LogisticRegression(), weighting=weighting).fit(data)
    assert data == before
    assert not hasattr(weighting, "returns_")


def test_weighting_is_searched_like_any_parameter():
    model = BehaviorCloning(LogisticRegression(), weighting=ReturnWeighting())
    model.set_params(weighting__alpha=0.7, policy__C=3.0)
    assert (clone(model).weighting.alpha, clone(model).policy.C) == (0.7, 3.0)


# --------------------------------------------------------------------------- refusals
def test_data_of_another_kind_is_refused():
    with pytest.raises(TypeError, match=r"expected a TrajectoryDataset\. Got list"):
        BehaviorCloning(LogisticRegression()).fit([1, 2])


def test_continuous_actions_are_refused_for_a_classifier():
    data = bandit([0.5, 1.5], np.zeros(2))
    with pytest.raises(ValueError, match=r"expected discrete actions.*regressor"):
        BehaviorCloning(LogisticRegression()).fit(data)


def test_unfitted_policy_does_not_predict():
    model = BehaviorCloning(LogisticRegression())
    for method in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError):
            getattr(model, method)([[0.0]])
    with pytest.raises(NotFittedError):
        model.act([0.0])


@pytest.mark.parametrize("seen", [[0.0, 1.0], [[0.0, 1.0]], 3.0], ids=str)
def test_observations_of_another_shape_are_refused(seen):
    model = BehaviorCloning(DecisionTreeClassifier()).fit(dataset_of([(1,), (2,)]))
    with pytest.raises(ValueError, match=r"must be numbers of shape \(m, 1\)"):
        model.predict(seen)


@pytest.mark.parametrize(
    "bad", [{"weighting": "return"}, {"n_samples": 0}, {"stochastic": 2}], ids=str
)
def test_bad_parameters_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        BehaviorCloning(LogisticRegression(), **bad).fit(four())
