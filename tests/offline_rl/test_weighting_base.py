"""What a fitted weighting tells about itself."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError

from statlearn.offline_rl import (
    AdvantageWeighting,
    LinearReturnWeighting,
    ReturnWeighting,
    TopFraction,
    UniformWeighting,
)
from statlearn.weights import effective_sample_size, weight_entropy
from trajectory_cases import four, with_returns

# Masses 0.01980366, 0.00031049, 0.00017791 and 0.97970793 of trajectories of returns
# 6, 3, 2 and 10.
COLD = ReturnWeighting(0.1)


def test_largest_probability_of_a_trajectory():
    assert COLD.fit(four()).max_trajectory_probability_ == pytest.approx(
        0.979707933293, rel=1e-8
    )
    # Three transitions of one half of the data, one of the other.
    assert TopFraction(0.5).fit(four()).max_trajectory_probability_ == 0.75
    assert UniformWeighting().fit(four()).max_trajectory_probability_ == 0.4


@pytest.mark.parametrize(
    ("weighting", "numbers"),
    [
        (COLD, {0.0: 1, 0.9: 1, 0.97: 1, 0.98: 2, 0.9997: 3, 0.99983: 4, 1.0: 4}),
        (TopFraction(0.5), {0.5: 1, 0.75: 1, 0.76: 2, 0.9: 2, 1.0: 2}),
        (UniformWeighting(), {0.4: 1, 0.41: 2, 0.7: 2, 0.71: 3, 0.9: 3, 0.91: 4}),
        # Masses 3 * 0.5, 2 * 0.125, 0 and 1 * 1, of 2.75.
        (LinearReturnWeighting(), {0.54: 1, 0.55: 2, 0.9: 2, 0.91: 3, 1.0: 3}),
    ],
    ids=["return", "top", "uniform", "linear"],
)
def test_number_of_trajectories_that_hold_a_share(weighting, numbers):
    weighting.fit(four())
    for share, number in numbers.items():
        assert weighting.n_trajectories_holding(share) == number


def test_share_of_equal_trajectories_is_counted_without_rounding():
    for n in (3, 10, 100, 1000):
        weighting = UniformWeighting().fit(with_returns(np.arange(float(n))))
        for percent in (1, 10, 50, 70, 90, 99, 100):
            expected = -(-n * percent // 100)
            assert weighting.n_trajectories_holding(percent / 100) == expected
    assert weighting.n_trajectories_holding() == 900


def test_effective_size_and_entropy_are_those_of_weighted_rows():
    for weighting in (COLD, AdvantageWeighting(0.5, cv=None), TopFraction(0.5)):
        weights = weighting.fit(four()).sample_weight()
        assert weighting.ess_ == pytest.approx(effective_sample_size(weights))
        assert weighting.entropy_ == pytest.approx(weight_entropy(weights))


def test_summary_tells_what_the_weights_leave():
    assert TopFraction(0.5).fit(four()).summary().split("\n") == [
        "trajectories                 4    entropy                   1.3863",
        "never drawn                  2    mean return               5.2500",
        "with 90 % of the draws       2    largest return           10.0000",
        "largest probability     0.7500    return of the policy      8.0000",
        "transitions                 10    return in a batch         7.0000",
        "effective transitions      4.0    positive-sided variance   5.7812",
    ]
    text = COLD.fit(four()).summary()
    for part in ("0.9797", "9.9718", "9.9172", "alpha                     0.1000"):
        assert part in text


def test_share_that_is_none_is_refused():
    with pytest.raises(
        ValueError, match=r"'share' of ReturnWeighting.n_trajectories_holding must lie"
    ):
        ReturnWeighting().fit(four()).n_trajectories_holding(1.5)


@pytest.mark.parametrize("method", ["summary", "n_trajectories_holding"])
def test_diagnostics_need_a_fit(method):
    with pytest.raises(NotFittedError):
        getattr(ReturnWeighting(), method)()


def test_probabilities_of_trajectories_are_those_of_their_transitions():
    weighting = COLD.fit(four())
    assert_allclose(
        weighting.trajectory_probability_,
        weighting.transition_probability_ * [3, 2, 4, 1],
    )
