"""Trajectories with known answers."""

from __future__ import annotations

import numpy as np

from statlearn.offline_rl import TrajectoryDataset

# Four trajectories of 3, 2, 4 and 1 transitions with returns 6, 3, 2 and 10.
REWARDS = [(1, 2, 3), (4, -1), (0, 0, 1, 1), (10,)]
STARTS = np.array([(0.0, 1.0), (1.0, 0.0), (0.5, -1.0), (-1.0, 0.5)])


def dataset_of(rewards, starts=None, tail_rewards=None):
    """Terminated trajectories with these rewards; rows are numbered otherwise."""
    lengths = np.array([len(part) for part in rewards])
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    n = offsets[-1]
    starts = np.zeros((len(rewards), 1)) if starts is None else np.asarray(starts)
    observations = np.arange(n)[:, None] + np.zeros(starts.shape[1])
    observations[offsets[:-1]] = starts
    terminations = np.zeros(n, bool)
    terminations[offsets[1:] - 1] = True
    return TrajectoryDataset(
        observations,
        np.arange(n) % 2,
        np.concatenate(rewards).astype(float),
        np.roll(observations, -1, axis=0),
        terminations,
        np.zeros(n, bool),
        offsets,
        tail_rewards,
    )


def four():
    return dataset_of(REWARDS, STARTS)


def with_returns(returns, lengths=None, starts=None):
    """Trajectories whose last reward is the return, all others being zero."""
    lengths = np.ones(len(returns), int) if lengths is None else lengths
    rewards = [
        np.append(np.zeros(length - 1), value)
        for length, value in zip(lengths, returns, strict=True)
    ]
    return dataset_of(rewards, starts)
