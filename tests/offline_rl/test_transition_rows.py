"""Fields of transitions, n-step returns and sequences, against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sampler_cases import n_step_by_loop, recorded
from statlearn.offline_rl import TrajectoryDataset, TrajectorySampler

LENGTHS = st.lists(st.integers(1, 7), min_size=1, max_size=6)
packed_or_not = pytest.mark.parametrize("pack", [True, False], ids=["packed", "loose"])


@packed_or_not
def test_batch_holds_the_rows_of_its_indices(pack):
    dataset = recorded([3, 1, 4], truncated=[1])
    sampler = TrajectorySampler(dataset, random_state=0, pack=pack, dtype=None)
    batch = sampler.sample(100)
    for name, values in batch.items():
        if name not in ("indices", "weights"):
            assert_array_equal(values, getattr(dataset, name)[batch["indices"]])
    assert set(batch) == {
        "observations",
        "actions",
        "rewards",
        "next_observations",
        "terminations",
        "truncations",
        "indices",
        "weights",
    }


@packed_or_not
@settings(deadline=None, max_examples=60)
@given(
    lengths=LENGTHS,
    n_step=st.integers(1, 9),
    gamma=st.sampled_from([0.0, 0.5, 0.99, 1.0]),
    data=st.data(),
)
def test_n_step_returns_are_those_of_a_loop(pack, lengths, n_step, gamma, data):
    n = sum(lengths)
    dataset = recorded(
        lengths,
        truncated=data.draw(st.sets(st.integers(0, len(lengths)))),
        cut_within=data.draw(st.sets(st.integers(0, n - 1), max_size=3)),
    )
    sampler = TrajectorySampler(
        dataset, n_step=n_step, gamma=gamma, dtype="float64", pack=pack
    )
    batch = sampler.gather(np.arange(n))
    for row in range(n):
        total, last, discount = n_step_by_loop(dataset, row, n_step, gamma)
        assert batch["rewards"][row] == pytest.approx(total, rel=1e-12, abs=1e-12)
        assert batch["next_observations"][row, 0] == last + 0.5
        assert batch["terminations"][row] == dataset.terminations[last]
        assert batch["truncations"][row] == dataset.truncations[last]
        if n_step > 1:
            assert batch["discounts"][row] == pytest.approx(discount, rel=1e-12)


def test_a_time_limit_cuts_off_rewards_but_not_the_value():
    dataset = recorded([4, 4], truncated=[1])
    batch = TrajectorySampler(dataset, n_step=10, gamma=0.5).gather([0, 4])
    assert batch["terminations"].tolist() == [True, False]
    assert batch["truncations"].tolist() == [False, True]
    assert batch["discounts"].tolist() == [0.0625, 0.0625]


@packed_or_not
@settings(deadline=None, max_examples=60)
@given(lengths=LENGTHS, length=st.integers(1, 9), n_step=st.integers(1, 3))
def test_sequences_stay_in_their_trajectory(pack, lengths, length, n_step):
    dataset = recorded(lengths)
    options = {"pack": pack, "n_step": n_step, "dtype": "float64"}
    single = TrajectorySampler(dataset, **options).gather(np.arange(sum(lengths)))
    sampler = TrajectorySampler(dataset, **options, sequence_length=length)
    batch = sampler.gather(np.arange(sum(lengths)))
    for start in range(sum(lengths)):
        end = dataset.offsets[dataset.offsets > start].min()
        inside = min(length, end - start)
        assert batch["mask"][start].tolist() == [
            step < inside for step in range(length)
        ]
        for name, rows in single.items():
            if name in ("indices", "weights"):
                continue
            assert batch[name].shape[:2] == (sum(lengths), length)
            assert_array_equal(
                batch[name][start, :inside], rows[start : start + inside]
            )
            assert not batch[name][start, inside:].any()


def test_strict_sequences_need_no_padding():
    dataset = recorded([2, 5, 3, 1])
    sampler = TrajectorySampler(dataset, sequence_length=3, pad=False, random_state=0)
    batch = sampler.sample(500)
    assert batch["mask"].all()
    assert_array_equal(np.unique(batch["indices"]), [2, 3, 4, 7])
    steps = np.diff(batch["observations"][:, :, 0], axis=1)
    assert_array_equal(steps, np.ones((500, 2)))


def test_floating_numbers_get_the_dtype_and_integers_stay():
    dataset = recorded([3, 2])
    images = TrajectoryDataset(
        np.arange(60, dtype=np.uint8).reshape(5, 2, 3, 2),
        dataset.actions,
        np.arange(5),
        np.zeros((5, 2, 3, 2), np.uint8),
        dataset.terminations,
        dataset.truncations,
        dataset.offsets,
    )
    plain = TrajectorySampler(dataset).gather([0])
    assert plain["observations"].dtype == plain["rewards"].dtype == np.float32
    assert plain["weights"].dtype == np.float32
    assert plain["actions"].dtype == dataset.actions.dtype
    batch = TrajectorySampler(images).gather([4, 0])
    assert batch["observations"].dtype == np.uint8
    assert_array_equal(batch["observations"], images.observations[[4, 0]])
    assert batch["rewards"].dtype == np.float32
    kept = TrajectorySampler(images, dtype=None).gather([4])
    assert kept["rewards"].dtype == images.rewards.dtype


def test_mapped_data_stay_in_their_file(tmp_path):
    dataset = recorded([3, 1, 4])
    dataset.save(tmp_path / "data")
    mapped = TrajectorySampler(TrajectoryDataset.load(tmp_path / "data"))
    assert not hasattr(mapped._rows, "_records")
    packed = TrajectorySampler(dataset)
    assert hasattr(packed._rows, "_records")
    rows = [7, 0, 3]
    for name, values in mapped.gather(rows).items():
        assert_array_equal(values, packed.gather(rows)[name])


@packed_or_not
def test_writing_into_a_batch_changes_no_data(pack):
    dataset = recorded([3, 1, 4])
    before = dataset.observations.copy()
    sampler = TrajectorySampler(dataset, pack=pack, dtype=None, random_state=0)
    first = sampler.gather([0, 1])
    for values in sampler.gather([0, 1]).values():
        values[:] = 0
    assert_array_equal(dataset.observations, before)
    for name, values in sampler.gather([0, 1]).items():
        assert_array_equal(values, first[name])


def test_many_rows_are_packed_in_pieces():
    n = 70_000
    flags = np.zeros(n, bool)
    dataset = TrajectoryDataset(
        np.arange(20.0 * n).reshape(n, 20),
        np.zeros((n, 1)),
        np.arange(n),
        np.zeros((n, 20)),
        flags,
        flags,
        [0, n],
    )
    rows = np.random.default_rng(0).integers(0, n, 2000)
    batch = TrajectorySampler(dataset, dtype="float64").gather(rows)
    assert_array_equal(batch["observations"], dataset.observations[rows])
    assert_allclose(batch["rewards"], rows)
