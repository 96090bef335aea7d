"""Values of policies from trajectories of others."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from statlearn.exceptions import DegenerateWeightsWarning
from statlearn.offline_rl import (
    BehaviorCloning,
    TabularMDP,
    TabularPolicy,
    TrajectoryDataset,
    estimate_value,
)
from statlearn.offline_rl._fitted_evaluation import StateMeans
from statlearn.offline_rl._importance import cumulative_log_ratio, per_decision
from statlearn.offline_rl._learning import default_behavior
from trajectory_cases import dataset_of

SAMPLING = ["is", "wis", "pdis", "wpdis"]
TREE = DecisionTreeRegressor(random_state=0)


def pair():
    """Two trajectories with rewards (1, 0) and (0, 1)."""
    return dataset_of([(1, 0), (0, 1)])


# Ratios (2, 1/2) and (1/2, 1/2).
RATIOS = ([1.0, 0.25, 0.25, 0.25], [0.5, 0.5, 0.5, 0.5])


def estimate(data, method, ratios, **options):
    """Estimate with these ratios of probabilities."""
    return estimate_value(
        data,
        np.asarray(ratios, float),
        behavior=np.ones(len(ratios)),
        method=method,
        **{"n_bootstraps": 0, **options},
    )


# ---------------------------------------------------------------------- known answers
@pytest.mark.parametrize(
    ("method", "value"), [("is", 0.625), ("wis", 1.0), ("pdis", 1.125), ("wpdis", 1.0)]
)
def test_known_answers(method, value):
    policy, behavior = RATIOS
    found = estimate_value(
        pair(), policy, behavior=behavior, method=method, n_bootstraps=0
    )
    assert found.value == pytest.approx(value, abs=1e-12)
    assert found.interval is None
    assert found.ess == pytest.approx(1.25**2 / (1.0 + 0.25**2))


def slow_estimates(data, ratios, gamma):
    """The four formulas by loops, an ended trajectory keeping its weight."""
    total = dict.fromkeys(SAMPLING, 0.0)
    parts = [
        (part.rewards, np.cumprod(ratios[start : start + len(part)]), part.tail_reward)
        for part, start in zip(data, data.offsets[:-1], strict=True)
    ]
    n, last = len(parts), sum(rho[-1] for _, rho, _ in parts)
    for rewards, rho, tail in parts:
        gains = list(gamma ** np.arange(len(rewards)) * rewards)
        gains.append(gamma ** len(rewards) * tail)
        total["is"] += rho[-1] * sum(gains) / n
        total["wis"] += rho[-1] * sum(gains) / last
        for t, gain in enumerate(gains):
            weight = rho[min(t, len(rho) - 1)]
            whole = sum(other[min(t, len(other) - 1)] for _, other, _ in parts)
            total["pdis"] += weight * gain / n
            total["wpdis"] += weight * gain / whole
    return total


@given(st.integers(0, 10_000))
def test_estimates_are_those_of_the_formulas(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 6, size=rng.integers(1, 7))
    data = dataset_of(
        [rng.normal(size=length) for length in lengths],
        tail_rewards=rng.normal(size=len(lengths)),
    )
    ratios, gamma = rng.gamma(1.0, size=data.n_transitions), float(rng.uniform(0.5, 1))
    expected = slow_estimates(data, ratios, gamma)
    for method in SAMPLING:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DegenerateWeightsWarning)
            found = estimate(data, method, ratios, gamma=gamma)
        assert found.value == pytest.approx(expected[method], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("method", SAMPLING)
def test_policy_of_the_data_has_the_mean_return(method):
    data = dataset_of([(1, 2, 3), (4, -1), (0, 0, 1, 1), (10,)])
    found = estimate(data, method, np.ones(10))
    if method == "wpdis":
        # Rewards of a step are averaged over all trajectories, ended ones giving 0.
        assert found.value == pytest.approx(5.25)
    assert found.value == pytest.approx(data.returns().mean())
    assert found.ess == pytest.approx(4.0)


@pytest.mark.parametrize("method", ["wis", "wpdis"])
def test_products_of_ratios_neither_overflow_nor_vanish(method):
    data = dataset_of([np.ones(4000), np.ones(4000)])
    for ratio in (10.0, 0.1):
        found = estimate(data, method, np.full(8000, ratio))
        assert found.value == pytest.approx(4000.0)
        assert found.ess == pytest.approx(2.0)


@pytest.mark.parametrize("method", ["is", "pdis"])
def test_plain_products_that_overflow_are_refused(method):
    data = dataset_of([np.ones(4000), np.ones(4000)])
    with pytest.raises(ValueError, match="choose 'wis' or 'wpdis'"):
        estimate(data, method, np.full(8000, 10.0))


def test_impossible_step_ends_the_weight_of_its_trajectory_only():
    log_ratio = np.array([0.5, -np.inf, 0.5, 0.25, 0.25])
    found = cumulative_log_ratio(log_ratio, np.array([0, 3, 5]))
    assert_allclose(found, [0.5, -np.inf, -np.inf, 0.25, 0.5])


# ------------------------------------------------------------ a process solved exactly
class Walk:
    """Three states, two actions, stochastic moves; one in five of them is the last."""

    def __init__(self):
        rng = np.random.default_rng(5)
        self.exact = TabularMDP(
            0.8 * rng.dirichlet(np.ones(3), size=(3, 2)),
            rng.normal(size=(3, 2)),
            np.array([0.5, 0.3, 0.2]),
        )
        self.behavior = TabularPolicy([[0.5, 0.5], [0.4, 0.6], [0.7, 0.3]])
        self.policy = TabularPolicy([[0.7, 0.3], [0.5, 0.5], [0.5, 0.5]])

    def episodes(self, n, seed=0):
        rng = np.random.default_rng(seed)
        acts = np.cumsum(self.behavior.probability, axis=1)[:, :-1]
        moves = np.cumsum(self.exact.transition, axis=2)  # beyond the last sum: the end
        first = np.cumsum(self.exact.initial)[:-1]
        return TrajectoryDataset.from_episodes(
            self._episode(rng, first, acts, moves) for _ in range(n)
        )

    def _episode(self, rng, first, acts, moves):
        state, states, actions, gains = np.searchsorted(first, rng.random()), [], [], []
        while state < 3:
            action = np.searchsorted(acts[state], rng.random())
            states.append(state)
            actions.append(action)
            gains.append(self.exact.reward[state, action])
            state = np.searchsorted(moves[state, action], rng.random())
        return {
            "observations": np.array([*states, 0]),
            "actions": np.array(actions),
            "rewards": np.array(gains),
            "terminated": True,
        }


@cache
def recorded(n, seed=0):
    """Episodes of the walk."""
    return Walk().episodes(n, seed)


@pytest.mark.parametrize("method", [*SAMPLING, "fqe", "dr"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "cloned"])
def test_estimate_is_near_the_exact_value(method, known):
    walk = Walk()
    data = recorded(1500)
    found = estimate_value(
        data,
        walk.policy,
        method=method,
        behavior=walk.behavior if known else DecisionTreeClassifier(),
        regressor=TREE,
        n_bootstraps=0 if method == "fqe" else 200,
        random_state=0,
    )
    exact = walk.exact.value(walk.policy)
    baseline = walk.exact.value(walk.behavior)
    assert abs(exact - baseline) > 0.1
    assert found.value == pytest.approx(exact, abs=0.1)
    if found.interval is not None:
        low, high = found.interval
        assert low < exact < high
        assert 0.02 < high - low < 0.6


def test_fitted_values_are_those_of_the_estimated_process():
    walk = Walk()
    data = recorded(300)
    found = estimate_value(
        data, walk.policy, method="fqe", regressor=TREE, gamma=0.9, n_iter=100
    )
    process = TabularMDP.from_dataset(data)
    assert found.value == pytest.approx(process.value(walk.policy, gamma=0.9), rel=1e-8)
    assert (found.interval, found.ess) == (None, 300.0)


@pytest.mark.parametrize("method", ["fqe", "dr"])
def test_values_of_numbered_states_are_means_of_each_state_by_default(method):
    walk = Walk()
    options = {"method": method, "behavior": walk.behavior, "n_bootstraps": 0}
    found, peer = (
        estimate_value(recorded(300), walk.policy, regressor=regressor, **options)
        for regressor in (None, TREE)
    )
    assert found.value == pytest.approx(peer.value, rel=1e-10)


def test_state_without_rows_has_the_mean_of_all():
    model = StateMeans().fit(np.array([[3], [3], [7]]), np.array([1.0, 3.0, 8.0]))
    assert_array_equal(model.predict(np.array([[7], [3], [5], [9]])), [8, 2, 4, 4])


def test_correction_vanishes_for_exact_values_of_the_estimated_process():
    # With ratios by counts, means of residuals are zero in each state and action.
    data = dataset_of([(1.0,), (2.0,), (6.0,)])
    found = estimate_value(
        data,
        lambda seen: np.tile([0.5, 0.5], (len(seen), 1)),
        behavior=np.array([2 / 3, 1 / 3, 2 / 3]),
        method="dr",
        regressor=LinearRegression(),
        n_bootstraps=0,
    )
    # Actions 0, 1, 0 at observations 0: mean of 3.5 and 2.
    assert found.value == pytest.approx(2.75)


def test_wrong_values_do_not_bias_the_doubly_robust_estimate():
    walk = Walk()
    data = recorded(1500, seed=1)
    found = estimate_value(
        data,
        walk.policy,
        method="dr",
        behavior=walk.behavior,
        regressor=DecisionTreeRegressor(max_depth=1),
        n_iter=1,
        n_bootstraps=200,
        random_state=0,
    )
    low, high = found.interval
    assert low < walk.exact.value(walk.policy) < high


def test_fitted_evaluation_is_fitted_again_to_resamples():
    walk = Walk()
    data = recorded(80)
    found = estimate_value(
        data,
        walk.policy,
        method="fqe",
        regressor=TREE,
        n_iter=8,
        n_bootstraps=10,
        random_state=0,
    )
    low, high = found.interval
    assert low < found.value < high
    assert len(np.unique(found.bootstrap_values)) == 10


def test_interval_covers_the_exact_value_as_often_as_it_says():
    walk = Walk()
    near = TabularPolicy([[0.55, 0.45], [0.5, 0.5], [0.65, 0.35]])
    exact = walk.exact.value(near)
    hits, data = 0, recorded(6000)
    for seed in range(100):
        low, high = estimate_value(
            data.subset(np.arange(60) + 60 * seed),
            near,
            behavior=walk.behavior,
            method="pdis",
            coverage=0.8,
            n_bootstraps=100,
            random_state=seed,
        ).interval
        hits += low <= exact <= high
    assert 68 <= hits <= 92  # 80, three standard errors of 4


def three_of_five(coverage):
    """Estimate from five trajectories, of which the policy can make the first three."""
    data = dataset_of([(1,), (2,), (3,), (9,), (9,)])
    options = {"coverage": coverage, "n_bootstraps": 2000, "random_state": 0}
    return estimate(data, "wis", [1, 1, 1, 0, 0], **options)


def test_interval_takes_a_resample_that_says_nothing_for_the_worst_and_the_best():
    found = three_of_five(0.9)
    values, (low, high) = found.bootstrap_values, found.interval
    unknown = np.isnan(values)
    assert unknown.mean() == pytest.approx(0.4**5, abs=0.007)  # standard error 0.0023
    for beyond, reached in (
        ((values < low) | unknown, (values <= low) | unknown),
        ((values > high) | unknown, (values >= high) | unknown),
    ):
        assert beyond.mean() <= 0.05 <= reached.mean()


def test_interval_is_unknown_if_too_many_resamples_say_nothing():
    with pytest.warns(DegenerateWeightsWarning, match=r"Got \d+ of 2000, so that its"):
        found = three_of_five(0.99)
    assert np.isnan(found.interval).all()
    assert found.value == pytest.approx(2.0)
    assert "0.99 interval  unknown" in found.summary()


def test_single_effective_trajectory_has_no_narrow_interval():
    data = dataset_of([(float(value),) for value in range(40)])
    ratios = np.r_[np.zeros(39), 1.0]
    with (
        pytest.warns(DegenerateWeightsWarning, match="leave 1 effective of 40"),
        pytest.warns(DegenerateWeightsWarning, match="limits are NaN"),
    ):
        found = estimate(data, "wis", ratios, n_bootstraps=200, random_state=0)
    assert found.value == 39.0
    assert np.isnan(found.interval).all()


@pytest.mark.parametrize("method", ["wis", "fqe"])
def test_interval_of_one_trajectory_is_unknown(method):
    data = dataset_of([(3.0, 4.0)])

    def policy(observations):
        return np.full((len(observations), 2), 0.5)

    options = {"method": method, "behavior": policy, "n_bootstraps": 5}
    with pytest.warns(DegenerateWeightsWarning, match=r"at least 2 .* Got 1, so"):
        found = estimate_value(data, policy, **options)
    assert np.isfinite(found.value)
    assert np.isnan(found.interval).all()
    assert estimate_value(data, policy, **options | {"n_bootstraps": 0})


def test_resamples_have_as_many_trajectories_as_the_data():
    # All returns are one, and so is the plain mean of as many of them.
    data = dataset_of([(1.0,)] * 7)
    found = estimate(data, "is", np.ones(7), n_bootstraps=120, random_state=0)
    assert_array_equal(found.bootstrap_values, 1.0)


def test_resampled_weights_per_decision_are_those_of_the_formula():
    # Ragged and of growing weight, so that the unit of what has ended changes.
    rng = np.random.default_rng(0)
    data = dataset_of([tuple(rng.normal(size=1 + i % 5)) for i in range(12)])
    ratios = rng.lognormal(sigma=2.0, size=data.n_transitions)
    log_weight = cumulative_log_ratio(np.log(ratios), data.offsets)
    estimator = per_decision(
        log_weight, data.rewards, np.zeros(12), data.offsets, gamma=0.9, normalized=True
    )
    counts = rng.multinomial(12, np.full(12, 1 / 12), size=60).astype(float)
    step = np.arange(data.n_transitions) - np.repeat(data.offsets[:-1], data.lengths)
    W, G = np.zeros((12, 5)), np.zeros((12, 5))
    for i in range(12):
        rows = slice(data.offsets[i], data.offsets[i + 1])
        W[i, : data.lengths[i]] = np.exp(log_weight[rows])
        W[i, data.lengths[i] :] = W[i, data.lengths[i] - 1]
        G[i, step[rows]] = np.exp(log_weight[rows]) * data.rewards[rows]
    expected = (0.9 ** np.arange(5) * (counts @ G) / (counts @ W)).sum(axis=1)
    assert_allclose(estimator(counts), expected, rtol=1e-10)


@pytest.mark.parametrize("placeholder", [np.nan, -1.0])
def test_what_follows_a_termination_does_not_matter(placeholder):
    data = dataset_of([(1.0, 2.0), (0.5, 3.0)])
    following = data.next_observations.copy()
    following[data.terminations] = placeholder

    def policy(observations):
        assert np.isfinite(observations).all()
        return np.full((len(observations), 2), 0.5)

    options = {"method": "fqe", "regressor": LinearRegression(), "n_iter": 3}
    found = estimate_value(
        replace(data, next_observations=following), policy, **options
    )
    assert found.value == estimate_value(data, policy, **options).value


# --------------------------------------------------------------- policies in all forms
def test_forms_of_a_policy_agree():
    walk = Walk()
    data = recorded(100)
    table = walk.policy.probability
    taken = table[data.observations, data.actions]
    forms = (walk.policy, lambda seen: table[seen], taken)
    values = [
        estimate_value(data, form, behavior=walk.behavior, n_bootstraps=0).value
        for form in forms
    ]
    assert values[0] == values[1] == values[2]


def test_cloned_behavior_is_that_of_a_clone():
    walk = Walk()
    data = recorded(100)
    tree = DecisionTreeClassifier()
    clone = BehaviorCloning(tree).fit(data)
    values = [
        estimate_value(data, walk.policy, behavior=behavior, n_bootstraps=0).value
        for behavior in (tree, clone, clone.predict_proba)
    ]
    assert values[0] == values[1] == values[2]
    assert not hasattr(tree, "classes_")


def test_behavior_is_a_logistic_regression_by_default():
    data = recorded(100)
    data = replace(
        data,
        observations=data.observations[:, None] * 7.0,
        next_observations=data.next_observations[:, None] * 7.0,
    )
    target = np.full(data.n_transitions, 0.5)
    found = estimate_value(data, target, n_bootstraps=0).value
    scaled = (data.observations - data.observations.mean()) / data.observations.std()
    model = LogisticRegression().fit(scaled, data.actions)
    law = model.predict_proba(scaled)[np.arange(len(scaled)), data.actions]
    peer = estimate_value(data, target, behavior=law, n_bootstraps=0).value
    assert found == pytest.approx(peer, rel=1e-10)


def test_behavior_in_numbered_states_is_that_of_each_state_by_default():
    """Shares of actions that are not monotone in the number of the state."""
    data = recorded(1500)
    state, action = data.observations, data.actions
    share = np.bincount(state, action) / np.bincount(state)
    model = BehaviorCloning(default_behavior(state)).fit(data)
    found = model.predict_proba(np.arange(3))[:, 1]
    assert_allclose(found, share, atol=0.01)


def test_action_that_the_policy_does_not_know_has_no_probability():
    data = TrajectoryDataset.from_arrays(
        np.zeros((3, 1)), [0, 1, 7], [1.0, 2.0, 3.0], [True] * 3
    )
    found = estimate_value(
        data,
        lambda seen: np.tile([0.5, 0.5], (len(seen), 1)),
        behavior=np.full(3, 1 / 3),
        n_bootstraps=0,
    )
    assert found.value == pytest.approx(1.5)
    assert found.ess == pytest.approx(2.0)


def test_resamples_repeat_with_the_seed():
    walk = Walk()
    data = recorded(50)
    runs = [
        estimate_value(data, walk.policy, n_bootstraps=20, random_state=seed)
        for seed in (1, 1, 2)
    ]
    assert_array_equal(runs[0].bootstrap_values, runs[1].bootstrap_values)
    assert not np.array_equal(runs[0].bootstrap_values, runs[2].bootstrap_values)


def test_summary_tells_all_numbers():
    text = estimate(pair(), "wis", [2.0, 0.5, 0.5, 0.5], n_bootstraps=50).summary()
    for part in ("1.0000", "0.95 interval", "weighted importance sampling", "1.5"):
        assert part in text
    assert "none" in estimate(pair(), "wis", np.ones(4)).summary()


# --------------------------------------------------------------------------- refusals
def test_thin_weights_are_told():
    data = dataset_of([(1,)] * 100)
    with pytest.warns(DegenerateWeightsWarning, match="leave 1 effective of 100"):
        estimate(data, "wis", np.r_[1e6, np.ones(99)])


def test_policy_that_could_not_have_made_the_data_is_refused():
    with pytest.raises(ValueError, match="makes none of 2; evaluate a stochastic"):
        estimate(pair(), "wis", np.zeros(4))


def test_behavior_that_could_not_have_made_the_data_is_refused():
    with pytest.raises(ValueError, match=r"positive probability. Got 0 for 1 of 4"):
        estimate_value(pair(), np.ones(4), behavior=[0.0, 1.0, 1.0, 1.0])


def test_policy_of_unseen_actions_has_no_fitted_value():
    data = dataset_of([(1,), (2,)])  # actions 0 and 1
    with pytest.raises(ValueError, match=r"one that also takes \[2\]"):
        estimate_value(
            data,
            lambda seen: np.tile([0.5, 0.0, 0.5], (len(seen), 1)),
            method="fqe",
            regressor=TREE,
        )


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "mean"}, "'method' of estimate_value must be one of"),
        ({"gamma": 1.5}, "'gamma' of estimate_value"),
        ({"coverage": 1.0}, "'coverage' of estimate_value"),
        ({"n_iter": 0}, "'n_iter' of estimate_value"),
        ({"n_bootstraps": -1}, "'n_bootstraps' of estimate_value"),
        ({"behavior": np.ones(3)}, r"'behavior' of estimate_value, .*Got shape \(3,\)"),
        ({"behavior": [1, 1, -1, 1]}, r"'behavior' of estimate_value, .*Got -1.0 at 2"),
        ({"behavior": [1, np.nan, 1, 1]}, r"'behavior' .*Got NaN or inf.* at 1"),
        ({"behavior": np.zeros(3)}, r"'behavior' .*Got shape \(3,\)"),
    ],
    ids=["method", "gamma", "coverage", "n_iter", "n_bootstraps", *"abcd"],
)
def test_bad_options_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        estimate_value(pair(), np.ones(4), **{"behavior": np.ones(4), **options})


def test_policy_of_another_kind_is_refused():
    with pytest.raises(TypeError, match=r"'policy' of estimate_value must have"):
        estimate_value(pair(), 3.0)
    with pytest.raises(ValueError, match="probabilities that add up to one"):
        estimate_value(pair(), lambda seen: np.ones((len(seen), 2)))
    with pytest.raises(NotFittedError):
        estimate_value(pair(), BehaviorCloning(LogisticRegression()))
    with pytest.raises(TypeError, match="estimate_value expected a TrajectoryDataset"):
        estimate_value([1], np.ones(1))
