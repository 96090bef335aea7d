"""What a buffer for Stable-Baselines3 draws, against the recorded rows."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from numpy.testing import assert_allclose, assert_array_equal

from buffer_stubs import sb3_modules
from sampler_cases import n_step_by_loop, recorded
from statlearn.offline_rl import TrajectoryDataset, TrajectorySampler

torch = pytest.importorskip("torch")

SEEN = Box(-np.inf, np.inf, (2,), np.float64)
BOUNDED = Box(np.array([-1.0, 0.0], np.float32), np.array([1.0, 4.0], np.float32))
WEIGHTS = [0.0, 2.0, 0.5, 1.0]


@pytest.fixture(autouse=True)
def _stubs(monkeypatch):
    for name, module in sb3_modules().items():
        monkeypatch.setitem(sys.modules, name, module)


def logged(space):
    dataset = recorded([3, 1, 4, 2], truncated=[2])
    fields = {name: getattr(dataset, name) for name in dataset.__slots__}
    space.seed(0)
    actions = np.stack([space.sample() for _ in range(dataset.n_transitions)])
    return TrajectoryDataset(**(fields | {"actions": actions}))


def pair(space, **options):
    """A buffer, and a sampler that draws the same."""
    one, other = (
        TrajectorySampler(logged(space), WEIGHTS, random_state=0, **options)
        for _ in "ab"
    )
    return one.to_sb3(SEEN, space, device="cpu"), other


@pytest.mark.parametrize("space", [BOUNDED, Discrete(3)], ids=["box", "discrete"])
@pytest.mark.parametrize("n_step", [1, 3])
def test_batches_hold_the_rows_of_the_sampler(space, n_step):
    buffer, sampler = pair(space, n_step=n_step, gamma=0.9)
    batch, rows, data = buffer.sample(50), sampler.sample_indices(50), sampler.dataset
    assert rows.min() >= 3
    assert all(values.shape[0] == 50 for values in batch if values is not None)
    assert (batch.discounts is None) == (n_step == 1)
    for values in (batch.observations, batch.rewards, batch.dones):
        assert values.dtype == torch.float32
    for i, row in enumerate(rows):
        total, last, discount = n_step_by_loop(data, row, n_step, 0.9)
        assert_allclose(batch.observations[i], data.observations[row], rtol=1e-6)
        assert_allclose(batch.rewards[i], [total], rtol=1e-5, atol=1e-6)
        assert batch.next_observations[i, 0] == last + 0.5
        assert batch.dones[i].tolist() == [data.terminations[last]]
        if n_step > 1:
            assert_allclose(batch.discounts[i], [discount], rtol=1e-6)
        if space is BOUNDED:
            low, high = space.low, space.high
            scaled = 2.0 * (data.actions[row] - low) / (high - low) - 1.0
            assert_allclose(batch.actions[i], scaled, rtol=1e-5, atol=1e-6)
        else:
            assert batch.actions[i].tolist() == [data.actions[row]]


def test_a_time_limit_is_not_done():
    buffer, sampler = pair(Discrete(3))
    rows, batch = sampler.sample_indices(200), buffer.sample(200)
    at_limit = sampler.dataset.truncations[rows]
    assert at_limit.any()
    assert not batch.dones[at_limit].any()


def test_observations_and_rewards_are_normalized_by_the_environment():
    class Halves:
        def normalize_obs(self, values):
            return values / 2

        def normalize_reward(self, values):
            return values * 3

    plain, scaled = pair(BOUNDED)[0].sample(20), pair(BOUNDED)[0].sample(20, Halves())
    assert_allclose(scaled.observations, plain.observations / 2)
    assert_allclose(scaled.next_observations, plain.next_observations / 2)
    assert_allclose(scaled.rewards, plain.rewards * 3, rtol=1e-6)
    assert_array_equal(scaled.actions, plain.actions)


def test_copy_by_pickle_draws_the_same():
    buffer, _ = pair(BOUNDED)
    copy = pickle.loads(pickle.dumps(buffer))
    assert copy.size() == buffer.size() == 10
    for one, other in zip(buffer.sample(9)[:5], copy.sample(9)[:5], strict=True):
        assert_array_equal(one, other)


def test_nothing_can_be_added_to_the_buffer():
    buffer, _ = pair(Discrete(3))
    for call in (buffer.reset, lambda: buffer.add(0, 0, 0, 0, 0, [])):
        with pytest.raises(NotImplementedError, match="expected only to be drawn from"):
            call()


def test_actions_without_bounds_are_refused():
    endless = Box(-np.inf, np.inf, (2,), np.float32)
    with pytest.raises(ValueError, match=r"'action_space' of .* must have bounds"):
        TrajectorySampler(logged(BOUNDED)).to_sb3(SEEN, endless)


def test_sampler_of_sequences_is_refused():
    sampler = TrajectorySampler(logged(Discrete(3)), sequence_length=3)
    with pytest.raises(ValueError, match=r"single transitions\. .*sequence_length=3"):
        sampler.to_sb3(SEEN, Discrete(3))
