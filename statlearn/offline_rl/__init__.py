"""Offline reinforcement learning: trajectories, and weights that favour good ones.

:class:`TrajectoryDataset` holds logged trajectories as flat arrays. A weighting, such
as :class:`ReturnWeighting`, gives those with large returns more weight, for learners
that stay close to the data they see.
"""

from __future__ import annotations

from statlearn.offline_rl._plain_weightings import (
    LinearReturnWeighting,
    TopFraction,
    UniformWeighting,
)
from statlearn.offline_rl._returns import positive_sided_variance
from statlearn.offline_rl._weighting_base import TrajectoryWeighting
from statlearn.offline_rl._weightings import AdvantageWeighting, ReturnWeighting
from statlearn.offline_rl.trajectory_dataset import Trajectory, TrajectoryDataset

__all__ = [
    "AdvantageWeighting",
    "LinearReturnWeighting",
    "ReturnWeighting",
    "TopFraction",
    "Trajectory",
    "TrajectoryDataset",
    "TrajectoryWeighting",
    "UniformWeighting",
    "positive_sided_variance",
]
