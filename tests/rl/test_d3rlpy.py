"""Samplers as replay buffers of d3rlpy."""

from __future__ import annotations

import io
import pickle
import warnings
from dataclasses import fields

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from buffer_stubs import ABSTRACT, FIELDS, Episode
from sampler_cases import recorded
from statlearn.offline_rl import TrajectoryDataset, TrajectorySampler

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    d3rlpy = pytest.importorskip("d3rlpy")

pytestmark = pytest.mark.filterwarnings("default")

LENGTHS, WEIGHTS = [3, 1, 4, 2, 5], [0.0, 2.0, 0.5, 1.0, 1.0]
DISCRETE = recorded(LENGTHS, truncated=[2, 3])


def continuous():
    fields = {name: getattr(DISCRETE, name) for name in DISCRETE.__slots__}
    actions = np.random.default_rng(1).uniform(-1, 1, (15, 2)).astype(np.float32)
    return TrajectoryDataset(**(fields | {"actions": actions}))


def buffer_of(dataset, **options):
    return TrajectorySampler(dataset, WEIGHTS, random_state=0, **options).to_d3rlpy()


ALGORITHMS = {
    "DQN": (d3rlpy.algos.DQNConfig, DISCRETE),
    "DiscreteBC": (d3rlpy.algos.DiscreteBCConfig, DISCRETE),
    "DiscreteCQL": (d3rlpy.algos.DiscreteCQLConfig, DISCRETE),
    "IQL": (d3rlpy.algos.IQLConfig, continuous()),
    "CQL": (d3rlpy.algos.CQLConfig, continuous()),
    "TD3PlusBC": (d3rlpy.algos.TD3PlusBCConfig, continuous()),
    "ReBRAC": (d3rlpy.algos.ReBRACConfig, continuous()),
    "CalQL": (d3rlpy.algos.CalQLConfig, continuous()),
}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_algorithms_fit_on_the_buffer(name):
    config, dataset = ALGORITHMS[name]
    algorithm = config(batch_size=16).create(device=False)
    history = algorithm.fit(
        buffer_of(dataset),
        n_steps=6,
        n_steps_per_epoch=3,
        show_progress=False,
        logger_adapter=d3rlpy.logging.NoopAdapterFactory(),
    )
    assert len(history) == 2
    assert all(np.isfinite(loss) for _, losses in history for loss in losses.values())


def test_scalers_and_a_transformer_fit_on_the_buffer():
    quiet = d3rlpy.logging.NoopAdapterFactory()
    options = {"show_progress": False, "logger_adapter": quiet}
    scaled = d3rlpy.algos.IQLConfig(
        batch_size=8,
        observation_scaler=d3rlpy.preprocessing.StandardObservationScaler(),
        action_scaler=d3rlpy.preprocessing.MinMaxActionScaler(),
        reward_scaler=d3rlpy.preprocessing.StandardRewardScaler(),
    )
    history = scaled.create().fit(
        buffer_of(continuous()), n_steps=2, n_steps_per_epoch=2, **options
    )
    assert np.isfinite(list(history[0][1].values())).all()
    transformer = d3rlpy.algos.DecisionTransformerConfig(batch_size=4, context_size=3)
    model = transformer.create()
    model.fit(buffer_of(continuous()), n_steps=2, n_steps_per_epoch=2, **options)
    assert model.impl is not None


