"""Trajectories from D4RL, Minari, lists of episodes, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from gymnasium import spaces
from numpy.testing import assert_allclose, assert_array_equal

from statlearn.exceptions import DroppedRowsWarning
from statlearn.offline_rl import TrajectoryDataset
from stub_tensor import Tensor
from trajectory_cases import REWARDS, dataset_of, four


# --------------------------------------------------------------------- memory maps
@pytest.fixture
def mapped(tmp_path):
    """A record in files: two episodes of three rows, with next observations."""
    rng = np.random.default_rng(0)
    arrays = {
        "observations": rng.normal(size=(6, 2)).astype(np.float32),
        "next_observations": rng.normal(size=(6, 2)).astype(np.float32),
        "actions": np.arange(6),
        "rewards": np.ones(6, np.float32),
        "terminals": np.array([0, 0, 0, 0, 0, 1], bool),
        "timeouts": np.array([0, 0, 1, 0, 0, 0], bool),
    }
    for name, values in arrays.items():
        np.save(tmp_path / f"{name}.npy", values)
    return {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in arrays}


def test_mapped_arrays_stay_mapped(mapped):
    dataset = TrajectoryDataset.from_d4rl(mapped)
    parts = (dataset, dataset.subset([1]), dataset.filter(dataset.lengths > 0))
    for part in parts:
        for name in ("observations", "actions", "rewards", "next_observations"):
            values = getattr(part, name)
            assert isinstance(values, np.memmap)
            assert np.shares_memory(values, mapped[name])


def test_observations_that_follow_are_copied_and_others_stay_mapped(mapped):
    names = ("observations", "actions", "rewards", "terminals")
    record = {name: mapped[name] for name in names}
    dataset = TrajectoryDataset.from_d4rl(record)
    for name in ("observations", "actions", "rewards"):
        assert np.shares_memory(getattr(dataset, name), mapped[name])
    assert type(dataset.next_observations) is np.ndarray


def test_copies_of_mapped_rows_are_not_taken_for_mapped_ones(mapped):
    mapped = {k: v for k, v in mapped.items() if k != "next_observations"}
    dataset = TrajectoryDataset.from_d4rl(mapped)
    assert dataset.n_transitions == 5
    for values in (dataset.observations, dataset.next_observations):
        assert type(values) is np.ndarray


# ---------------------------------------------------------------------------- D4RL
def test_hdf5_file_is_read_as_a_dict(mapped, tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "record.hdf5"
    with h5py.File(path, "w") as file:
        for name, values in mapped.items():
            file[name] = values
        file.create_group("metadata")
    with h5py.File(path) as file:
        dataset = TrajectoryDataset.from_d4rl(file)
    assert dataset == TrajectoryDataset.from_d4rl(mapped)


def test_last_terminal_flag_is_not_invented():
    terminals = np.zeros(4, bool)
    data = {
        "observations": np.zeros((4, 1)),
        "actions": np.zeros(4, int),
        "rewards": np.ones(4),
        "terminals": terminals,
        "timeouts": np.array([0, 1, 0, 0], bool),
    }
    with pytest.warns(DroppedRowsWarning, match="Got 2 rows of 4"):
        dataset = TrajectoryDataset.from_d4rl(data)
    assert not terminals.any()
    assert not dataset.terminations.any()
    assert_array_equal(dataset.returns(), [2.0])


def test_record_without_timeouts_takes_a_time_limit():
    data = {
        "observations": np.arange(6.0),
        "actions": np.zeros(6),
        "rewards": np.ones(6),
        "terminals": np.zeros(6),
    }
    dataset = TrajectoryDataset.from_d4rl(data, max_episode_steps=3)
    assert_array_equal(dataset.lengths, [2, 2])
    assert_array_equal(dataset.returns(), [3, 3])


def test_what_is_no_record_is_refused():
    with pytest.raises(TypeError, match="must be a dict of arrays or an open HDF5"):
        TrajectoryDataset.from_d4rl([1, 2])
    with pytest.raises(ValueError, match="Got no actions, terminals among"):
        TrajectoryDataset.from_d4rl({"observations": [1], "rewards": [1]})


# ------------------------------------------------------------------------- episodes
def episode(T, extra, **more):
    return {
        "observations": np.arange(T + extra)[:, None] * 1.0,
        "actions": np.arange(T),
        "rewards": np.full(T, 2.0),
    } | more


@dataclass
class Logged:
    """An episode as d3rlpy keeps it."""

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: bool


def test_episodes_with_a_final_observation_keep_every_step():
    dataset = TrajectoryDataset.from_episodes(
        [
            episode(3, 1, terminations=[0, 0, 1], truncations=[0, 0, 0]),
            episode(2, 1, terminated=False, truncated=True),
        ]
    )
    assert_array_equal(dataset.lengths, [3, 2])
    assert_array_equal(dataset.next_observations[:, 0], [1, 2, 3, 1, 2])
    assert_array_equal(dataset.terminations, [0, 0, 1, 0, 0])
    assert_array_equal(dataset.truncations, [0, 0, 0, 0, 1])


def test_truncated_episode_of_d3rlpy_has_one_transition_less():
    parts = [episode(3, 0, terminated=flag) for flag in (True, False)]
    for part in parts:
        part["rewards"] = part["rewards"][:, None]
    dataset = TrajectoryDataset.from_episodes(Logged(**part) for part in parts)
    assert_array_equal(dataset.lengths, [3, 2])
    assert_array_equal(dataset.returns(), [6.0, 6.0])
    assert_array_equal(dataset.tail_rewards, [0.0, 2.0])
    assert_array_equal(dataset.truncations, [0, 0, 0, 0, 1])


@pytest.mark.parametrize("name", ["terminations", "terminated"])
def test_end_of_an_episode_is_told_by_row_or_once(name):
    for value in ([0, 0, 1], np.array([0, 0, 1], bool), True, np.True_):
        dataset = TrajectoryDataset.from_episodes([episode(3, 1, **{name: value})])
        assert_array_equal(dataset.terminations, [0, 0, 1])
    with pytest.raises(ValueError, match=f"The '{name}' of episode 0 .* True or False"):
        TrajectoryDataset.from_episodes([episode(3, 1, **{name: [0, 0, 2]})])


def test_reward_after_the_end_needs_the_final_observation():
    part = episode(2, 1, terminated=False, tail_reward=5.0)
    dataset = TrajectoryDataset.from_episodes([part])
    assert_array_equal(dataset.returns(), [9.0])
    assert_array_equal(dataset.returns(0.5), [2.0 + 1.0 + 1.25])
    with pytest.raises(ValueError, match=r"'tail_reward' in episode 0 .* Got 5.0"):
        TrajectoryDataset.from_episodes(
            [episode(2, 0, terminated=False, tail_reward=5.0)]
        )


def test_what_is_no_list_of_episodes_is_refused():
    for given, kind in ((episode(3, 1, terminated=True), "dict"), (3, "int")):
        with pytest.raises(TypeError, match=rf"list of episodes. Got {kind}; pass \["):
            TrajectoryDataset.from_episodes(given)


@pytest.mark.parametrize(
    "observations",
    [{"a": np.zeros((3, 1))}, [[0.0], [1.0, 2.0], [3.0]], [{"a": 1}] * 3, [None] * 3],
    ids=["dict", "ragged", "dicts", "nothing"],
)
def test_observations_that_are_no_array_of_numbers_are_refused(observations):
    match = "The 'observations' of .* must be an array of numbers"
    with pytest.raises(ValueError, match=match):
        TrajectoryDataset.from_arrays(observations, [0] * 3, [0.0] * 3, [0, 0, 1])
    part = episode(2, 1, terminated=True, observations=observations)
    with pytest.raises(ValueError, match=f"{match}.*gymnasium.spaces.flatten"):
        TrajectoryDataset.from_episodes([part])


def test_observation_without_rows_is_refused():
    with pytest.raises(ValueError, match="must have a row for each step"):
        TrajectoryDataset.from_episodes([episode(3, 1, terminated=1, observations=3.0)])


def test_frames_and_tensors_are_read():
    pandas = pytest.importorskip("pandas")
    ends = np.array([False, False, True])
    arrays = (np.eye(3, dtype=np.float32), np.arange(3), np.ones(3), ends)
    expected = TrajectoryDataset.from_arrays(*arrays)
    columns = [pandas.Series(values) for values in arrays[1:]]
    frame = pandas.DataFrame(arrays[0])
    assert TrajectoryDataset.from_arrays(frame, *columns) == expected
    assert TrajectoryDataset.from_arrays(*map(Tensor, arrays)) == expected


def test_next_observations_of_an_episode_are_taken():
    part = episode(2, 0, terminated=False, next_observations=[[7.0], [8.0]])
    dataset = TrajectoryDataset.from_episodes([part])
    assert_array_equal(dataset.next_observations[:, 0], [7, 8])


def test_trajectories_are_episodes():
    dataset = four()
    assert TrajectoryDataset.from_episodes(iter(dataset)) == dataset


def test_episodes_without_a_transition_are_counted_out():
    parts = [episode(1, 0, terminated=False), episode(2, 1, terminated=True)]
    with pytest.warns(DroppedRowsWarning, match="Got 1 of 2 episodes"):
        assert len(TrajectoryDataset.from_episodes(parts)) == 1
    with pytest.raises(ValueError, match="a trajectory with at least one transition"):
        TrajectoryDataset.from_episodes(parts[:1])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "at least one episode. Got none"),
        ([episode(3, 3, terminated=True)], "must have a row for each step"),
        ([episode(3, 1, terminated=True, actions=[1])], "a row for each step"),
        ([episode(3, 1)], "Expected 'terminations' or 'terminated' in episode 0"),
        ([{"rewards": [1.0]}], "Expected 'observations' in episode 0"),
        ([episode(3, 1, terminations=[0, 1])], "a row for each step"),
        (
            [episode(1, 1, terminated=True), episode(1, 1, terminated=True)],
            "The 'actions' of all trajectories must have one shape and kind",
        ),
    ],
    ids=range(7),
)
def test_bad_episodes_are_refused(parts, message):
    if len(parts) == 2:
        parts = [parts[0], parts[1] | {"actions": np.zeros(1)}]
    with pytest.raises(ValueError, match=message):
        TrajectoryDataset.from_episodes(parts)


# --------------------------------------------------------------------------- spaces
SPACES = {
    "box": spaces.Box(-1, 1, (2, 3)),
    "binary": spaces.MultiBinary(4),
    "discrete": spaces.Discrete(5, start=-2),
    "multi": spaces.MultiDiscrete([[2, 3], [4, 2]]),
    "dict": spaces.Dict({"b": spaces.Box(0, 1, (2,)), "a": spaces.Discrete(3)}),
    "tuple": spaces.Tuple(
        (spaces.Dict({"x": spaces.Box(0, 1, (1,))}), spaces.MultiBinary(2))
    ),
}


def stacked(space, samples):
    if isinstance(space, spaces.Dict):
        return {
            name: stacked(part, [sample[name] for sample in samples])
            for name, part in space.spaces.items()
        }
    if isinstance(space, spaces.Tuple):
        return tuple(
            stacked(part, [sample[number] for sample in samples])
            for number, part in enumerate(space.spaces)
        )
    return np.array(samples)


@pytest.mark.parametrize("name", SPACES)
def test_rows_are_flattened_as_gymnasium_flattens_each(name):
    from statlearn.offline_rl._spaces import flat_rows

    space = SPACES[name]
    space.seed(0)
    samples = [space.sample() for _ in range(7)]
    expected = np.array([spaces.flatten(space, sample) for sample in samples])
    found = flat_rows(space, stacked(space, samples), "it")
    assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


# --------------------------------------------------------------------------- Minari
# Minari warns of every text that could describe a data set and is missing.
silent = pytest.mark.filterwarnings("ignore:.* is (set to )?None:UserWarning")


@pytest.fixture
def minari(tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return pytest.importorskip("minari")


@silent
def test_minari_gives_back_what_was_written(minari):
    dataset = TrajectoryDataset.rollout("CartPole-v1", n_episodes=8, seed=0)
    written = dataset.to_minari("cartpole/random-v0", env="CartPole-v1")
    assert TrajectoryDataset.from_minari(written) == dataset
    loaded = minari.load_dataset("cartpole/random-v0")
    assert TrajectoryDataset.from_minari(loaded) == dataset


@silent
def test_views_of_minari_show_only_their_episodes(minari):
    dataset = TrajectoryDataset.rollout("CartPole-v1", n_episodes=30, seed=0)
    written = dataset.to_minari("cartpole/views-v0", env="CartPole-v1")
    long = written.filter_episodes(lambda part: len(part) > 20)
    found = TrajectoryDataset.from_minari(long)
    assert found == dataset.filter(dataset.lengths > 20)
    halves = minari.split_dataset(written, sizes=[10, 10], seed=0)
    parts = [TrajectoryDataset.from_minari(half) for half in halves]
    joined = TrajectoryDataset.concatenate(parts)
    assert len(joined) == 20
    assert set(joined.returns()) <= set(dataset.returns())


@silent
def test_spaces_without_an_environment_are_those_of_the_arrays(minari):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(5, 8, 8, 3), dtype=np.uint8)
    dataset = TrajectoryDataset.from_episodes(
        [
            {
                "observations": images,
                "actions": np.array([2, 3, 2, 4]),
                "rewards": np.ones(4),
                "terminated": True,
            }
        ]
    )
    written = dataset.to_minari("made/images-v0")
    assert written.action_space == spaces.Discrete(3, start=2)
    assert written.observation_space == spaces.Box(0, 255, (8, 8, 3), np.uint8)
    assert TrajectoryDataset.from_minari(written) == dataset


@silent
def test_bits_and_vectors_have_spaces_too(minari):
    part = {"actions": np.zeros((3, 2), np.float32), "rewards": np.ones(3)}
    part |= {"observations": np.eye(4, dtype=bool), "terminated": True}
    dataset = TrajectoryDataset.from_episodes([part])
    written = dataset.to_minari("made/bits-v0")
    assert written.observation_space == spaces.MultiBinary((4,))
    assert written.action_space == spaces.Box(-np.inf, np.inf, (2,), np.float32)
    assert len(TrajectoryDataset.from_minari(written)) == 1


@silent
def test_parts_of_minari_observations_are_flattened(minari):
    space = spaces.Dict({"b": spaces.Box(-1, 1, (2,)), "a": spaces.Discrete(3)})
    space.seed(0)
    samples = [space.sample() for _ in range(4)]
    buffer = minari.data_collector.EpisodeBuffer(
        id=0,
        observations=stacked(space, samples),
        actions=np.zeros((3, 1), np.float32),
        rewards=np.arange(3.0),
        terminations=[False, False, True],
        truncations=[False, False, False],
    )
    written = minari.create_dataset_from_buffers(
        "made/parts-v0",
        [buffer],
        observation_space=space,
        action_space=spaces.Box(-1, 1, (1,)),
    )
    dataset = TrajectoryDataset.from_minari(written)
    expected = [spaces.flatten(space, sample) for sample in samples]
    assert_allclose(dataset.observations, expected[:-1])
    assert_allclose(dataset.next_observations, expected[1:])


@silent
def test_tail_rewards_have_no_place_in_minari(minari):
    dataset = dataset_of([(1.0, 2.0)], tail_rewards=[5.0])
    with pytest.warns(DroppedRowsWarning, match="Got 1 rewards without one"):
        written = dataset.to_minari("made/tail-v0")
    assert TrajectoryDataset.from_minari(written).returns() == [3.0]


@silent
def test_jumps_are_refused(minari):
    dataset = TrajectoryDataset.from_arrays(
        [0.0, 1.0], [0, 0], [0.0, 0.0], [0, 1], next_observations=[5.0, 6.0]
    )
    with pytest.raises(ValueError, match="to be the observation of the row below"):
        dataset.to_minari("made/jump-v0")


def test_what_is_no_minari_dataset_is_refused():
    with pytest.raises(TypeError, match="must be a MinariDataset"):
        TrajectoryDataset.from_minari(REWARDS)


def test_space_without_a_flat_form_is_refused():
    from statlearn.offline_rl._spaces import plain_rows

    space = spaces.Dict({"text": spaces.Text(3)})
    with pytest.raises(ValueError, match="Box, Discrete, MultiDiscrete or MultiBinary"):
        plain_rows(space, {"text": ["a", "b"]}, "it")
