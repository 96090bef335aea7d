"""Where trajectories end in a record, and which rows can be used."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from statlearn.exceptions import DroppedRowsWarning
from statlearn.offline_rl import TrajectoryDataset
from statlearn.offline_rl._segmentation import rows_of

from_arrays = TrajectoryDataset.from_arrays


def record(terminals, timeouts=None, **more):
    """A record whose observation, action and reward tell the number of the row."""
    n = len(terminals)
    rows = np.arange(n)
    arrays = {
        "observations": rows[:, None] * 1.0,
        "actions": rows,
        "rewards": 10.0**rows,
        "terminals": np.array(terminals, bool),
        "timeouts": None if timeouts is None else np.array(timeouts, bool),
    }
    return arrays | more


def following(n):
    return np.arange(1.0, n + 1.0)[:, None] - 0.5


def test_row_of_a_timeout_is_dropped_and_its_reward_counted_for_every_gamma():
    dataset = from_arrays(**record([0, 0, 0, 0, 1], [0, 0, 1, 0, 0]))
    assert_array_equal(dataset.actions, [0, 1, 3, 4])
    assert_array_equal(dataset.lengths, [2, 2])
    assert_array_equal(dataset.tail_rewards, [100.0, 0.0])
    assert_array_equal(dataset.returns(), [111.0, 11000.0])
    assert_array_equal(dataset.returns(0.5), [1 + 5 + 25, 1000 + 5000])
    assert_array_equal(dataset.returns(0.0), [1.0, 1000.0])


def test_no_next_observation_is_that_of_another_episode():
    dataset = from_arrays(**record([0, 0, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0]))
    # The last rows are terminal: their own observation stands in for the next one.
    assert_array_equal(dataset.next_observations[:, 0], [1, 2, 2, 4, 5, 5])
    assert_array_equal(dataset.terminations, [0, 0, 1, 0, 0, 1])


def test_terminal_last_row_of_the_record_is_a_transition():
    dataset = from_arrays(**record([0, 0, 1]))
    assert dataset.n_transitions == 3


def test_terminal_and_timeout_at_once_is_terminal():
    dataset = from_arrays(**record([0, 1, 0, 1], [0, 1, 0, 0]))
    assert dataset.n_transitions == 4
    assert dataset.terminations[1]
    assert dataset.truncations[1]


def test_timeouts_with_next_observations_keep_all_rows_without_a_copy():
    arrays = record([0, 0, 0, 0], [0, 1, 0, 1], next_observations=following(4))
    dataset = from_arrays(**arrays)
    assert dataset.n_transitions == 4
    assert_array_equal(dataset.truncations, [0, 1, 0, 1])
    for name in ("observations", "actions", "rewards", "next_observations"):
        assert np.shares_memory(getattr(dataset, name), arrays[name])
    assert np.shares_memory(dataset.terminations, arrays["terminals"])
    assert np.shares_memory(dataset.truncations, arrays["timeouts"])


def test_last_kept_row_of_a_cut_episode_is_truncated():
    dataset = from_arrays(**record([0, 0, 0, 0, 1], [0, 0, 1, 0, 0]))
    assert_array_equal(dataset.truncations, [0, 1, 0, 0])


def test_input_is_not_changed():
    arrays = record([0, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0])
    before = {name: np.copy(value) for name, value in arrays.items()}
    from_arrays(**arrays, on_incomplete="keep")
    for name, value in arrays.items():
        assert_array_equal(value, before[name])


# --------------------------------------------------------------- rows after the end
def test_rows_after_the_last_end_are_dropped_with_their_number():
    with pytest.warns(DroppedRowsWarning, match="Got 2 rows of 4 after"):
        dataset = from_arrays(**record([0, 1, 0, 0]))
    assert_array_equal(dataset.actions, [0, 1])


def test_rows_after_the_last_end_can_be_kept():
    dataset = from_arrays(**record([0, 1, 0, 0]), on_incomplete="keep")
    assert_array_equal(dataset.actions, [0, 1, 2])
    assert_array_equal(dataset.returns(), [11.0, 1100.0])
    arrays = record([0, 1, 0, 0], next_observations=following(4))
    dataset = from_arrays(**arrays, on_incomplete="keep")
    assert_array_equal(dataset.actions, [0, 1, 2, 3])
    assert_array_equal(dataset.truncations, [0, 0, 0, 1])
    assert not dataset.terminations[-1]


def test_record_without_an_end_is_refused_unless_kept():
    with pytest.raises(ValueError, match="at least one episode that ends"):
        from_arrays(**record([0, 0, 0]))
    assert len(from_arrays(**record([0, 0, 0]), on_incomplete="keep")) == 1


# ------------------------------------------------------------------ episodes of one
def test_episode_of_one_row_without_next_observation_is_counted_out():
    with pytest.warns(DroppedRowsWarning, match="Got 1 of 2 episodes without one"):
        dataset = from_arrays(**record([0, 0, 1], [1, 0, 0]))
    assert_array_equal(dataset.actions, [1, 2])
    with pytest.raises(ValueError, match="a trajectory with at least one transition"):
        from_arrays(**record([0, 0], [1, 1]))


def test_terminal_episodes_of_one_row_are_kept():
    dataset = from_arrays(**record([1, 1, 1]))
    assert_array_equal(dataset.lengths, [1, 1, 1])
    assert_array_equal(dataset.returns(), [1.0, 10.0, 100.0])


# ----------------------------------------------------------------------- time limit
def test_time_limit_cuts_and_starts_again_after_each_end():
    terminals = [0, 0, 0, 0, 1, 0, 0, 1]
    arrays = record(terminals, next_observations=following(8))
    dataset = from_arrays(**arrays, max_episode_steps=3)
    assert_array_equal(dataset.lengths, [3, 2, 3])
    assert_array_equal(np.flatnonzero(dataset.truncations), [2])
    dataset = from_arrays(**record(terminals), max_episode_steps=3)
    assert_array_equal(dataset.actions, [0, 1, 3, 4, 5, 6, 7])
    assert_array_equal(dataset.returns(), [111, 11000, 11100000])


# ------------------------------------------------------------------- autoreset rows
def test_row_after_an_end_is_left_out_and_gives_the_final_observation():
    arrays = record([0, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, 0])
    arrays["rewards"][[2, 5]] = 0.0
    dataset = from_arrays(**arrays, autoreset_rows=True)
    assert_array_equal(dataset.actions, [0, 1, 3, 4])
    assert_array_equal(dataset.next_observations[:, 0], [1, 2, 4, 5])
    assert_array_equal(dataset.tail_rewards, [0, 0])


def test_record_may_end_before_the_reset_row():
    arrays = record([0, 0, 0, 0, 0], [0, 1, 0, 0, 1])
    arrays["rewards"][2] = 0.0
    dataset = from_arrays(**arrays, autoreset_rows=True)
    assert_array_equal(dataset.actions, [0, 1, 3])
    assert_array_equal(dataset.tail_rewards, [0, 10.0**4])


@pytest.mark.parametrize("wrong", ["reward", "end"])
def test_row_that_is_no_reset_is_refused(wrong):
    arrays = record([0, 1, 0, 0, 1])
    arrays["rewards"][2] = float(wrong == "reward")
    arrays["terminals"][2] = wrong == "end"
    with pytest.raises(ValueError, match=r"a row of reward 0 .* the first at row 2"):
        from_arrays(**arrays, autoreset_rows=True)


def vector_record(**options):
    """What a loop over two environments side by side writes down, one at a time."""
    env = gymnasium.make_vec(
        "CartPole-v1", num_envs=2, vectorization_mode="sync", vector_kwargs=options
    )
    names = ("observations", "actions", "rewards", "terminals", "timeouts")
    rows = {name: [] for name in names}
    observation, _ = env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(150):
        action = env.action_space.sample()
        after, *outcome, _ = env.step(action)
        for name, value in zip(names, (observation, action, *outcome), strict=True):
            rows[name].append(value)
        observation = after
    record = [
        {name: np.array(rows[name])[:, number] for name in names} for number in range(2)
    ]
    return env.metadata["autoreset_mode"], record


def test_vector_environment_gives_whole_episodes():
    mode, records = vector_record()
    assert mode == gymnasium.vector.AutoresetMode.NEXT_STEP
    parts = []
    for arrays in records:
        with pytest.warns(DroppedRowsWarning, match="after the last end"):
            parts.append(from_arrays(**arrays, autoreset_rows=True))
    dataset = TrajectoryDataset.concatenate(parts)
    assert_array_equal(dataset.returns(), dataset.lengths)  # a reward of 1 a step
    assert_array_equal(np.flatnonzero(dataset.terminations), dataset.offsets[1:] - 1)
    assert (np.abs(dataset.initial_observations) <= 0.05).all()
    inside = np.delete(np.arange(dataset.n_transitions), dataset.offsets[1:] - 1)
    assert_array_equal(
        dataset.next_observations[inside], dataset.observations[inside + 1]
    )
    final = dataset.next_observations[dataset.offsets[1:] - 1]
    assert ((np.abs(final[:, 0]) > 2.4) | (np.abs(final[:, 2]) > 0.209)).all()


def test_vector_environment_that_resets_at_once_has_no_rows_of_resets():
    mode, records = vector_record(
        autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP
    )
    assert mode == gymnasium.vector.AutoresetMode.SAME_STEP
    for arrays in records:
        n = np.flatnonzero(arrays["terminals"])[-1] + 1
        dataset = from_arrays(**{name: rows[:n] for name, rows in arrays.items()})
        assert dataset.n_transitions == n
        assert_array_equal(dataset.returns(), dataset.lengths)
        assert (np.abs(dataset.initial_observations) <= 0.05).all()
        # What follows an end is the first observation of another episode.
        last = dataset.offsets[1:] - 1
        assert_array_equal(dataset.next_observations[last], dataset.observations[last])


# ------------------------------------------------------------------------- in general
flag_lists = st.lists(st.integers(0, 2), min_size=1, max_size=30)


@given(flag_lists, st.booleans())
def test_every_reward_of_every_episode_is_counted(kinds, has_next):
    """Against a loop over rows; episodes of one dropped row are no trajectories."""
    kinds = [*kinds, 1]
    n = len(kinds)
    rewards = np.arange(1.0, n + 1.0)
    expected, total, count = [], 0.0, 0
    for kind, reward in zip(kinds, rewards, strict=True):
        total, count = total + reward, count + 1
        if kind:
            if count > 1 or kind == 1 or has_next:
                expected.append(total)
            total, count = 0.0, 0
    arrays = {
        "observations": rewards,
        "actions": rewards,
        "rewards": rewards,
        "terminals": np.equal(kinds, 1),
        "timeouts": np.equal(kinds, 2),
        "next_observations": rewards + 0.5 if has_next else None,
    }
    n_episodes = np.count_nonzero(kinds)
    if len(expected) < n_episodes:
        with pytest.warns(DroppedRowsWarning):
            dataset = from_arrays(**arrays)
    else:
        dataset = from_arrays(**arrays)
    assert_array_equal(dataset.returns(), expected)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), min_size=1))
def test_rows_of_ranges_are_those_of_the_ranges(ranges):
    starts, lengths = np.array(ranges).T
    expected = np.concatenate([np.arange(a, a + n) for a, n in ranges])
    rows = rows_of(starts, lengths)
    assert_array_equal(np.arange(100)[rows], expected)


# -------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": [1.0, np.nan, 1.0]}, "The 'rewards' of .* must be finite"),
        ({"rewards": [[1.0, 1.0]] * 3}, "The 'rewards' of .* must be numbers of shape"),
        ({"rewards": [1.0, 1.0]}, "must have a row for each step"),
        ({"actions": [0, 1]}, "must have a row for each step"),
        ({"terminals": [0, 0.5, 1]}, "The 'terminals' of .* must be True or False"),
        ({"observations": ["a", "b", "c"]}, "The 'observations' .* array of numbers"),
        ({"next_observations": [[1.0, 2.0]] * 3}, "must have the shape"),
        ({"on_incomplete": "ignore"}, "The 'on_incomplete' of .* 'drop' or 'keep'"),
        ({"max_episode_steps": 0}, "The 'max_episode_steps' of .*>= 1"),
        ({"max_episode_steps": 3, "autoreset_rows": True}, "expected timeouts to say"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value),
)
def test_bad_record_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(**record([0, 0, 1]) | change)


def test_empty_record_is_refused():
    with pytest.raises(ValueError, match="at least one row"):
        from_arrays(np.empty((0, 1)), [], [], np.empty(0, bool))


def test_columns_of_shape_n_1_are_read():
    arrays = record([0, 0, 1])
    arrays |= {name: arrays[name][:, None] for name in ("rewards", "terminals")}
    assert_array_equal(from_arrays(**arrays).returns(), [111.0])
