"""Trajectories chosen, joined and mixed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from statlearn.offline_rl import TrajectoryDataset
from trajectory_cases import REWARDS, STARTS, dataset_of, four, with_returns

TAIL = [0.0, 5.0, 0.0, -2.0]


@given(st.lists(st.integers(-4, 3), min_size=1, max_size=10))
def test_subset_is_the_list_of_its_trajectories(chosen):
    dataset = dataset_of(REWARDS, STARTS, TAIL)
    found = dataset.subset(chosen)
    expected = TrajectoryDataset.from_episodes(dataset[index] for index in chosen)
    assert found == expected
    assert_array_equal(found.returns(), dataset.returns()[chosen])


def test_adjacent_trajectories_are_views():
    dataset = four()
    assert np.shares_memory(dataset.subset([1, 2]).rewards, dataset.rewards)
    assert not np.shares_memory(dataset.subset([2, 1]).rewards, dataset.rewards)


def test_filter_takes_a_mask_or_a_function():
    dataset = four()
    kept = dataset.subset([0, 3])
    assert dataset.filter(dataset.returns() > 5) == kept
    assert dataset.filter([True, False, False, True]) == kept
    assert dataset.filter(lambda part: part.rewards.sum() > 5) == kept
    assert dataset.subset([True, False, False, True]) == kept


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda d: d.subset([]), "at least one trajectory. Got none"),
        (lambda d: d.subset([4]), "positions from -4 to 3. Got 4 to 4"),
        (lambda d: d.subset([0.5]), "Got float64 of shape"),
        (lambda d: d.filter([True]), r"must have shape \(4,\). Got \(1,\)"),
        (lambda d: d.filter([False] * 4), "at least one trajectory. Got none"),
        (lambda d: d.filter(lambda part: False), "at least one trajectory. Got none"),
        (lambda d: d.split(1.0), "must leave a trajectory on each side"),
        (lambda d: d.split(4), "must leave a trajectory on each side"),
        (lambda d: d.split(np.nan), "must leave a trajectory on each side"),
        (lambda d: d.subset(2), "Got int64 of shape"),
        (lambda d: d.split(0), "must leave a trajectory on each side"),
        (lambda d: d.subset([0]).split(0.5), "must leave a trajectory on each side"),
        (lambda d: d.concatenate([]), "at least one data set. Got none"),
        (lambda d: d.mix(d, d, 1.5), r"The 'ratio' of .* must lie in \[0, 1\]"),
        (lambda d: d.mix(d, d, 0.5, size=0), "The 'size' of .*>= 1"),
        (lambda d: d.concatenate([d, with_returns([1.0])]), "one shape and kind"),
    ],
    ids=range(16),
)
def test_bad_choice_is_refused(act, message):
    with pytest.raises(ValueError, match=message):
        act(four())


@pytest.mark.parametrize(
    "act",
    [
        lambda d: d.concatenate([d, "three"]),
        lambda d: d.concatenate(d),
        lambda d: d.mix(d, [1.0], 0.5),
        lambda d: d.mix(None, d, 0.5),
    ],
    ids=["word", "trajectory", "list", "none"],
)
def test_what_is_no_data_set_is_refused(act):
    with pytest.raises(TypeError, match=r"expected a TrajectoryDataset\. Got .*; make"):
        act(four())


def test_truth_is_no_share_to_split_by():
    with pytest.raises(TypeError, match=r"The 'test_size' of .* must be a real number"):
        four().split(True)


def test_split_has_every_trajectory_once_in_order():
    dataset = with_returns(np.arange(20.0), np.arange(20) % 3 + 1)
    train, test = dataset.split(0.3, random_state=0)
    assert (len(train), len(test)) == (14, 6)
    both = np.concatenate((train.returns(), test.returns()))
    assert_array_equal(np.sort(both), np.arange(20.0))
    for part in (train, test):
        assert (np.diff(part.returns()) > 0).all()
    assert dataset.split(6, random_state=0)[1] == test
    assert dataset.split(6, random_state=1)[1] != test


def test_parts_make_the_whole():
    dataset = dataset_of(REWARDS, STARTS, TAIL)
    parts = [dataset.subset([0]), dataset.subset([1, 2]), dataset.subset([3])]
    assert TrajectoryDataset.concatenate(parts) == dataset


# -------------------------------------------------------------------------- mixtures
good = with_returns(np.full(5, 100.0), np.array([30, 20, 10, 40, 25]))
bad = with_returns(np.arange(50.0), np.full(50, 7))


@pytest.mark.parametrize("ratio", [0.001, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("size", [None, 300])
def test_mixture_exceeds_its_share_by_part_of_one_trajectory(ratio, size):
    found, is_good = TrajectoryDataset.mix(
        good, bad, ratio, size, random_state=0, return_is_good=True
    )
    total = 125 if size is None else size
    assert_array_equal(is_good, found.returns() == 100.0)
    n_good = found.lengths[is_good].sum()
    last = found.lengths[is_good][-1]
    assert n_good - last <= ratio * total < n_good
    assert total <= found.n_transitions < max(total, n_good) + 7


def test_no_bad_trajectory_comes_twice_before_all_have_come():
    found = TrajectoryDataset.mix(good, bad, 0.0, 350, random_state=0)
    assert_array_equal(np.sort(found.returns()), np.arange(50.0))
    found = TrajectoryDataset.mix(good, bad, 0.0, 700, random_state=0)
    assert_array_equal(np.sort(found.returns()), np.repeat(np.arange(50.0), 2))


def test_mixture_of_good_ones_only():
    found = TrajectoryDataset.mix(good, bad, 1.0, random_state=0)
    assert (found.returns() == 100.0).all()
    assert found.n_transitions > 125


def test_seed_decides_the_mixture():
    first, again, other = (
        TrajectoryDataset.mix(good, bad, 0.3, random_state=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
