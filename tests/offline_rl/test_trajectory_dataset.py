"""The arrays of trajectories."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from statlearn.offline_rl import Trajectory, TrajectoryDataset
from trajectory_cases import REWARDS, STARTS, dataset_of, four


def arrays_of(dataset):
    return {field.name: getattr(dataset, field.name) for field in fields(dataset)}


def test_sizes_and_first_observations():
    dataset = four()
    assert (dataset.n_trajectories, dataset.n_transitions, len(dataset)) == (4, 10, 4)
    assert_array_equal(dataset.lengths, [3, 2, 4, 1])
    assert_array_equal(dataset.initial_observations, STARTS)
    assert_array_equal(dataset.returns(), [6, 3, 2, 10])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint8, np.int64, bool])
def test_arrays_are_taken_as_they_are(dtype):
    given = arrays_of(four())
    for name in ("observations", "actions", "next_observations"):
        given[name] = given[name].astype(dtype)
    given["rewards"] = given["rewards"].astype(np.float32)
    dataset = TrajectoryDataset(**given)
    for name, values in given.items():
        found = getattr(dataset, name)
        assert found.dtype == values.dtype
        assert np.shares_memory(found, values)


def test_it_is_frozen_and_copies_by_pickle():
    dataset = four()
    with pytest.raises(FrozenInstanceError):
        dataset.rewards = np.zeros(10)
    assert pickle.loads(pickle.dumps(dataset)) == dataset
    assert copy.deepcopy(dataset) == dataset


def test_equality_looks_at_every_array():
    dataset = four()
    assert dataset == four()
    assert dataset != "four"
    for name, values in arrays_of(dataset).items():
        if name != "offsets":
            other = values.copy()
            other[-1] = not other[-1] if other.dtype == bool else other[-1] + 1
            assert replace(dataset, **{name: other}) != dataset
    cut = replace(dataset, terminations=np.zeros(10, bool))
    other = replace(cut, offsets=np.array([0, 4, 10]), tail_rewards=np.zeros(2))
    assert other != cut
    with pytest.raises(TypeError, match="unhashable"):
        hash(dataset)


def test_missing_parts_of_observations_are_equal_to_themselves():
    seen = np.array([[0.0, np.nan], [1.0, 2.0]])
    one, other = (
        TrajectoryDataset.from_arrays(values, [0, 1], [1.0, 2.0], [True, True])
        for values in (seen, seen.copy())
    )
    assert one == other
    seen[0, 1] = 3.0
    assert one != other


WAYS = {
    "arrays": lambda d, path: d,
    "episodes": lambda d, path: TrajectoryDataset.from_episodes(d),
    "subset": lambda d, path: d.subset([2, 0]),
    "split": lambda d, path: d.split(0.5, random_state=0)[0],
    "joined": lambda d, path: TrajectoryDataset.concatenate([d, d]),
    "mixed": lambda d, path: TrajectoryDataset.mix(d, d, 0.5, random_state=0),
    "saved": lambda d, path: (d.save(path), TrajectoryDataset.load(path))[1],
    "pickled": lambda d, path: pickle.loads(pickle.dumps(d)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("seen", "done"),
    [("float32", "int8"), ("uint8", "int64"), ("float16", "float32"), ("int32", bool)],
    ids=str,
)
def test_dtypes_are_kept_in_every_way(way, seen, done, tmp_path):
    rng = np.random.default_rng(0)
    dataset = TrajectoryDataset.from_arrays(
        rng.integers(0, 9, (12, 2, 2)).astype(seen),
        rng.integers(0, 2, 12).astype(done),
        rng.integers(0, 2, 12).astype(np.float32),
        np.arange(12) % 4 == 3,
        next_observations=rng.integers(0, 9, (12, 2, 2)).astype(seen),
    )
    found = WAYS[way](dataset, tmp_path / "data")
    assert found.observations.dtype == found.next_observations.dtype == np.dtype(seen)
    assert found.actions.dtype == np.dtype(done)
    assert found.rewards.dtype == np.float32
    assert found.terminations.dtype == found.truncations.dtype == bool
    assert found.offsets.dtype == np.int64
    assert found.observations.shape[1:] == (2, 2)


def test_trajectories_are_views_in_order():
    dataset = dataset_of(REWARDS, STARTS, tail_rewards=[0.0, 0.0, 7.0, 0.0])
    third = dataset[2]
    assert isinstance(third, Trajectory)
    assert len(third) == 4
    assert_array_equal(third.rewards, REWARDS[2])
    assert third.tail_reward == 7.0
    assert np.shares_memory(third.observations, dataset.observations)
    assert_array_equal(dataset[-1].rewards, [10])
    assert [len(each) for each in dataset] == [3, 2, 4, 1]
    for index in (4, -5, 1.0, True, slice(0, 2), [0, 1], None):
        with pytest.raises(IndexError, match="takes an index from -4 to 3"):
            dataset[index]


def test_repr_tells_sizes_and_kinds():
    assert repr(four()) == (
        "TrajectoryDataset(n_trajectories=4, n_transitions=10, "
        "observations=float64 (2,), actions=int64 ())"
    )


def test_returns_contain_tail_rewards():
    dataset = dataset_of(REWARDS, tail_rewards=[0.0, 8.0, 0.0, -1.0])
    assert_array_equal(dataset.returns(), [6, 11, 2, 9])
    assert_array_equal(dataset.returns(0.5), [2.75, 5.5, 0.375, 9.5])


def test_sum_that_overflows_is_refused():
    dataset = dataset_of([(1.5e308, 1.5e308), (1.0,)])
    with (
        np.errstate(over="ignore"),
        pytest.raises(ValueError, match="Got larger ones in 1 of 2"),
    ):
        dataset.returns()


@pytest.mark.parametrize("gamma", [-0.1, 1.1, np.nan])
def test_discount_outside_the_unit_interval_is_refused(gamma):
    with pytest.raises(ValueError, match=r"The 'gamma' of .* must lie in \[0, 1\]"):
        four().returns(gamma)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("offsets", [0, 3, 3, 9, 10], "The 'offsets' of TrajectoryDataset"),
        ("offsets", [0, 5, 3, 9, 10], "The 'offsets' of TrajectoryDataset"),
        ("offsets", [1, 3, 5, 9, 10], "The 'offsets' of TrajectoryDataset"),
        ("offsets", [0, 3, 5, 9], "The 'offsets' of TrajectoryDataset"),
        ("offsets", [0.0, 10.0], "The 'offsets' of TrajectoryDataset"),
        ("offsets", [0], "The 'offsets' of TrajectoryDataset"),
        ("rewards", [np.inf] * 10, "The 'rewards' of TrajectoryDataset must be finite"),
        ("rewards", ["1"] * 10, "must be numbers of shape"),
        ("rewards", [1.0] * 9, "must have a row for each step"),
        ("actions", np.array([{}] * 10), "The 'actions' .* array of numbers"),
        ("observations", 3.0, "must have a row for each step"),
        ("next_observations", np.zeros((10, 3)), "must have the shape"),
        ("terminations", [2] * 10, "must be True or False"),
        (
            "terminations",
            [0, 1, 1, 1, 0, 1, 1, 1, 1, 1],
            r"Got \d before, the first in row 1; start a new trajectory",
        ),
        ("tail_rewards", [0.0] * 3, "one number for each of 4"),
        ("tail_rewards", [0.0, np.nan, 0.0, 0.0], "The 'tail_rewards' .* finite"),
    ],
    ids=range(16),
)
def test_bad_array_is_refused(name, value, message):
    with pytest.raises(ValueError, match=message):
        TrajectoryDataset(**(arrays_of(four()) | {name: value}))
