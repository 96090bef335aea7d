"""Mistakes of published code for weights on trajectories, which are not made here."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression

from statlearn.offline_rl import (
    AdvantageWeighting,
    ReturnWeighting,
    TopFraction,
    TrajectoryDataset,
    TrajectorySampler,
)
from trajectory_cases import four, with_returns


def test_scale_is_taken_before_the_exponential_and_weights_add_up_to_one():
    """Min-max of the softmax gives the total 2.68 here, and never any but the best."""
    dataset = with_returns([0.5, 0.55, 0.52], [2, 2, 2])
    p = ReturnWeighting(0.1).fit(dataset).transition_probability_
    z = np.array([0.0, 1.0, 0.4])
    assert_allclose(p, np.exp(z / 0.1) / (2 * np.exp(z / 0.1).sum()), rtol=1e-12)
    assert 2 * p.sum() == pytest.approx(1.0)
    assert (p > 0.0).all()


def test_returns_of_any_size_are_scaled():
    """The exponential of raw returns of hundreds leaves the best trajectory alone."""
    dataset = with_returns([500.0, 490.0, 20.0], [500, 490, 20])
    p = ReturnWeighting(0.1).fit(dataset).transition_probability_
    assert p[1] / p[0] == pytest.approx(np.exp(-10 / 480 / 0.1))
    assert p[2] / p[0] == pytest.approx(np.exp(-10.0))


@pytest.mark.parametrize("returns", [[3.0, 3.0, 3.0], [7.0]], ids=["equal", "one"])
def test_equal_returns_and_a_single_one_are_no_division_by_zero(returns):
    lengths = np.arange(1, len(returns) + 1)
    for weighting in (ReturnWeighting(), AdvantageWeighting()):
        p = weighting.fit(with_returns(returns, lengths)).transition_probability_
        assert_allclose(p, 1.0 / lengths.sum())


def test_as_many_starts_as_coefficients_are_no_reason_to_draw_at_random():
    rng = np.random.default_rng(0)
    returns = np.r_[10.0, 10.0, np.zeros(18)] + 0.1 * rng.normal(size=20)
    dataset = with_returns(returns, starts=rng.normal(size=(20, 50)))
    published = AdvantageWeighting(value_estimator=LinearRegression(), cv=None)
    # What is left of an interpolation is rounding, which counts as equal.
    assert_allclose(published.fit(dataset).sample_weight(), 1.0)
    ours = AdvantageWeighting().fit(dataset)
    assert ours.trajectory_probability_[:2].sum() > 0.9


def test_the_best_tenth_of_few_trajectories_is_one_of_them():
    found = TopFraction(0.1).fit(four()).trajectory_probability_
    assert_array_equal(found, [0.0, 0.0, 0.0, 1.0])


def test_the_flag_of_the_last_row_is_not_written_over():
    terminals = np.array([0, 1, 0, 0], bool)
    data = {
        "observations": np.zeros((4, 1)),
        "actions": np.zeros(4, int),
        "rewards": np.ones(4),
        "terminals": terminals,
        "timeouts": np.array([0, 0, 0, 1], bool),
    }
    dataset = TrajectoryDataset.from_d4rl(data)
    assert_array_equal(terminals, [0, 1, 0, 0])
    assert_array_equal(dataset.terminations, [0, 1, 0])


def test_weights_are_of_whole_returns_and_over_the_transitions_that_are_left():
    """The reward of a cut row counts, the row does not: here 1 + 2 + 4 and 8 + 16."""
    rewards = 2.0 ** np.arange(5)
    dataset = TrajectoryDataset.from_arrays(
        np.arange(5.0), np.zeros(5, int), rewards, [0, 0, 0, 0, 1], [0, 0, 1, 0, 0]
    )
    assert_array_equal(dataset.returns(), [7.0, 24.0])
    weighting = ReturnWeighting(1.0).fit(dataset)
    assert_allclose(
        weighting.transition_probability_, [1 / (2 + 2 * np.e), np.e / (2 + 2 * np.e)]
    )
    assert len(weighting.sample_weight()) == 4


def test_global_random_numbers_are_neither_used_nor_moved():
    legacy = np.random.mtrand._rand
    before, draws = legacy.get_state(), []
    for seed in (0, 1):
        legacy.seed(seed)
        sampler = TrajectorySampler(four(), ReturnWeighting(), random_state=3)
        draws.append(sampler.sample_indices(100))
        AdvantageWeighting().fit(four())
        assert_array_equal(
            legacy.get_state()[1], np.random.RandomState(seed).get_state()[1]
        )
    legacy.set_state(before)
    assert_array_equal(*draws)


def test_draws_of_every_epoch_are_new():
    """No cache of indices from which later batches are drawn again."""
    sampler = TrajectorySampler(
        with_returns(np.zeros(10_000)), batch_size=100, n_batches=5, random_state=0
    )
    first, second = (
        np.concatenate([batch["indices"] for batch in sampler]) for _ in range(2)
    )
    # Of 500 of 10 000 rows each, 25 are expected in both, with a deviation of 5.
    assert 0 < len(np.intersect1d(first, second)) < 50
