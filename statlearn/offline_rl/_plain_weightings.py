"""Weightings of trajectories without an exponential: the best, in proportion, none."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.offline_rl._weighting_base import (
    POSITIVE_SHARE,
    SHARE,
    TrajectoryWeighting,
    normalized,
)
from statlearn.offline_rl.trajectory_dataset import TrajectoryDataset
from statlearn.utils._sklearn import Interval

Array = NDArray[np.float64]


class TopFraction(TrajectoryWeighting):
    """Keep the trajectories with the largest returns, and draw from them uniformly.

    A filter rather than a weighting: simple, and sensitive to its share. For a smooth
    one see :class:`ReturnWeighting`.

    Parameters
    ----------
    fraction : float, default=0.1
        Share of the trajectories to keep, in (0, 1]; at least one is kept, of equal
        returns the first.
    gamma : float, default=1.0
        Discount of rewards in the return.
    uniform_mix : float, default=0.0
        Share of uniform transitions mixed in, from 0 to 1.

    Attributes
    ----------
    transition_probability_ : ndarray of shape (n_trajectories,)
        Probability of each single transition of a trajectory.
    trajectory_probability_ : ndarray of shape (n_trajectories,)
        Probability of the trajectory: the above, times its length.
    max_trajectory_probability_ : float
        The largest of these.
    lengths_ : ndarray of shape (n_trajectories,)
        Number of transitions of each trajectory.
    returns_ : ndarray of shape (n_trajectories,)
        Returns of the trajectories.
    ess_ : float
        Effective number of transitions.
    entropy_ : float
        Entropy in nats of a drawn transition.
    expected_return_ : float
        Expected return of the policy that the weighted transitions imply, from
        starts weighted likewise. Exact in deterministic dynamics, else optimistic.
    batch_return_ : float
        Mean return of the trajectories that transitions are drawn from.
    psv_ : float
        Positive-sided variance of the returns.

    See Also
    --------
    ReturnWeighting : A smooth form.
    statlearn.weights.Trimmed : Rows with the smallest losses.
    sklearn.feature_selection.SelectPercentile : The best features.

    References
    ----------
    Lili Chen, Kevin Lu, Aravind Rajeswaran, Kimin Lee, Aditya Grover, Michael Laskin,
    Pieter Abbeel, Aravind Srinivas, Igor Mordatch. Decision Transformer: Reinforcement
    Learning via Sequence Modeling. NeurIPS, 2021.

    Examples
    --------
    >>> from statlearn.offline_rl import TopFraction, TrajectoryDataset
    >>> dataset = TrajectoryDataset.from_arrays(
    ...     observations=[[0.0], [1.0], [0.0], [2.0]],
    ...     actions=[1, 1, 0, 1],
    ...     rewards=[0.0, 1.0, 0.0, 5.0],
    ...     terminals=[False, True, False, True],
    ... )
    >>> TopFraction(0.5).fit(dataset).sample_weight()
    array([0., 0., 2., 2.])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "fraction": [POSITIVE_SHARE],
        "gamma": [SHARE],
        "uniform_mix": [SHARE],
    }

    def __init__(
        self, fraction: float = 0.1, *, gamma: float = 1.0, uniform_mix: float = 0.0
    ) -> None:
        self.fraction = fraction
        self.gamma = gamma
        self.uniform_mix = uniform_mix

    def _masses(self, dataset: TrajectoryDataset, returns: Array) -> Array:
        # A hundredth of 2900 is 28.999999999999996.
        n_kept = max(1, int(self.fraction * len(returns) * (1.0 + 1e-12)))
        kept = np.argsort(-returns, kind="stable")[:n_kept]
        mass = np.zeros(len(returns))
        mass[kept] = self.lengths_[kept]
        return mass


