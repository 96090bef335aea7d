"""A sampler as a replay buffer of d3rlpy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from statlearn.offline_rl._returns import discounted_returns
from statlearn.offline_rl._transition_rows import Batch, RecordedRows
from statlearn.utils._optional import require

Array = NDArray[np.float32]
Integers = NDArray[np.int64]

_CALLER = "TrajectorySampler.to_d3rlpy"


def replay_buffer(sampler: Any, recorded: RecordedRows, action_size: Any) -> Any:
    """Return a buffer that draws from a sampler.

    Parameters
    ----------
    sampler : TrajectorySampler
    recorded : RecordedRows
        Where its transitions come from.
    action_size : int or None
        Number of discrete actions.
    """
    base = require("d3rlpy.dataset", None, _CALLER).ReplayBufferBase
    refuse_sequences(sampler, _CALLER)
    members = {"__module__": __name__, "__doc__": _Buffer.__doc__}
    made: Any = type("TrajectoryReplayBuffer", (_Buffer, base), members)
    return made(sampler, recorded, action_size)


def refuse_sequences(sampler: Any, caller: str) -> None:
    """Raise if a sampler draws sequences."""
    if sampler.sequence_length is not None:
        raise ValueError(
            f"{caller} expected a sampler of single transitions. Got one with "
            f"sequence_length={sampler.sequence_length}; build another one without it "
            f"on the same data."
        )


class _Buffer:
    """Transitions and trajectories drawn by a sampler; nothing can be added."""

    def __init__(self, sampler: Any, recorded: RecordedRows, action_size: Any) -> None:
        self._sampler, self._recorded = sampler, recorded
        self._action_size = action_size
        self._data = sampler.dataset

    def __reduce__(self) -> Any:
        return replay_buffer, (self._sampler, self._recorded, self._action_size)

    # -- draws ------------------------------------------------------------------------

    def sample_transition(self) -> Any:
        """Draw one transition."""
        return self.sample_transition_batch(1).transitions[0]

    def sample_transition_batch(self, batch_size: int) -> Any:
        """Draw a batch of transitions."""
        batch = self._sampler.sample(batch_size)
        rows = batch["indices"]
        following = self._recorded.last_rows(rows) + 1
        fields = {
            "observations": _float32(batch["observations"]),
            "actions": _float32(batch["actions"]),
            "rewards": _column(batch["rewards"]),
            "next_observations": _float32(batch["next_observations"]),
            "next_actions": self._actions_at(following, rows),
            "terminals": _column(batch["terminations"]),
            "intervals": _column(following - rows),
        }
        singles = _Transitions(self, fields, rows)
        return self._peer.TransitionMiniBatch(**fields, transitions=singles)

    def sample_trajectory(self, length: int) -> Any:
        """Draw the transitions up to a drawn one."""
        parts = self._pieces(1, length)
        return self._peer.PartialTrajectory(
            **{name: values[0] for name, values in parts.items()}, length=length
        )

    def sample_trajectory_batch(self, batch_size: int, length: int) -> Any:
        """Draw a batch of the transitions up to drawn ones."""
        parts = self._pieces(batch_size, length)
        return self._peer.TrajectoryMiniBatch(**parts, length=length)

    def _pieces(self, n: int, length: int) -> Batch:
        """Return arrays (n, length, ...) with zeros before a trajectory starts."""
        data, last = self._data, self._sampler.sample_indices(n)[:, np.newaxis]
        start, _ = self._recorded.bounds(last)
        rows = last + np.arange(1 - length, 1)
        mask = rows >= start
        rows = np.where(mask, rows, last)
        parts = {
            "observations": _with_axis(np.take(data.observations, rows, axis=0), 2),
            "actions": _with_axis(np.take(data.actions, rows, axis=0), 2),
            "rewards": data.rewards.take(rows)[:, :, np.newaxis],
            "returns_to_go": self._returns_to_go.take(rows)[:, :, np.newaxis],
            "terminals": data.terminations.take(rows)[:, :, np.newaxis],
            "timesteps": rows - start + 1,
            "masks": mask,
        }
        for values in parts.values():
            values[~mask] = 0
        return {name: _float32(values) for name, values in parts.items()}

    def _actions_at(self, following: Integers, rows: Integers) -> Array:
        """Return the actions after transitions; zeros at the end of a trajectory."""
        _, end = self._recorded.bounds(rows)
        inside = following < end
        actions = np.take(self._data.actions, np.where(inside, following, rows), axis=0)
        actions[~inside] = 0
        return _float32(actions)

    def rewards_from(self, row: int) -> Array:
        """Return the rewards (k, 1) of a trajectory from a transition on."""
        _, end = self._recorded.bounds(np.array([row]))
        return _column(self._data.rewards[row : int(end[0])])

    @cached_property
    def _returns_to_go(self) -> NDArray[np.float64]:
        """Sum (n,) of the rewards of a trajectory from each transition on."""
        data = self._data
        before = np.cumsum(data.rewards, dtype=np.float64) - data.rewards
        total = discounted_returns(data.rewards, data.offsets, data.tail_rewards, 1.0)
        return np.repeat(total + before[data.offsets[:-1]], data.lengths) - before

    # -- what it holds ----------------------------------------------------------------

    @property
    def _peer(self) -> Any:
        return require("d3rlpy.dataset", None, _CALLER)

    @cached_property
    def episodes(self) -> list[Any]:
        """Trajectories without their last next observation."""
        return [self._episode(trajectory) for trajectory in self._data]

    def _episode(self, trajectory: Any) -> Any:
        return self._peer.Episode(
            observations=_with_axis(trajectory.observations, 1),
            actions=_with_axis(trajectory.actions, 1),
            rewards=_column(trajectory.rewards),
            terminated=bool(trajectory.terminations[-1]),
        )

    def size(self) -> int:
        """Return the number of trajectories."""
        return len(self._data)

    @property
    def transition_count(self) -> int:
        """Number of transitions."""
        count: int = self._data.n_transitions
        return count

    @cached_property
    def dataset_info(self) -> Any:
        """Shapes, types, and the kind of actions."""
        kinds = require("d3rlpy", None, _CALLER).ActionSpace
        example, actions = self._episode(self._data[0]), self._data.actions
        discrete = actions.dtype.kind in "iub"
        size = self._action_size
        if size is None:
            size = int(actions.max()) + 1 if discrete else example.actions.shape[1]
        return self._peer.DatasetInfo(
            observation_signature=example.observation_signature,
            action_signature=example.action_signature,
            reward_signature=example.reward_signature,
            action_space=kinds.DISCRETE if discrete else kinds.CONTINUOUS,
            action_size=size,
        )

    @cached_property
    def transition_picker(self) -> Any:
        """The plain one, for scalers that look at episodes."""
        return self._peer.BasicTransitionPicker()

    @cached_property
    def trajectory_slicer(self) -> Any:
        """The plain one, for scalers that look at episodes."""
        return self._peer.BasicTrajectorySlicer()

    def dump(self, f: Any) -> None:
        """Write the episodes to a file, as d3rlpy does."""
        require("d3rlpy.dataset.io", None, _CALLER).dump(self.episodes, f)

    # -- what it does not do ----------------------------------------------------------

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(
            "A buffer made by TrajectorySampler.to_d3rlpy expected only to be drawn "
            "from. Got a call that adds to it, loads it or asks for its parts; use "
            "d3rlpy.dataset.ReplayBuffer(buffer, episodes=buffer.episodes) for these."
        )

    append = append_episode = clip_episode = _refuse
    from_episode_generator = load = _refuse
    buffer = property(_refuse)


class _Transitions(Sequence[Any]):
    """Transitions of a batch one by one, each made when it is asked for.

    Parameters
    ----------
    buffer : _Buffer
    fields : dict of (m, ...) arrays
        Of the batch.
    rows : (m,) integers
    """

    def __init__(self, buffer: _Buffer, fields: Batch, rows: Integers) -> None:
        self._buffer, self._fields, self._rows = buffer, fields, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        one = {name: values[index] for name, values in self._fields.items()}
        return require("d3rlpy.dataset", None, _CALLER).Transition(
            observation=one["observations"],
            action=one["actions"],
            reward=one["rewards"],
            next_observation=one["next_observations"],
            next_action=one["next_actions"],
            terminal=float(one["terminals"][0]),
            interval=int(one["intervals"][0]),
            rewards_to_go=self._buffer.rewards_from(int(self._rows[index])),
        )


def _float32(values: NDArray[Any]) -> Array:
    """Return values of shape (m, ...) with at least two axes, one copy at most."""
    return _with_axis(values, 1).astype(np.float32, copy=False)


def _column(values: NDArray[Any]) -> Array:
    return values.astype(np.float32, copy=False).reshape(-1, 1)


def _with_axis(values: NDArray[Any], at: int) -> NDArray[Any]:
    """Return numbers as rows of one number, and rows as they are."""
    return values if values.ndim > at else np.expand_dims(values, at)
