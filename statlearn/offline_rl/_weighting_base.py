"""What all weightings of trajectories have in common."""

from __future__ import annotations

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, clone
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from statlearn.offline_rl._checks import check_dataset
from statlearn.offline_rl._returns import (
    effective_transitions,
    policy_return,
    positive_sided_variance,
    smallest_number,
    transition_entropy,
)
from statlearn.offline_rl.trajectory_dataset import TrajectoryDataset
from statlearn.utils._numbers import closed_share
from statlearn.utils._sklearn import Interval, fit_context
from statlearn.utils._tables import facts, number
from statlearn.weights._worst_case import from_top

Array = NDArray[np.float64]

# Constraints of parameters that are shares.
SHARE = Interval(Real, 0, 1, closed="both")
POSITIVE_SHARE = Interval(Real, 0, 1, closed="right")


class TrajectoryWeighting(BaseEstimator):
    r"""Base class of the weightings of trajectories.

    A weighting gives every transition of a trajectory one probability of being drawn.
    A subclass has ``gamma`` and ``uniform_mix`` among its parameters and implements
    ``_masses(dataset, returns)``, which returns non-negative numbers in proportion to
    the probability of drawing from each trajectory.

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
    ReturnWeighting : Weights by returns.
    estimate_value : What a policy is worth, from trajectories as recorded.
    statlearn.weights.WeightingRule : Weights of single rows by their losses.

    Notes
    -----
    With transition probabilities :math:`p_i` and lengths :math:`T_i`, so that
    :math:`\sum_i T_i p_i = 1`, the policy that takes action a in state s with the
    share of a in the weight of s has the expected return :math:`\sum_i p_i G_i /
    \sum_i p_i` if dynamics are deterministic and episodes end, from starts weighted
    likewise. Elsewhere that number is optimistic: it takes luck for skill, and where
    starts differ, weights by return move the starts too, to the easy ones. Compare
    policies by :func:`estimate_value`. The mean return of a batch, :math:`\sum_i T_i
    p_i G_i`, is another number.

    References
    ----------
    Zhang-Wei Hong, Pulkit Agrawal, Rémi Tachet des Combes, Romain Laroche. Harnessing
    Mixed Offline Reinforcement Learning Datasets via Trajectory Weighting. ICLR, 2023.

    Examples
    --------
    >>> from statlearn.offline_rl import ReturnWeighting, TrajectoryWeighting
    >>> issubclass(ReturnWeighting, TrajectoryWeighting)
    True
    """

    __metadata_request__fit = {"dataset": UNUSED}
    _parameter_constraints: dict[str, list[Any]] = {}
    gamma: float = 1.0
    uniform_mix: float = 0.0

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, dataset: TrajectoryDataset) -> Self:
        """Compute the weights of the trajectories of a data set.

        Parameters
        ----------
        dataset : TrajectoryDataset
            The trajectories.

        Returns
        -------
        self : TrajectoryWeighting
            The fitted weighting.

        Raises
        ------
        TypeError
            If `dataset` is something else.
        ValueError
            For bad parameters, or returns that overflow.
        """
        check_dataset(dataset, type(self).__name__)
        self.returns_ = dataset.returns(self.gamma)
        self.lengths_ = dataset.lengths
        mass = self._masses(dataset, self.returns_)
        self.trajectory_probability_ = self._mixed(mass)
        self.max_trajectory_probability_ = float(self.trajectory_probability_.max())
        p = self.trajectory_probability_ / self.lengths_
        self.transition_probability_ = p
        self.ess_ = effective_transitions(p, self.lengths_)
        self.entropy_ = transition_entropy(p, self.lengths_)
        self.expected_return_ = policy_return(p, self.returns_)
        self.batch_return_ = float(self.trajectory_probability_ @ self.returns_)
        self.psv_ = positive_sided_variance(
            self.returns_, getattr(self, "values_", None)
        )
        return self

    def sample_weight(self, dataset: TrajectoryDataset | None = None) -> Array:
        """Return a weight for each transition, for estimators of scikit-learn.

        Parameters
        ----------
        dataset : TrajectoryDataset, default=None
            By default the one of the fit. Another one is weighted by a fit of its own,
            which this weighting does not keep.

        Returns
        -------
        weights : ndarray of shape (n_transitions,)
            Of mean one.

        Raises
        ------
        NotFittedError
            If there is no fit and no data set.
        """
        if dataset is not None:
            return clone(self).fit(dataset).sample_weight()
        check_is_fitted(self)
        n = self.lengths_.sum()
        return np.repeat(n * self.transition_probability_, self.lengths_)

    def n_trajectories_holding(self, share: float = 0.9) -> int:
        """Return how few trajectories have a share of the probability.

        Parameters
        ----------
        share : float, default=0.9
            From 0 to 1.

        Returns
        -------
        n : int
            Number of the likeliest trajectories from which a transition is drawn with
            at least this probability; at least 1.

        Raises
        ------
        NotFittedError
            If there is no fit.
        ValueError
            For a share outside [0, 1].
        """
        check_is_fitted(self)
        caller = f"{type(self).__name__}.n_trajectories_holding"
        share = closed_share(share, "share", caller, "pass 0.9")
        return smallest_number(self.trajectory_probability_, share)

    def summary(self) -> str:
        """Return what the weights leave of the data, and what they promise, as text.

        Returns
        -------
        text : str
            Two columns of numbers.

        Raises
        ------
        NotFittedError
            If there is no fit.
        """
        check_is_fitted(self)
        n = int(self.lengths_.sum())
        never = int(np.sum(self.trajectory_probability_ == 0.0))
        pairs = [
            ("trajectories", str(len(self.lengths_))),
            ("never drawn", str(never)),
            ("with 90 % of the draws", str(self.n_trajectories_holding(0.9))),
            ("largest probability", number(self.max_trajectory_probability_)),
            ("transitions", str(n)),
            ("effective transitions", number(self.ess_, 1)),
            ("entropy", number(self.entropy_)),
            ("mean return", number(float(self.returns_.mean()))),
            ("largest return", number(float(self.returns_.max()))),
            ("return of the policy", number(self.expected_return_)),
            ("return in a batch", number(self.batch_return_)),
            ("positive-sided variance", number(self.psv_)),
        ]
        if hasattr(self, "alpha_"):
            pairs.append(("alpha", number(self.alpha_)))
        return facts(pairs)

    def _masses(self, dataset: TrajectoryDataset, returns: Array) -> Array:
        raise NotImplementedError(
            f"A TrajectoryWeighting must implement _masses(dataset, returns). "
            f"{type(self).__name__} does not; add the method."
        )

    def _mixed(self, mass: Array) -> Array:
        """Return probabilities (N,) of trajectories, mixed with uniform transitions."""
        mass = mass / mass.sum()
        if self.uniform_mix == 0.0:
            return mass
        uniform = self.lengths_ / self.lengths_.sum()
        return (1.0 - self.uniform_mix) * mass + self.uniform_mix * uniform


def normalized(values: Array, how: str | None) -> Array:
    """Return scores (N,): values on a scale of their own; zeros if all are equal.

    Parameters
    ----------
    values : (N,) array
    how : {"minmax", "rank", "zscore"} or None
        From 0 to 1, ranks from 0 to 1, standard deviations, or as they are.
    """
    if how is None:
        return values
    scaled = from_top(values)
    if scaled is None:
        return np.zeros(len(values))
    if how == "rank":
        return (rankdata(values) - 1.0) / (len(values) - 1.0)
    scaled += 1.0
    return scaled if how == "minmax" else (scaled - scaled.mean()) / scaled.std()