class LinearReturnWeighting(TrajectoryWeighting):
    r"""Weigh trajectories in proportion to their returns above the smallest one.

    Milder than :class:`ReturnWeighting`: the best trajectory has at most twice the
    weight of one half as good.

    Parameters
    ----------
    base : float, default=0.0
        Number >= 0 added to the returns, which are scaled to [0, 1] before. At 0 the
        worst trajectory is never drawn; infinity weighs all transitions alike.
    gamma : float, default=1.0
        Discount of rewards in the return.
    uniform_mix : float, default=0.0
        Share of uniform transitions mixed in, from 0 to 1.

    Attributes
    ----------
    transition_probability_ : ndarray of shape (n_trajectories,)
        Probability of each single transition of a trajectory.
    trajectory_probability_ : ndarray of shape (n_trajectories,)
        Probability of the trajectory: the above, times its length.
    max_trajectory_probability_ : float
        The largest of these.
    lengths_ : ndarray of shape (n_trajectories,)
        Number of transitions of each trajectory.
    returns_ : ndarray of shape (n_trajectories,)
        Returns of the trajectories.
    scores_ : ndarray of shape (n_trajectories,)
        Returns on a scale from 0 to 1.
    ess_ : float
        Effective number of transitions.
    entropy_ : float
        Entropy in nats of a drawn transition.
    expected_return_ : float
        Expected return of the policy that the weighted transitions imply, from
        starts weighted likewise. Exact in deterministic dynamics, else optimistic.
    batch_return_ : float
        Mean return of the trajectories that transitions are drawn from.
    psv_ : float
        Positive-sided variance of the returns.

    See Also
    --------
    ReturnWeighting : Exponential weights.
    statlearn.weights.LinUpper : Weights linear in losses.
    sklearn.preprocessing.MinMaxScaler : The scale of the returns.

    Notes
    -----
    Each transition has a probability in proportion to :math:`z_i + b`, where z are the
    returns on a scale from 0 to 1 and b is the base. Equal returns give uniform
    weights.

    References
    ----------
    Yang Yue, Bingyi Kang, Xiao Ma, Qisen Yang, Gao Huang, Shiji Song, Shuicheng Yan.
    Decoupled Prioritized Resampling for Offline RL. arXiv 2306.05412, 2023.

    Examples
    --------
    >>> from statlearn.offline_rl import LinearReturnWeighting, TrajectoryDataset
    >>> dataset = TrajectoryDataset.from_arrays(
    ...     observations=[[0.0], [1.0], [0.0], [2.0]],
    ...     actions=[1, 1, 0, 1],
    ...     rewards=[0.0, 1.0, 0.0, 5.0],
    ...     terminals=[False, True, False, True],
    ... )
    >>> LinearReturnWeighting(base=0.5).fit(dataset).sample_weight()
    array([0.5, 0.5, 1.5, 1.5])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "base": [Interval(Real, 0, None, closed="both")],
        "gamma": [SHARE],
        "uniform_mix": [SHARE],
    }

    def __init__(
        self, base: float = 0.0, *, gamma: float = 1.0, uniform_mix: float = 0.0
    ) -> None:
        self.base = base
        self.gamma = gamma
        self.uniform_mix = uniform_mix

    def _masses(self, dataset: TrajectoryDataset, returns: Array) -> Array:
        self.scores_ = normalized(returns, "minmax")
        if np.isinf(self.base) or not self.scores_.any():
            return self.lengths_.astype(np.float64)
        return self.lengths_ * (self.scores_ + self.base)


class UniformWeighting(TrajectoryWeighting):
    """Weigh all transitions alike: the comparison for every other weighting.

    Parameters
    ----------
    gamma : float, default=1.0
        Discount of rewards in the return, which only the diagnostics use.

    Attributes
    ----------
    transition_probability_ : ndarray of shape (n_trajectories,)
        Probability of each single transition, the same for all.
    trajectory_probability_ : ndarray of shape (n_trajectories,)
        Probability of the trajectory: the above, times its length.
    max_trajectory_probability_ : float
        The largest of these.
    lengths_ : ndarray of shape (n_trajectories,)
        Number of transitions of each trajectory.
    returns_ : ndarray of shape (n_trajectories,)
        Returns of the trajectories.
    ess_ : float
        Number of transitions.
    entropy_ : float
        Entropy in nats of a drawn transition.
    expected_return_ : float
        Mean return of the trajectories.
    batch_return_ : float
        Mean return of the trajectories that transitions are drawn from.
    psv_ : float
        Positive-sided variance of the returns.

    See Also
    --------
    ReturnWeighting : Weights by returns.
    statlearn.weights.Uniform : Equal weights of single rows.
    sklearn.dummy.DummyRegressor : A comparison for regressors.

    References
    ----------
    Dean A. Pomerleau. Efficient Training of Artificial Neural Networks for Autonomous
    Navigation. Neural Computation, 1991.

    Examples
    --------
    >>> from statlearn.offline_rl import TrajectoryDataset, UniformWeighting
    >>> dataset = TrajectoryDataset.from_arrays(
    ...     observations=[[0.0], [1.0], [0.0]],
    ...     actions=[1, 1, 0],
    ...     rewards=[0.0, 1.0, 5.0],
    ...     terminals=[False, True, True],
    ... )
    >>> UniformWeighting().fit(dataset).sample_weight()
    array([1., 1., 1.])
    """

    _parameter_constraints: dict[str, list[Any]] = {"gamma": [SHARE]}

    def __init__(self, *, gamma: float = 1.0) -> None:
        self.gamma = gamma

    def _masses(self, dataset: TrajectoryDataset, returns: Array) -> Array:
        return self.lengths_.astype(np.float64)
