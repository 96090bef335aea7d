"""Trajectories for samplers, and what a plain loop makes of them."""

from __future__ import annotations

import numpy as np

from statlearn.offline_rl import TrajectoryDataset


def recorded(lengths, *, truncated=(), cut_within=(), seed=0):
    """Trajectories of random numbers, whose first observation is the row.

    Those in `truncated` are cut off; so are rows in `cut_within`.
    """
    rng = np.random.default_rng(seed)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    n = offsets[-1]
    terminations, truncations = np.zeros((2, n), bool)
    for i, last in enumerate(offsets[1:] - 1):
        (truncations if i in truncated else terminations)[last] = True
    truncations[list(cut_within)] = True
    observations = rng.normal(size=(n, 2))
    observations[:, 0] = np.arange(n)
    following = rng.normal(size=(n, 2))
    following[:, 0] = np.arange(n) + 0.5
    return TrajectoryDataset(
        observations,
        rng.integers(0, 3, n),
        rng.normal(size=n),
        following,
        terminations,
        truncations,
        offsets,
    )


def n_step_by_loop(dataset, row, n_step, gamma):
    """Return, its last row and its discount, one reward at a time."""
    end = dataset.offsets[dataset.offsets > row].min()
    total, discount = 0.0, 1.0
    for last in range(row, min(row + n_step, end)):
        total += discount * dataset.rewards[last]
        discount *= gamma
        if dataset.terminations[last] or dataset.truncations[last]:
            break
    return total, last, discount


def chances(dataset, weights):
    """Probability (n,) of each transition."""
    rows = np.repeat(np.asarray(weights, float), dataset.lengths)
    return rows / rows.sum()
