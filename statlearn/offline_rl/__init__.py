"""Offline reinforcement learning: trajectories, and weights that favour good ones.

:class:`TrajectoryDataset` holds logged trajectories as flat arrays. A weighting, such
as :class:`ReturnWeighting`, gives those with large returns more weight, for learners
that stay close to the data they see: :class:`BehaviorCloning`,
:class:`FittedQIteration`, or your own. :func:`estimate_value` tells what a policy is
worth from trajectories alone.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from statlearn.offline_rl._evaluation import estimate_value
from statlearn.offline_rl._experts import scripted_expert
from statlearn.offline_rl._plain_weightings import (
    LinearReturnWeighting,
    TopFraction,
    UniformWeighting,
)
from statlearn.offline_rl._plot import ReturnDistributionDisplay
from statlearn.offline_rl._registration import register_environments
from statlearn.offline_rl._returns import positive_sided_variance
from statlearn.offline_rl._value_estimate import ValueEstimate
from statlearn.offline_rl._weighting_base import TrajectoryWeighting
from statlearn.offline_rl._weightings import AdvantageWeighting, ReturnWeighting
from statlearn.offline_rl.behavior_cloning import BehaviorCloning
from statlearn.offline_rl.fitted_q_iteration import FittedQIteration
from statlearn.offline_rl.tabular_mdp import TabularMDP
from statlearn.offline_rl.tabular_policy import TabularPolicy
from statlearn.offline_rl.trajectory_dataset import Trajectory, TrajectoryDataset
from statlearn.offline_rl.trajectory_sampler import TrajectorySampler

if TYPE_CHECKING:
    from statlearn.offline_rl.toy_environments import Corridor, Lottery

__all__ = [
    "AdvantageWeighting",
    "BehaviorCloning",
    "Corridor",
    "FittedQIteration",
    "LinearReturnWeighting",
    "Lottery",
    "ReturnDistributionDisplay",
    "ReturnWeighting",
    "TabularMDP",
    "TabularPolicy",
    "TopFraction",
    "Trajectory",
    "TrajectoryDataset",
    "TrajectorySampler",
    "TrajectoryWeighting",
    "UniformWeighting",
    "ValueEstimate",
    "estimate_value",
    "positive_sided_variance",
    "register_environments",
    "scripted_expert",
]

# Subclasses of gymnasium.Env, which is loaded with them.
_ENVIRONMENTS = ("Corridor", "Lottery")

if "gymnasium" in sys.modules:
    register_environments()


def __getattr__(name: str) -> Any:
    """Load an environment at first use."""
    if name in _ENVIRONMENTS:
        return getattr(import_module(f"{__name__}.toy_environments"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
