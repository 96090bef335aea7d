"""Samplers as replay buffers of Stable-Baselines3."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from buffer_stubs import BaseBuffer, ReplayBufferSamples
from sampler_cases import recorded
from statlearn.offline_rl import TrajectoryDataset, TrajectorySampler

gymnasium = pytest.importorskip("gymnasium")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sb3 = pytest.importorskip("stable_baselines3")
    buffers = pytest.importorskip("stable_baselines3.common.buffers")
    logger = pytest.importorskip("stable_baselines3.common.logger")

pytestmark = pytest.mark.filterwarnings("default")
Box, Discrete = gymnasium.spaces.Box, gymnasium.spaces.Discrete

SEEN = Box(-np.inf, np.inf, (2,), np.float64)
WEIGHTS = [0.0, 2.0, 0.5, 1.0]


class Still(gymnasium.Env):
    """An environment that only tells its spaces."""

    def __init__(self, action_space):
        self.observation_space, self.action_space = SEEN, action_space


def logged(action_space):
    dataset = recorded([3, 1, 4, 2], truncated=[2])
    fields = {name: getattr(dataset, name) for name in dataset.__slots__}
    action_space.seed(0)
    actions = np.stack([action_space.sample() for _ in range(dataset.n_transitions)])
    return TrajectoryDataset(**(fields | {"actions": actions}))


def bounded():
    low, high = np.array([[-1.0, 0.0], [1.0, 4.0]], np.float32)
    return Box(low, high)


MODELS = {
    "SAC": (sb3.SAC, bounded),
    "TD3": (sb3.TD3, bounded),
    "DQN": (sb3.DQN, lambda: Discrete(3)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("n_step", [1, 3])
def test_models_train_on_the_buffer(name, n_step):
    kind, space_of = MODELS[name]
    space = space_of()
    model = kind("MlpPolicy", Still(space), device="cpu", buffer_size=1)
    model.set_logger(logger.Logger(None, []))
    sampler = TrajectorySampler(logged(space), WEIGHTS, random_state=0, n_step=n_step)
    model.replay_buffer = sampler.to_sb3(model.observation_space, model.action_space)
    before = [values.clone() for values in model.policy.parameters()]
    model.train(gradient_steps=4, batch_size=16)
    after = list(model.policy.parameters())
    assert any((one != other).any() for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("space", [bounded(), Discrete(3)], ids=["box", "discrete"])
@pytest.mark.parametrize("n_step", [1, 3])
def test_batches_are_those_of_a_buffer_that_was_filled(space, n_step):
    dataset = logged(space)
    options = {"n_step": n_step, "gamma": 0.9, "random_state": 0}
    buffer = TrajectorySampler(dataset, WEIGHTS, **options).to_sb3(SEEN, space)
    sampler = TrajectorySampler(dataset, WEIGHTS, **options)
    batch, drawn = buffer.sample(100), sampler.sample(100)
    filled = _filled(dataset, space, n_step)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = filled._get_samples(drawn["indices"])
    assert batch._fields == theirs._fields
    for name, mine, other in zip(batch._fields, batch, theirs, strict=True):
        if other is None:
            assert mine is None
            continue
        assert mine.shape == other.shape, name
        assert_allclose(mine.numpy(), other.numpy(), rtol=1e-5, atol=1e-6)


def _filled(dataset, space, n_step):
    """A buffer of theirs that has seen the transitions one by one."""
    n = dataset.n_transitions
    kind = buffers.ReplayBuffer if n_step == 1 else buffers.NStepReplayBuffer
    extra = {} if n_step == 1 else {"n_steps": n_step, "gamma": 0.9}
    filled = kind(n, SEEN, space, device="cpu", **extra)
    for row in range(n):
        action = dataset.actions[row]
        if isinstance(space, Box):
            action = 2.0 * (action - space.low) / (space.high - space.low) - 1.0
        filled.add(
            dataset.observations[row],
            dataset.next_observations[row],
            np.asarray(action),
            dataset.rewards[row],
            dataset.terminations[row] | dataset.truncations[row],
            [{"TimeLimit.truncated": bool(dataset.truncations[row])}],
        )
    return filled


def test_transitions_of_no_weight_are_not_drawn():
    buffer = TrajectorySampler(logged(Discrete(3)), WEIGHTS).to_sb3(SEEN, Discrete(3))
    assert isinstance(buffer, buffers.ReplayBuffer)
    assert buffer.sample(2000).observations[:, 0].min() >= 3
    assert buffer.size() == 10


def test_observations_are_normalized_by_the_environment():
    space = Discrete(3)
    buffer, other = (
        TrajectorySampler(logged(space), random_state=0).to_sb3(SEEN, space)
        for _ in range(2)
    )

    class Halves:
        def normalize_obs(self, values):
            return values / 2

        def normalize_reward(self, values):
            return values * 3

    plain, scaled = buffer.sample(50), other.sample(50, env=Halves())
    assert_allclose(scaled.observations, plain.observations / 2)
    assert_allclose(scaled.next_observations, plain.next_observations / 2)
    assert_allclose(scaled.rewards, plain.rewards * 3, rtol=1e-6)


def test_buffer_can_be_pickled():
    space = bounded()
    buffer = TrajectorySampler(logged(space), random_state=0).to_sb3(SEEN, space)
    copy = pickle.loads(pickle.dumps(buffer))
    for one, other in zip(buffer.sample(9)[:5], copy.sample(9)[:5], strict=True):
        assert_array_equal(one.numpy(), other.numpy())


def test_nothing_can_be_added_to_the_buffer():
    space = Discrete(3)
    buffer = TrajectorySampler(logged(space)).to_sb3(SEEN, space)
    for call in (buffer.reset, lambda: buffer.add(0, 0, 0, 0, 0, [])):
        with pytest.raises(NotImplementedError, match="expected only to be drawn from"):
            call()


def test_actions_without_bounds_are_refused():
    endless = Box(-np.inf, np.inf, (2,), np.float32)
    with pytest.raises(ValueError, match=r"'action_space' of .* must have bounds"):
        TrajectorySampler(logged(bounded())).to_sb3(SEEN, endless)


def test_sampler_of_sequences_is_refused():
    sampler = TrajectorySampler(logged(Discrete(3)), sequence_length=3)
    with pytest.raises(ValueError, match=r"single transitions\. .*sequence_length=3"):
        sampler.to_sb3(SEEN, Discrete(3))


@pytest.mark.parametrize("space", [bounded(), Discrete(3)], ids=["box", "discrete"])
def test_stubs_of_the_core_tests_have_the_names_of_the_package(space):
    aliases = pytest.importorskip("stable_baselines3.common.type_aliases")
    assert ReplayBufferSamples._fields == aliases.ReplayBufferSamples._fields
    theirs = buffers.ReplayBuffer(5, SEEN, space, device="cpu")
    stub = BaseBuffer(5, SEEN, space, device="cpu")
    for name in ("obs_shape", "action_dim", "buffer_size", "full"):
        assert getattr(stub, name) == getattr(theirs, name), name
