"""Trajectories for other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.exceptions import DroppedRowsWarning
from statlearn.utils._optional import require
from statlearn.utils._warn import warn

_CALLER = "TrajectoryDataset.to_minari"


def to_minari(
    dataset: Any,
    dataset_id: str,
    *,
    env: Any,
    observation_space: Any,
    action_space: Any,
    options: dict[str, Any],
) -> Any:
    """Write trajectories; the parameters are those of the method of this name."""
    minari = require("minari", None, _CALLER)
    _check_joints(dataset)
    if dataset.tail_rewards.any():
        warn(
            f"{_CALLER} expected a next observation for every reward. Got "
            f"{np.count_nonzero(dataset.tail_rewards)} rewards without one, which are "
            f"left out, so that returns differ; keep the data set by save.",
            DroppedRowsWarning,
        )
    if env is None:
        observation_space = observation_space or _space(
            dataset.observations, dataset.next_observations
        )
        action_space = action_space or _space(dataset.actions)
    buffer = [
        minari.data_collector.EpisodeBuffer(
            id=number,
            observations=np.concatenate(
                (trajectory.observations, trajectory.next_observations[-1:])
            ),
            actions=trajectory.actions,
            rewards=trajectory.rewards,
            terminations=trajectory.terminations,
            truncations=trajectory.truncations,
        )
        for number, trajectory in enumerate(dataset)
    ]
    return minari.create_dataset_from_buffers(
        dataset_id,
        buffer,
        env=env,
        observation_space=observation_space,
        action_space=action_space,
        **({"jpeg_encoding": False} | options),
    )


def _check_joints(dataset: Any) -> None:
    """Refuse trajectories in which a next observation is not the one that follows."""
    joint = np.ones(dataset.n_transitions - 1, bool)
    joint[dataset.offsets[1:-1] - 1] = False
    rows = np.flatnonzero(joint)
    left, right = dataset.next_observations[rows], dataset.observations[rows + 1]
    if not np.array_equal(left, right, equal_nan=left.dtype.kind == "f"):
        raise ValueError(
            f"{_CALLER} expected each next observation to be the observation of the "
            f"row below. Got a trajectory in which it is not, which Minari cannot "
            f"store; keep the data set by save."
        )


def _space(*arrays: NDArray[Any]) -> Any:
    """Return a space that holds the rows of all arrays."""
    spaces = require("gymnasium.spaces", None, _CALLER)
    first = arrays[0]
    kind = first.dtype.kind
    if first.ndim == 1 and kind in "iu":
        smallest = min(int(values.min()) for values in arrays)
        largest = max(int(values.max()) for values in arrays)
        return spaces.Discrete(largest - smallest + 1, start=smallest)
    if kind == "b":
        return spaces.MultiBinary(first.shape[1:])
    low, high = -np.inf, np.inf
    if kind in "iu":
        low, high = np.iinfo(first.dtype).min, np.iinfo(first.dtype).max
    return spaces.Box(low, high, shape=first.shape[1:], dtype=first.dtype.type)
