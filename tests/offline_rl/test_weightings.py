"""Weights by the exponential of returns and advantages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import KFold

from random_walks import Graph
from statlearn.exceptions import DegenerateWeightsWarning
from statlearn.offline_rl import (
    AdvantageWeighting,
    LinearReturnWeighting,
    ReturnWeighting,
    TopFraction,
    UniformWeighting,
)
from statlearn.offline_rl._tilting import temperature_for
from trajectory_cases import REWARDS, STARTS, dataset_of, four, with_returns

PUBLISHED = {"value_estimator": LinearRegression(), "cv": None}
BY_RETURN = {
    0.1: (0.006601220129, 0.000155245817, 0.000044478671, 0.979707933293),
    0.2: (0.0632209404, 0.0096952452, 0.0051894908, 0.770188725),
    1.0: (0.1183512842, 0.0813415688, 0.0717836825, 0.1951282797),
}
BY_ADVANTAGE = {
    0.1: (0.0000207308, 0.4566265757, 0.0001097591, 0.0862456198),
    0.2: (0.0026771589, 0.3973256071, 0.006160078, 0.172676997),
    1.0: (0.0646705824, 0.175792869, 0.0763992659, 0.148805451),
}
# alpha: policy return, return of a batch, effective size, entropy
DIAGNOSTICS = {
    0.1: (9.971771738469, 9.917188599525, 1.041711786900, 0.124015029583),
    0.2: (9.572947311528, 8.939551575793, 1.651590254698, 0.923899961869),
    1.0: (6.534400148477, 5.143924786163, 8.776501696297, 2.241107493678),
}
ALL = [
    ReturnWeighting(),
    ReturnWeighting(0.3, level="trajectory", gamma=0.9),
    ReturnWeighting(normalize="rank"),
    ReturnWeighting(normalize="zscore", uniform_mix=0.3),
    ReturnWeighting(2.0, normalize=None),
    ReturnWeighting(target_ess=0.3),
    AdvantageWeighting(),
    AdvantageWeighting(**PUBLISHED),
    AdvantageWeighting(groups="initial"),
    TopFraction(0.3),
    LinearReturnWeighting(),
    LinearReturnWeighting(0.5, uniform_mix=0.1),
    UniformWeighting(),
]
every = pytest.mark.parametrize("weighting", ALL, ids=range(len(ALL)))
# A filter keeps the first of equal returns.
SMOOTH = [each for each in ALL if not isinstance(each, TopFraction)]
smooth = pytest.mark.parametrize("weighting", SMOOTH, ids=range(len(SMOOTH)))


# --------------------------------------------------------------------- known answers
@pytest.mark.parametrize("alpha", BY_RETURN)
def test_weights_by_return(alpha):
    weighting = ReturnWeighting(alpha).fit(four())
    p = weighting.transition_probability_
    assert_allclose(p, BY_RETURN[alpha], rtol=1e-8)
    assert_allclose(weighting.trajectory_probability_, p * [3, 2, 4, 1])
    found = (
        weighting.expected_return_,
        weighting.batch_return_,
        weighting.ess_,
        weighting.entropy_,
    )
    assert_allclose(found, DIAGNOSTICS[alpha], rtol=1e-11)
    assert weighting.psv_ == 5.78125
    assert weighting.alpha_ == alpha
    assert_allclose(weighting.scores_, [0.5, 0.125, 0.0, 1.0])


@pytest.mark.parametrize("alpha", BY_ADVANTAGE)
def test_weights_by_advantage_as_published(alpha):
    weighting = AdvantageWeighting(alpha, **PUBLISHED).fit(four())
    assert_allclose(weighting.transition_probability_, BY_ADVANTAGE[alpha], rtol=2e-6)
    values = (6.807692307692, 2.192307692308, 2.538461538462, 9.461538461538)
    assert_allclose(weighting.values_, values, rtol=1e-11)
    assert_allclose(weighting.scores_, [0.0, 1.0, 1 / 6, 5 / 6], atol=1e-12)
    assert weighting.psv_ == pytest.approx(0.23557692307692324)


def test_default_values_without_folds_are_those_of_least_squares():
    found = AdvantageWeighting(cv=None).fit(four())
    expected = AdvantageWeighting(**PUBLISHED).fit(four())
    assert_allclose(found.values_, expected.values_, rtol=1e-12)


def test_weights_of_whole_trajectories():
    weighting = ReturnWeighting(0.1, level="trajectory").fit(four())
    expected = (0.006691495917, 0.000157368900, 0.000045086945, 0.993106048237)
    assert_allclose(weighting.trajectory_probability_, expected, rtol=1e-7)


def test_single_rows_are_weighted_as_often_as_they_come():
    weights = ReturnWeighting(0.1).fit(four()).sample_weight()
    assert_allclose(weights, np.repeat(BY_RETURN[0.1], [3, 2, 4, 1]) * 10, rtol=1e-8)


@pytest.mark.parametrize(
    ("alpha", "seen", "share"),
    [
        (0.1, 0.999894078, 0.942466507),
        (0.5, 0.760004128, 0.467659865),
        (1.0, 0.538101526, 0.454063707),
    ],
)
def test_lottery_looks_better_than_it_is(alpha, seen, share):
    """Half of the data safe at 0.6, half a lottery of mean 0.3."""
    rewards = np.repeat([0.6, 1.0, 0.0], [10, 3, 7])
    p = ReturnWeighting(alpha).fit(with_returns(rewards)).transition_probability_
    assert p[10:].sum() == pytest.approx(share, rel=1e-8)
    assert p[10:13].sum() / p[10:].sum() == pytest.approx(seen, rel=1e-8)


def test_lottery_wins_below_a_temperature():
    rewards = np.repeat([0.6, 1.0, 0.0], [10, 3, 7])
    for alpha, wins in ((0.798, True), (0.7985, False)):
        p = ReturnWeighting(alpha).fit(with_returns(rewards)).transition_probability_
        assert (p[10:13].sum() / p[10:].sum() > 0.6) == wins


# --------------------------------------------------------------- degenerate evidence
@smooth
@pytest.mark.parametrize(
    "dataset",
    [
        with_returns([2.0] * 5, np.array([1, 4, 2, 2, 3])),
        with_returns([0.0] * 3, np.array([1, 4, 2])),
        with_returns([1e300] * 3, np.array([1, 4, 2])),
        with_returns([0.1 + 0.2, 0.3], np.array([1, 4])),
    ],
    ids=["equal", "zero", "huge", "rounding"],
)
def test_equal_returns_are_weighted_alike(weighting, dataset):
    weighting = clone(weighting).fit(dataset)
    weights = weighting.sample_weight()
    if getattr(weighting, "level", "transition") == "trajectory":
        weights = weights * np.repeat(dataset.lengths, dataset.lengths)
    if getattr(weighting, "gamma", 1.0) == 1.0:
        assert_allclose(weights, weights[0])


@every
def test_one_trajectory_has_all_weight(weighting):
    weighting = clone(weighting).fit(with_returns([3.0], [4]))
    assert_allclose(weighting.sample_weight(), 1.0)
    assert weighting.ess_ == pytest.approx(4.0)


@every
def test_huge_returns_do_not_overflow(weighting):
    returns = np.array([1e300, -1e300, 5e299, 0.0] * 5)
    weighting = clone(weighting)
    if getattr(weighting, "normalize", "minmax") is None:
        weighting.set_params(alpha=1e299)
    weighting.fit(with_returns(returns, np.full(20, 2)))
    weights = weighting.sample_weight()
    assert np.isfinite(weights).all()
    assert weights.mean() == pytest.approx(1.0)
    assert weighting.expected_return_ <= 1e300


def test_excess_beyond_the_largest_float_is_refused():
    data = with_returns([-1e308, -1e308, 0.0], [1, 1, 1])
    seen = np.arange(3.0)[:, None]
    data = replace(data, observations=seen, next_observations=seen)
    with pytest.raises(ValueError, match=r"AdvantageWeighting .* up to 1e\+308"):
        AdvantageWeighting().fit(data)


@pytest.mark.parametrize("start", [float, int, bool])
def test_first_observations_of_one_column_are_groups_as_rows_are(start):
    rng = np.random.default_rng(0)
    data = with_returns(rng.normal(size=40), np.ones(40, int))
    column = rng.integers(2, size=(40, 1)).astype(start)
    one = replace(data, observations=column, next_observations=column)
    two = np.hstack([column, column])
    two = replace(data, observations=two, next_observations=two)
    weighting = AdvantageWeighting(groups="initial")
    expected = clone(weighting).fit(two).transition_probability_
    assert_array_equal(weighting.fit(one).transition_probability_, expected)


@smooth
def test_ties_share_alike(weighting):
    dataset = with_returns([5.0, 5.0, 1.0, 5.0], [2] * 4)
    weighting = clone(weighting)
    if getattr(weighting, "target_ess", None):
        weighting.set_params(target_ess=0.8)
    p = weighting.fit(dataset).transition_probability_
    assert_allclose(p[[0, 1, 3]], p[0])


def test_temperature_near_zero_leaves_the_best_which_share():
    p = ReturnWeighting(1e-300).fit(with_returns([1.0, 3.0, 3.0])).sample_weight()
    assert_array_equal(p, [0.0, 1.5, 1.5])
    p = ReturnWeighting(np.inf).fit(with_returns([1.0, 3.0], [1, 3])).sample_weight()
    assert_allclose(p, 1.0)


# ------------------------------------------------------------------------------ laws
finite = st.lists(st.integers(-50, 50), min_size=1, max_size=12)


@every
# Starts at random are groups of one.
@pytest.mark.filterwarnings("ignore:The 'groups' of AdvantageWeighting must")
@given(finite, st.integers(0, 10**6))
def test_probabilities_of_transitions_sum_to_one(weighting, returns, seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 5, size=len(returns))
    starts = rng.normal(size=(len(returns), 2))
    weighting = clone(weighting)
    if getattr(weighting, "target_ess", None):
        weighting.set_params(target_ess=None)  # out of reach of most such data
    weighting.fit(with_returns(np.array(returns, float), lengths, starts))
    p = weighting.transition_probability_
    assert (p >= 0.0).all()
    assert lengths @ p == pytest.approx(1.0)
    assert weighting.trajectory_probability_.sum() == pytest.approx(1.0)
    weights = weighting.sample_weight()
    assert len(weights) == lengths.sum()
    assert weights.mean() == pytest.approx(1.0)
    assert 1.0 - 1e-9 <= weighting.ess_ <= lengths.sum() * (1 + 1e-9)


@given(finite, st.floats(0.01, 100.0), st.integers(-100, 100))
def test_positive_factor_and_shift_of_returns_change_nothing(returns, factor, shift):
    returns = np.array(returns, float)
    first = ReturnWeighting().fit(with_returns(returns))
    second = ReturnWeighting().fit(with_returns(factor * returns + shift))
    assert_allclose(
        second.transition_probability_, first.transition_probability_, rtol=1e-9
    )


def test_shift_of_rewards_changes_weights_unless_lengths_are_equal():
    moved = dataset_of([[r + 1 for r in part] for part in REWARDS])
    before = ReturnWeighting().fit(four()).transition_probability_
    assert not np.allclose(ReturnWeighting().fit(moved).transition_probability_, before)
    even = [REWARDS[0], REWARDS[2][:3]]
    moved = dataset_of([[r + 1 for r in part] for part in even])
    assert_allclose(
        ReturnWeighting().fit(moved).transition_probability_,
        ReturnWeighting().fit(dataset_of(even)).transition_probability_,
    )


def test_policy_return_falls_from_the_best_to_the_mean_as_alpha_rises():
    alphas = np.geomspace(1e-3, 1e6, 40)
    found = [ReturnWeighting(a).fit(four()).expected_return_ for a in alphas]
    assert (np.diff(found) <= 1e-12).all()
    assert found[0] == pytest.approx(10.0)
    assert found[-1] == pytest.approx(5.25, rel=1e-5)


@every
@pytest.mark.parametrize("seed", range(3))
def test_policy_return_is_that_of_the_implied_policy(weighting, seed):
    """Exactly, in a deterministic process with cycles, solved as a linear system."""
    graph = Graph(n_states=7, n_actions=3, seed=seed)
    dataset = graph.walks(60)
    weighting = clone(weighting).fit(dataset)
    if weighting.gamma != 1.0:
        weighting.set_params(gamma=1.0).fit(dataset)
    exact = graph.value_of_implied_policy(dataset, weighting.sample_weight())
    assert weighting.expected_return_ == pytest.approx(exact, rel=1e-9, abs=1e-9)


def test_mean_return_of_a_batch_is_that_of_weighted_rows():
    weighting = ReturnWeighting(0.3).fit(four())
    rows = np.repeat(four().returns(), four().lengths)
    expected = np.average(rows, weights=weighting.sample_weight())
    assert weighting.batch_return_ == pytest.approx(expected)


def test_discount_and_tail_rewards_enter_the_returns():
    dataset = dataset_of([(1.0, 1.0), (1.0, 1.0)], tail_rewards=[8.0, 0.0])
    weighting = ReturnWeighting(gamma=0.5).fit(dataset)
    assert_array_equal(weighting.returns_, [3.5, 1.5])
    p = weighting.transition_probability_
    assert p[0] / p[1] == pytest.approx(np.exp(10.0))


def test_mixing_in_uniform_transitions_is_linear():
    pure = ReturnWeighting().fit(four()).transition_probability_
    mixed = ReturnWeighting(uniform_mix=0.5).fit(four()).transition_probability_
    assert_allclose(mixed, 0.5 * pure + 0.05)
    whole = ReturnWeighting(uniform_mix=1.0).fit(four()).transition_probability_
    assert_allclose(whole, 0.1)


def test_scales_of_returns():
    dataset = with_returns([4.0, 0.0, 1.0, 1.0])
    ranks = ReturnWeighting(normalize="rank").fit(dataset).scores_
    assert_allclose(ranks, [1.0, 0.0, 0.5, 0.5])
    scores = ReturnWeighting(normalize="zscore").fit(dataset).scores_
    assert_allclose(scores, (dataset.returns() - 1.5) / dataset.returns().std())
    raw = ReturnWeighting(normalize=None, alpha=2.0).fit(dataset)
    assert_allclose(raw.scores_, dataset.returns())
    assert_allclose(raw.sample_weight()[0] / raw.sample_weight()[1], np.exp(2.0))


# ---------------------------------------------------------------- effective sample size
@pytest.mark.parametrize("options", [{}, {"level": "trajectory"}, {"uniform_mix": 0.1}])
@pytest.mark.parametrize("target", [0.2, 0.5, 0.7])
def test_effective_size_is_reached(options, target):
    rng = np.random.default_rng(0)
    dataset = with_returns(rng.normal(size=50), rng.integers(1, 6, size=50))
    for weighting in (
        ReturnWeighting(target_ess=target, **options),
        ReturnWeighting(target_ess=target, normalize=None, **options),
        AdvantageWeighting(target_ess=target, **options),
    ):
        weighting.fit(dataset)
        assert weighting.ess_ == pytest.approx(target * dataset.n_transitions, rel=1e-8)
        same = clone(weighting).set_params(alpha=weighting.alpha_, target_ess=None)
        assert_allclose(same.fit(dataset).ess_, weighting.ess_)


def test_effective_size_of_all_transitions_needs_no_weights():
    weighting = ReturnWeighting(target_ess=1.0).fit(four())
    assert weighting.alpha_ == np.inf
    assert weighting.ess_ == pytest.approx(10.0)


def test_effective_size_that_only_an_infinite_alpha_exceeds():
    found = temperature_for(
        9.0, np.array([0.0, 1.0]), lambda alpha: 10.0 if alpha == np.inf else 8.0, "it"
    )
    assert found == 1e12


def test_effective_size_out_of_reach_is_told():
    with pytest.warns(DegenerateWeightsWarning, match="the smallest effective"):
        weighting = ReturnWeighting(target_ess=0.05).fit(four())
    assert weighting.ess_ == pytest.approx(1.0)
    with pytest.warns(DegenerateWeightsWarning, match="the largest effective"):
        ReturnWeighting(target_ess=1.0, level="trajectory").fit(four())


# -------------------------------------------------------------------------- advantages
@pytest.mark.parametrize("options", [{}, PUBLISHED, {"cv": 3}], ids=["", "ols", "cv"])
@pytest.mark.parametrize("n", [4, 100])
def test_equal_starts_make_advantages_of_returns(options, n):
    dataset = with_returns(
        np.random.default_rng(0).normal(size=n), starts=np.ones((n, 3))
    )
    found = AdvantageWeighting(**options).fit(dataset).transition_probability_
    expected = ReturnWeighting().fit(dataset).transition_probability_
    assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("options", "units"),
    [({}, [1.0, 1e6, 1e-6]), (PUBLISHED, [1.0, 10.0, 0.1])],
    ids=["default", "published"],
)
def test_linear_function_of_the_start_changes_nothing(options, units):
    rng = np.random.default_rng(0)
    starts = rng.normal(size=(200, 3)) * units
    returns = rng.normal(size=200)
    moved = returns + starts @ ([5.0, -2.0, 3.0] / np.array(units)) + 7.0
    found = AdvantageWeighting(**options).fit(with_returns(moved, starts=starts))
    expected = AdvantageWeighting(**options).fit(with_returns(returns, starts=starts))
    assert_allclose(
        found.transition_probability_, expected.transition_probability_, rtol=1e-8
    )


def expert_mass(weighting, n, d, seed):
    """Weight of the 10 % of trajectories whose return is 10 and not 0, with noise."""
    rng = np.random.default_rng(seed)
    is_expert = np.arange(n) < n // 10
    returns = 10.0 * is_expert + 0.1 * rng.normal(size=n)
    dataset = with_returns(returns, starts=rng.normal(size=(n, d)))
    return clone(weighting).fit(dataset).trajectory_probability_[is_expert].sum()


@pytest.mark.parametrize("n", [20, 50, 60, 100])
def test_few_trajectories_are_not_weighted_by_rounding(n):
    masses = [expert_mass(AdvantageWeighting(), n, 50, seed) for seed in range(10)]
    assert np.mean(masses) > 0.9


def test_published_form_is_noise_for_few_trajectories():
    masses = [
        expert_mass(AdvantageWeighting(**PUBLISHED).set_params(cv=None), 60, 50, seed)
        for seed in range(10)
    ]
    assert np.mean(masses) < 0.7


def test_advantages_of_rounding_are_weighted_alike():
    rng = np.random.default_rng(0)
    dataset = with_returns(rng.normal(size=20), starts=rng.normal(size=(20, 50)))
    weighting = AdvantageWeighting(**PUBLISHED).fit(dataset)
    assert_array_equal(weighting.scores_, np.zeros(20))
    assert_allclose(weighting.sample_weight(), 1.0)


def test_collinear_starts_are_no_obstacle():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(100, 1))
    returns = one[:, 0] + rng.normal(size=100)
    thrice = with_returns(returns, starts=np.hstack([one, 2 * one, one - 1, one * 0]))
    found = AdvantageWeighting().fit(thrice).values_
    expected = AdvantageWeighting().fit(with_returns(returns, starts=one)).values_
    assert_allclose(found, expected, atol=1e-9)


def test_flexible_values_are_fitted_to_other_trajectories():
    """A forest that predicts its own training rows explains most of the noise."""
    rng = np.random.default_rng(0)
    dataset = with_returns(rng.normal(size=200), starts=rng.normal(size=(200, 2)))
    forest = RandomForestRegressor(20, random_state=0)
    apart = AdvantageWeighting(value_estimator=forest).fit(dataset)
    own = AdvantageWeighting(value_estimator=forest, cv=None).fit(dataset)
    noise = np.var(dataset.returns())
    assert np.var(dataset.returns() - own.values_) < 0.4 * noise
    assert np.var(dataset.returns() - apart.values_) > 0.8 * noise
    assert not hasattr(forest, "estimators_")


def test_folds_do_not_follow_the_order_of_the_trajectories():
    returns = np.repeat([0.0, 1.0], [50, 50])
    dataset = with_returns(returns, starts=np.arange(100.0)[:, None])
    weighting = AdvantageWeighting(value_estimator=DummyRegressor(), cv=5)
    assert_allclose(weighting.fit(dataset).values_, 0.5, atol=0.15)


def test_folds_may_be_given():
    dataset = with_returns(np.arange(6.0), starts=np.arange(6.0)[:, None])
    weighting = AdvantageWeighting(value_estimator=DummyRegressor(), cv=KFold(2))
    assert_allclose(weighting.fit(dataset).values_, [4.0] * 3 + [1.0] * 3)


def test_groups_keep_their_share_of_the_starts():
    rng = np.random.default_rng(0)
    starts = rng.integers(5, size=(200, 1)) * 1.0
    returns = 100.0 * starts[:, 0] + rng.normal(size=200)
    dataset = with_returns(returns, rng.integers(1, 9, size=200), starts)
    options = [{}, {"level": "trajectory"}, {"alpha": 1e-4}, {"uniform_mix": 0.2}]
    options += [{"value_estimator": LinearRegression()}, {"target_ess": 0.3}]
    for option in options:
        for groups in ("initial", starts[:, 0].astype(int).astype(str)):
            weighting = AdvantageWeighting(groups=groups, **option).fit(dataset)
            p = weighting.transition_probability_
            share = np.bincount(starts[:, 0].astype(int), weights=p / p.sum())
            expected = np.bincount(starts[:, 0].astype(int)) / 200
            assert_allclose(share, expected, rtol=1e-9)
    means = [returns[starts[:, 0] == s].mean() for s in starts[:, 0]]
    assert_allclose(AdvantageWeighting(groups="initial").fit(dataset).values_, means)


@pytest.mark.parametrize("groups", ["initial", list("abcd")], ids=["initial", "given"])
def test_groups_of_one_trajectory_leave_nothing_to_weigh(groups):
    with pytest.warns(DegenerateWeightsWarning, match="Got 4 groups of one"):
        weighting = AdvantageWeighting(groups=groups).fit(four())
    assert_allclose(weighting.sample_weight(), 1.0)


def test_images_and_integers_are_starts():
    rng = np.random.default_rng(0)
    returns = rng.normal(size=30)
    for starts in (rng.integers(9, size=30), rng.integers(9, size=(30, 4, 4, 3))):
        dataset = with_returns(returns, starts=starts.reshape(30, -1))
        shaped = type(dataset)(
            starts.astype(np.uint8),
            dataset.actions,
            dataset.rewards,
            starts.astype(np.uint8),
            dataset.terminations,
            dataset.truncations,
            dataset.offsets,
        )
        found = AdvantageWeighting().fit(shaped).values_
        assert_allclose(found, AdvantageWeighting().fit(dataset).values_)


# ------------------------------------------------------------------- as estimators
@every
def test_parameters_are_stored_untouched_and_printed(weighting):
    copied = clone(weighting)
    assert repr(copied) == repr(weighting)
    fitted = clone(weighting).fit(Graph(5, 2, 0).walks(30))
    assert repr(fitted) == repr(weighting)
    assert fitted._repr_html_()


@every
def test_weights_of_another_data_set_leave_the_fit_alone(weighting):
    own, other = Graph(5, 2, 0).walks(30), Graph(5, 2, 1).walks(20)
    weighting = clone(weighting).fit(own)
    before = weighting.sample_weight()
    found = weighting.sample_weight(other)
    assert_array_equal(found, clone(weighting).fit(other).sample_weight())
    assert_array_equal(weighting.sample_weight(), before)
    assert_array_equal(clone(weighting).sample_weight(own), before)


def test_weights_need_a_fit_or_a_data_set():
    with pytest.raises(NotFittedError):
        ReturnWeighting().sample_weight()


def test_weights_serve_a_classifier():
    dataset = dataset_of(REWARDS, STARTS)
    weights = ReturnWeighting().sample_weight(dataset)
    model = LogisticRegression().fit(dataset.observations, dataset.actions, weights)
    best = dataset[3]
    assert_array_equal(model.predict(best.observations), best.actions)


@pytest.mark.parametrize(
    ("weighting", "name"),
    [
        (ReturnWeighting(0.0), "alpha"),
        (ReturnWeighting(-1.0), "alpha"),
        (ReturnWeighting(np.nan), "alpha"),
        (ReturnWeighting(normalize="max"), "normalize"),
        (ReturnWeighting(level="row"), "level"),
        (ReturnWeighting(gamma=1.5), "gamma"),
        (ReturnWeighting(uniform_mix=-0.1), "uniform_mix"),
        (ReturnWeighting(target_ess=0.0), "target_ess"),
        (ReturnWeighting(target_ess=20), "target_ess"),
        (AdvantageWeighting(value_estimator=3), "value_estimator"),
        (AdvantageWeighting(cv="most"), "cv"),
        (AdvantageWeighting(groups="start"), "groups"),
        (TopFraction(0.0), "fraction"),
        (TopFraction(1.1), "fraction"),
        (LinearReturnWeighting(-0.1), "base"),
        (UniformWeighting(gamma=-1.0), "gamma"),
    ],
    ids=range(16),
)
def test_bad_parameter_is_named(weighting, name):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of"):
        weighting.fit(four())


def test_bad_data_is_refused():
    with pytest.raises(TypeError, match=r"expected a TrajectoryDataset\. Got ndarray"):
        ReturnWeighting().fit(np.ones(3))
    with pytest.raises(ValueError, match=r"one label for each of 4 .* Got 2"):
        AdvantageWeighting(groups=[0, 1]).fit(four())
    starts = STARTS.copy()
    starts[1, 0] = np.nan
    with pytest.raises(ValueError, match="finite first observations"):
        AdvantageWeighting().fit(dataset_of(REWARDS, starts))
