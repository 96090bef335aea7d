"""What a buffer for d3rlpy draws, against the recorded rows and a plain loop."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from buffer_stubs import ActionSpace, d3rlpy_modules
from sampler_cases import n_step_by_loop, recorded
from statlearn.offline_rl import TrajectoryDataset, TrajectorySampler

LENGTHS, WEIGHTS = [3, 1, 4, 2, 5], [0.0, 2.0, 0.5, 1.0, 1.0]
DISCRETE = recorded(LENGTHS, truncated=[2, 3])


@pytest.fixture(autouse=True)
def dumped(monkeypatch):
    """Put modules in the place of d3rlpy; return what is dumped by them."""
    files = []
    for name, module in d3rlpy_modules(files).items():
        monkeypatch.setitem(sys.modules, name, module)
    return files


def continuous():
    fields = {name: getattr(DISCRETE, name) for name in DISCRETE.__slots__}
    actions = np.random.default_rng(1).uniform(-1, 1, (15, 2))
    return TrajectoryDataset(**(fields | {"actions": actions}))


def pair(dataset, **options):
    """A buffer, and a sampler that draws the same."""
    one, other = (
        TrajectorySampler(dataset, WEIGHTS, random_state=0, **options) for _ in "ab"
    )
    return one.to_d3rlpy(), other


def padded(values):
    return values.reshape(len(values), -1)


@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("kind", ["discrete", "continuous"])
def test_transitions_are_those_of_the_sampler(kind, n_step):
    dataset = DISCRETE if kind == "discrete" else continuous()
    buffer, sampler = pair(dataset, n_step=n_step, gamma=0.9)
    rows = sampler.sample_indices(60)
    batch = buffer.sample_transition_batch(60)
    for name, values in vars(batch).items():
        if name != "transitions":
            assert values.dtype == np.float32, name
            assert len(values) == 60, name
            assert values.ndim == 2, name
    assert rows.min() >= 3
    actions = padded(dataset.actions).astype(np.float32)
    for i, row in enumerate(rows):
        total, last, _ = n_step_by_loop(dataset, row, n_step, 0.9)
        end = dataset.offsets[dataset.offsets > row].min()
        assert_allclose(batch.observations[i], dataset.observations[row], rtol=1e-6)
        assert_array_equal(batch.actions[i], actions[row])
        assert batch.rewards[i, 0] == pytest.approx(total, rel=1e-5, abs=1e-6)
        assert batch.next_observations[i, 0] == last + 0.5
        following = actions[last + 1] if last + 1 < end else np.zeros(actions.shape[1])
        assert_array_equal(batch.next_actions[i], following)
        assert batch.terminals[i, 0] == dataset.terminations[last]
        assert batch.intervals[i, 0] == last + 1 - row


def test_single_transitions_are_rows_of_the_batch():
    buffer, sampler = pair(DISCRETE)
    batch, rows = buffer.sample_transition_batch(20), sampler.sample_indices(20)
    assert len(batch.transitions) == 20
    for i, one in enumerate(batch.transitions):
        end = DISCRETE.offsets[DISCRETE.offsets > rows[i]].min()
        assert_array_equal(one.observation, batch.observations[i])
        assert_array_equal(one.next_observation, batch.next_observations[i])
        assert_array_equal(one.action, batch.actions[i])
        assert_array_equal(one.next_action, batch.next_actions[i])
        assert_array_equal(one.reward, batch.rewards[i])
        assert (one.terminal, one.interval) == (batch.terminals[i, 0], 1)
        assert_allclose(one.rewards_to_go[:, 0], DISCRETE.rewards[rows[i] : end])
    alone = buffer.sample_transition()
    assert alone.observation[0] == sampler.sample_indices(1)[0]


def test_pieces_end_with_the_drawn_row_and_start_in_its_trajectory():
    dataset, length = continuous(), 3
    buffer, sampler = pair(dataset)
    rows, batch = sampler.sample_indices(50), buffer.sample_trajectory_batch(50, length)
    for i, row in enumerate(rows):
        start = dataset.offsets[dataset.offsets <= row].max()
        end = dataset.offsets[dataset.offsets > row].min()
        for step, at in enumerate(range(row - length + 1, row + 1)):
            assert batch.masks[i, step] == (at >= start)
            if at < start:
                for name, values in vars(batch).items():
                    assert name == "length" or not values[i, step].any()
                continue
            assert_allclose(batch.observations[i, step], dataset.observations[at])
            assert_allclose(batch.actions[i, step], dataset.actions[at], rtol=1e-6)
            assert_allclose(batch.rewards[i, step, 0], dataset.rewards[at], rtol=1e-6)
            to_go = dataset.rewards[at:end].sum()
            assert_allclose(batch.returns_to_go[i, step, 0], to_go, rtol=1e-5)
            assert batch.terminals[i, step, 0] == dataset.terminations[at]
            assert batch.timesteps[i, step] == at - start + 1
    assert batch.length == length
    one = buffer.sample_trajectory(length)
    assert one.observations.shape == (length, 2)
    assert one.masks.shape == (length,)


def test_buffer_says_what_it_holds():
    buffer, _ = pair(DISCRETE)
    info = buffer.dataset_info
    assert info.action_space is ActionSpace.DISCRETE
    assert (info.action_size, buffer.size(), buffer.transition_count) == (3, 5, 15)
    assert info.observation_signature == (np.float64, (2,))
    assert info.action_signature[1] == info.reward_signature[1] == (1,)
    wide = TrajectorySampler(DISCRETE).to_d3rlpy(action_size=7)
    assert wide.dataset_info.action_size == 7
    other = pair(continuous())[0].dataset_info
    assert (other.action_space, other.action_size) == (ActionSpace.CONTINUOUS, 2)
    assert type(buffer.transition_picker).__name__ == "BasicTransitionPicker"
    assert type(buffer.trajectory_slicer).__name__ == "BasicTrajectorySlicer"


def test_episodes_keep_whether_they_ended_or_were_cut_off(dumped):
    buffer, _ = pair(DISCRETE)
    ended = [episode.terminated for episode in buffer.episodes]
    assert ended == [True, True, False, False, True]
    assert [len(episode.rewards) for episode in buffer.episodes] == LENGTHS
    assert buffer.episodes[2].actions.shape == (4, 1)
    assert_allclose(buffer.episodes[2].rewards[:, 0], DISCRETE.rewards[4:8], rtol=1e-6)
    buffer.dump("file")
    assert dumped == [(buffer.episodes, "file")]


def test_copy_by_pickle_draws_the_same():
    buffer, _ = pair(DISCRETE)
    copy = pickle.loads(pickle.dumps(buffer))
    assert_array_equal(
        copy.sample_transition_batch(9).observations,
        buffer.sample_transition_batch(9).observations,
    )


def test_nothing_can_be_added_to_the_buffer():
    buffer, _ = pair(DISCRETE)
    for call in (
        lambda: buffer.append(np.zeros(2), 0, 0.0),
        lambda: buffer.append_episode(buffer.episodes[0]),
        lambda: buffer.clip_episode(True),
        lambda: buffer.buffer,
    ):
        with pytest.raises(NotImplementedError, match="expected only to be drawn from"):
            call()


def test_sampler_of_sequences_is_refused():
    with pytest.raises(ValueError, match=r"single transitions\. .*sequence_length=3"):
        TrajectorySampler(DISCRETE, sequence_length=3).to_d3rlpy()