@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("name", ["discrete", "continuous"])
def test_transitions_are_those_that_d3rlpy_picks(name, n_step):
    dataset = DISCRETE if name == "discrete" else continuous()
    buffer = buffer_of(dataset, n_step=n_step, gamma=0.9)
    picker = d3rlpy.dataset.MultiStepTransitionPicker(n_step, 0.9)
    sampler = TrajectorySampler(dataset, WEIGHTS, random_state=0)
    rows = sampler.sample_indices(200)
    batch = buffer.sample_transition_batch(200)
    assert len(batch.transitions) == 200
    compared = 0
    for i, (row, mine) in enumerate(zip(rows, batch.transitions, strict=True)):
        which = np.searchsorted(dataset.offsets, row, side="right") - 1
        at, episode = row - dataset.offsets[which], buffer.episodes[which]
        if which in (2, 3) and at + n_step >= episode.size():
            continue  # d3rlpy does not know the observation at the end
        compared += 1
        theirs = picker(episode, at)
        assert mine.interval == theirs.interval == batch.intervals[i, 0]
        assert mine.terminal == theirs.terminal == batch.terminals[i, 0]
        assert_allclose(mine.observation, theirs.observation, rtol=1e-6)
        assert_array_equal(mine.action, theirs.action)
        assert_array_equal(mine.next_action, theirs.next_action)
        assert_allclose(mine.reward, theirs.reward, rtol=1e-5, atol=1e-6)
        assert_allclose(mine.rewards_to_go, theirs.rewards_to_go, rtol=1e-6)
    assert compared > 80


def test_pieces_are_those_that_d3rlpy_slices():
    dataset, length = continuous(), 3
    buffer = buffer_of(dataset)
    slicer = d3rlpy.dataset.BasicTrajectorySlicer()
    rows = TrajectorySampler(dataset, WEIGHTS, random_state=0).sample_indices(50)
    batch = buffer.sample_trajectory_batch(50, length)
    for i, row in enumerate(rows):
        which = np.searchsorted(dataset.offsets, row, side="right") - 1
        theirs = slicer(buffer.episodes[which], row - dataset.offsets[which], length)
        assert batch.masks[i].tolist() == theirs.masks.tolist()
        assert batch.timesteps[i].tolist() == theirs.timesteps.tolist()
        assert_array_equal(batch.terminals[i], theirs.terminals)
        assert_allclose(batch.observations[i], theirs.observations, rtol=1e-6)
        assert_allclose(batch.actions[i], theirs.actions)
        assert_allclose(batch.rewards[i], theirs.rewards, rtol=1e-6)
        assert_allclose(batch.returns_to_go[i], theirs.returns_to_go, rtol=1e-4)
    one = buffer.sample_trajectory(length)
    assert one.observations.shape == (length, 2)
    assert one.length == length


def test_transitions_of_no_weight_are_not_drawn():
    batch = buffer_of(DISCRETE).sample_transition_batch(2000)
    assert batch.observations[:, 0].min() >= 3


def test_buffer_says_what_it_holds():
    buffer = buffer_of(DISCRETE)
    assert isinstance(buffer, d3rlpy.dataset.ReplayBufferBase)
    info = buffer.dataset_info
    assert info.action_space is d3rlpy.ActionSpace.DISCRETE
    assert (info.action_size, buffer.size(), buffer.transition_count) == (3, 5, 15)
    sampler = TrajectorySampler(DISCRETE)
    assert sampler.to_d3rlpy(action_size=7).dataset_info.action_size == 7
    assert buffer_of(continuous()).dataset_info.action_size == 2


def test_buffer_can_be_pickled_and_dumped():
    buffer = buffer_of(DISCRETE)
    copy = pickle.loads(pickle.dumps(buffer))
    assert_array_equal(
        copy.sample_transition_batch(9).observations,
        buffer.sample_transition_batch(9).observations,
    )
    file = io.BytesIO()
    buffer.dump(file)
    file.seek(0)
    with d3rlpy.dataset.io.h5py.File(file, "r") as found:
        assert len(found) > 0


def test_nothing_can_be_added_to_the_buffer():
    buffer = buffer_of(DISCRETE)
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


def test_stubs_of_the_core_tests_have_the_names_of_the_package():
    theirs = d3rlpy.dataset
    assert theirs.ReplayBufferBase.__abstractmethods__ == frozenset(ABSTRACT)
    for name, wanted in FIELDS.items():
        if wanted:
            kind = getattr(theirs, name)
            assert [field.name for field in fields(kind)] == wanted.split(), name
    found, wanted = (
        [field.name for field in fields(kind)] for kind in (theirs.Episode, Episode)
    )
    assert found == wanted
