"""The best trajectories, weights in proportion, and none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statlearn.offline_rl import (
    LinearReturnWeighting,
    TopFraction,
    TrajectoryWeighting,
    UniformWeighting,
)
from trajectory_cases import four, with_returns


def test_best_half_is_drawn_uniformly():
    weighting = TopFraction(0.5).fit(four())
    assert_allclose(weighting.transition_probability_, [0.25, 0.0, 0.0, 0.25])
    assert weighting.ess_ == pytest.approx(4.0)
    assert weighting.expected_return_ == pytest.approx(8.0)


def test_at_least_one_trajectory_is_kept():
    found = TopFraction(0.1).fit(four()).transition_probability_
    assert_array_equal(found, [0.0, 0.0, 0.0, 1.0])


@pytest.mark.parametrize("n", [100, 1000, 2900])
@pytest.mark.parametrize("percent", [1, 7, 29, 57, 58, 100])
def test_share_is_counted_without_rounding(n, percent):
    dataset = with_returns(np.arange(float(n)))
    kept = np.count_nonzero(TopFraction(percent / 100).fit(dataset).sample_weight())
    assert kept == n * percent // 100


def test_first_of_equal_returns_is_kept():
    found = TopFraction(0.5).fit(with_returns([1.0, 7.0, 7.0, 7.0])).sample_weight()
    assert_array_equal(found, [0.0, 2.0, 2.0, 0.0])


def test_filter_uses_the_discounted_return_if_asked():
    dataset = with_returns([3.0, 2.0], [3, 1])
    assert_array_equal(TopFraction(0.5).fit(dataset).trajectory_probability_, [1, 0])
    found = TopFraction(0.5, gamma=0.5).fit(dataset).trajectory_probability_
    assert_array_equal(found, [0, 1])


def test_weights_are_linear_in_returns():
    weighting = LinearReturnWeighting(base=0.5).fit(four())
    p = weighting.transition_probability_
    assert_allclose(p / p[2], [2.0, 1.25, 1.0, 3.0])
    assert LinearReturnWeighting().fit(four()).transition_probability_[2] == 0.0
    found = LinearReturnWeighting(np.inf).fit(four()).transition_probability_
    assert_allclose(found, 0.1)


def test_uniform_weights_have_the_mean_return():
    weighting = UniformWeighting().fit(four())
    assert_allclose(weighting.transition_probability_, 0.1)
    assert weighting.expected_return_ == pytest.approx(5.25)
    assert weighting.batch_return_ == pytest.approx(4.2)
    assert weighting.ess_ == pytest.approx(10.0)
    assert weighting.entropy_ == pytest.approx(np.log(10.0))


def test_weighting_of_a_user_needs_masses_only():
    class Longest(TrajectoryWeighting):
        def _masses(self, dataset, returns):
            return dataset.lengths == dataset.lengths.max()

    weighting = Longest().fit(four())
    assert_allclose(weighting.trajectory_probability_, [0, 0, 1, 0])
    assert weighting.expected_return_ == 2.0
    with pytest.raises(NotImplementedError, match="add the method"):
        TrajectoryWeighting().fit(four())
