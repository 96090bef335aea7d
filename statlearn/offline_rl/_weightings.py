"""Weightings of trajectories by the exponential of their return or advantage."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.exceptions import DegenerateWeightsWarning
from statlearn.offline_rl._returns import effective_transitions
from statlearn.offline_rl._tilting import temperature_for, tilted_masses
from statlearn.offline_rl._values import group_means, initial_values
from statlearn.offline_rl._weighting_base import (
    POSITIVE_SHARE,
    SHARE,
    TrajectoryWeighting,
    normalized,
)
from statlearn.offline_rl.trajectory_dataset import TrajectoryDataset
from statlearn.utils._groups import group_codes
from statlearn.utils._sklearn import HasMethods, Interval, StrOptions
from statlearn.utils._warn import warn

Array = NDArray[np.float64]

# Advantages whose range is a smaller part of the returns are rounding.
_ROUNDING = 1e-10


class _TiltedWeighting(TrajectoryWeighting):
    """Weights that grow with the exponential of a score."""

    _parameter_constraints: dict[str, list[Any]] = {
        "alpha": [Interval(Real, 0, None, closed="right")],
        "normalize": [StrOptions({"minmax", "rank", "zscore"}), None],
        "level": [StrOptions({"transition", "trajectory"})],
        "gamma": [SHARE],
        "uniform_mix": [SHARE],
        "target_ess": [POSITIVE_SHARE, None],
    }
    alpha: float
    normalize: str | None
    level: str
    target_ess: float | None

    def _tilted(self, scores: Array, codes: NDArray[np.intp] | None = None) -> Array:
        """Store the scores (N,) and the temperature, and return masses (N,)."""

        def masses(alpha: float) -> Array:
            return tilted_masses(
                scores,
                alpha,
                self.lengths_,
                by_transition=self.level == "transition",
                codes=codes,
            )

        def ess(alpha: float) -> float:
            p = self._mixed(masses(alpha)) / self.lengths_
            return effective_transitions(p, self.lengths_)

        self.scores_ = scores
        self.alpha_ = float(self.alpha)
        if self.target_ess is not None:
            target = self.target_ess * float(self.lengths_.sum())
            self.alpha_ = temperature_for(target, scores, ess, type(self).__name__)
        return masses(self.alpha_)


class ReturnWeighting(_TiltedWeighting):
    r"""Weigh trajectories by the exponential of their returns.

    For data in which few trajectories are good and many are poor, and a learner that
    stays close to the data: behaviour cloning, or offline reinforcement learning with a
    constraint on the policy. The learner is not changed, only what it sees.

    Weights take actions out of sight, so a learner without a constraint gets worse. In
    stochastic environments they favour luck: transitions that are weighted by what
    happened later promise more than will happen. Never estimate values or dynamics
    from the weighted data.

    Parameters
    ----------
    alpha : float, default=0.1
        Temperature above 0. Towards 0 all weight is on the best trajectories; infinity
        weighs all transitions alike. With returns scaled to [0, 1], 0.1 gives the best
        22026 times the weight of the worst, 0.2 gives 148 times.
    normalize : {"minmax", "rank", "zscore"} or None, default="minmax"
        Scale of the returns in units of which `alpha` is: from 0 to 1, ranks from 0 to
        1, standard deviations, or as they are.
    level : {"transition", "trajectory"}, default="transition"
        Whether the exponential is the weight of each transition or of the whole
        trajectory, which a long one spreads thinly.
    gamma : float, default=1.0
        Discount of rewards in the return.
    uniform_mix : float, default=0.0
        Share of uniform transitions mixed in, from 0 to 1, which keeps all in sight.
    target_ess : float, default=None
        Choose `alpha` such that the effective number of transitions is this share of
        all, in (0, 1]. The floor is that of the best trajectories alone.

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
        Returns on the scale of `normalize`.
    alpha_ : float
        Temperature used; infinity if all scores are equal and `target_ess` is given.
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
    AdvantageWeighting : For initial states that differ in what they promise.
    estimate_value : What a policy is worth, from trajectories as recorded.
    statlearn.weights.tilt : The exponential alone.
    sklearn.utils.class_weight.compute_sample_weight : Weights by class.

    Notes
    -----
    With scores :math:`z_i` of trajectories of length :math:`T_i`, each transition has
    the probability

    .. math:: p_i = \frac{\exp(z_i / \alpha)}{\sum_j T_j \exp(z_j / \alpha)} .

    The shares :math:`w_i \propto p_i` of the trajectories maximise :math:`\sum_i w_i
    z_i + \alpha H(w)`, where H is the entropy. In deterministic environments the
    implied policy has at least the mean return of the data, and the more the lower
    alpha is. Equal returns, or a single trajectory, give uniform weights. A positive
    factor of all rewards changes nothing; a number added to each of them does, unless
    all lengths are equal. Time and memory are O(n).

    The smallest effective number of transitions is that of the trajectories with the
    largest return, and a `target_ess` below its share of all is not reached. A good
    target is just above the share that you believe to be good: with one expert episode
    of 500 among 20000 transitions of CartPole, a linear clone has a return of 500 at
    1.01 times the floor and of 34 at 1.2 times, where alpha is 0.16.

    References
    ----------
    Zhang-Wei Hong, Pulkit Agrawal, Rémi Tachet des Combes, Romain Laroche. Harnessing
    Mixed Offline Reinforcement Learning Datasets via Trajectory Weighting. ICLR, 2023.

    Examples
    --------
    >>> from statlearn.offline_rl import ReturnWeighting, TrajectoryDataset
    >>> dataset = TrajectoryDataset.from_arrays(
    ...     observations=[[0.0], [1.0], [0.0], [2.0]],
    ...     actions=[1, 1, 0, 1],
    ...     rewards=[0.0, 1.0, 0.0, 5.0],
    ...     terminals=[False, True, False, True],
    ... )
    >>> weighting = ReturnWeighting(alpha=0.5).fit(dataset)
    >>> weighting.transition_probability_.round(3)
    array([0.06, 0.44])
    >>> weighting.sample_weight().round(3)
    array([0.238, 0.238, 1.762, 1.762])
    >>> round(weighting.expected_return_, 3)
    4.523
    """

    def __init__(
        self,
        alpha: float = 0.1,
        *,
        normalize: str | None = "minmax",
        level: str = "transition",
        gamma: float = 1.0,
        uniform_mix: float = 0.0,
        target_ess: float | None = None,
    ) -> None:
        self.alpha = alpha
        self.normalize = normalize
        self.level = level
        self.gamma = gamma
        self.uniform_mix = uniform_mix
        self.target_ess = target_ess

    def _masses(self, dataset: TrajectoryDataset, returns: Array) -> Array:
        return self._tilted(normalized(returns, self.normalize))


class AdvantageWeighting(_TiltedWeighting):
    r"""Weigh trajectories by how much their returns exceed what their starts promise.

    As :class:`ReturnWeighting`, for initial states from which it is easier or harder to
    get a large return: weights by return alone would favour the easy ones.

    Parameters
    ----------
    alpha : float, default=0.1
        Temperature above 0, as of :class:`ReturnWeighting`.
    value_estimator : regressor, default=None
        Predicts the return from the first observation. By default a linear regression,
        with a ridge penalty chosen by cross-validation where trajectories are few.
    cv : "auto", None, int or splitter, default="auto"
        How trajectories are held out from the fit that predicts their value. "auto"
        takes five folds, but none for the default estimator with more than ten
        trajectories for each coefficient; None takes none at all.
    groups : array-like of shape (n_trajectories,) or "initial", default=None
        Labels of the start of each trajectory, or "initial" for equal first
        observations. Each group keeps its share of the starts exactly, and the default
        value is the mean return of the group. For starts that recur: if all groups are
        of one trajectory, weights are equal, which warns.
    normalize : {"minmax", "rank", "zscore"} or None, default="minmax"
        Scale of the advantages in units of which `alpha` is.
    level : {"transition", "trajectory"}, default="transition"
        Whether the exponential is the weight of each transition or of the trajectory.
    gamma : float, default=1.0
        Discount of rewards in the return.
    uniform_mix : float, default=0.0
        Share of uniform transitions mixed in, from 0 to 1.
    target_ess : float, default=None
        Choose `alpha` such that the effective number of transitions is this share of
        all, in (0, 1]. The floor is that of the best trajectories alone.

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
    values_ : ndarray of shape (n_trajectories,)
        Returns that the first observations promise.
    scores_ : ndarray of shape (n_trajectories,)
        Returns less values on the scale of `normalize`.
    alpha_ : float
        Temperature used; infinity if all scores are equal and `target_ess` is given.
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
        Positive-sided variance of the returns around the values.

    See Also
    --------
    ReturnWeighting : The same without values, with the formula.
    estimate_value : What a policy is worth, from trajectories as recorded.
    positive_sided_variance : How much there is to gain.
    sklearn.model_selection.cross_val_predict : How values are cross-fitted.

    Notes
    -----
    The score of a trajectory is its advantage :math:`A_i = G_i - V(s_{i,0})`. A linear
    regression fitted to as few trajectories as it has coefficients interpolates them:
    all advantages are rounding, and weights made of it are random. So values of few
    trajectories are predicted by fits to others, and advantages whose range is below
    1e-10 of the largest return count as equal, which gives uniform weights. The
    published form is ``value_estimator=LinearRegression(), cv=None``. With equal first
    observations, weights are those of :class:`ReturnWeighting`. Adding a linear
    function of the first observation to the returns does not change a fit by least
    squares.

    References
    ----------
    Zhang-Wei Hong, Pulkit Agrawal, Rémi Tachet des Combes, Romain Laroche. Harnessing
    Mixed Offline Reinforcement Learning Datasets via Trajectory Weighting. ICLR, 2023.

    Examples
    --------
    >>> from statlearn.offline_rl import AdvantageWeighting, TrajectoryDataset
    >>> dataset = TrajectoryDataset.from_arrays(
    ...     observations=[[0.0], [0.0], [9.0], [9.0]],
    ...     actions=[0, 1, 0, 1],
    ...     rewards=[1.0, 2.0, 10.0, 11.0],
    ...     terminals=[True, True, True, True],
    ... )
    >>> weighting = AdvantageWeighting(alpha=0.5, groups="initial").fit(dataset)
    >>> weighting.values_
    array([ 1.5,  1.5, 10.5, 10.5])
    >>> weighting.transition_probability_.round(3)
    array([0.06, 0.44, 0.06, 0.44])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **_TiltedWeighting._parameter_constraints,
        "value_estimator": [HasMethods(["fit", "predict"]), None],
        "cv": [StrOptions({"auto"}), "cv_object"],
        "groups": [StrOptions({"initial"}), "array-like", None],
    }

    def __init__(
        self,
        alpha: float = 0.1,
        *,
        value_estimator: Any = None,
        cv: Any = "auto",
        groups: Any = None,
        normalize: str | None = "minmax",
        level: str = "transition",
        gamma: float = 1.0,
        uniform_mix: float = 0.0,
        target_ess: float | None = None,
    ) -> None:
        self.alpha = alpha
        self.value_estimator = value_estimator
        self.cv = cv
        self.groups = groups
        self.normalize = normalize
        self.level = level
        self.gamma = gamma
        self.uniform_mix = uniform_mix
        self.target_ess = target_ess

    def _masses(self, dataset: TrajectoryDataset, returns: Array) -> Array:
        starts = dataset.initial_observations
        codes = self._group_codes(starts)
        if codes is not None and self.value_estimator is None:
            self.values_ = group_means(returns, codes)
        else:
            self.values_ = initial_values(
                starts, returns, self.value_estimator, self.cv, type(self).__name__
            )
        with np.errstate(over="ignore"):
            advantages = returns - self.values_
        if not np.isfinite(advantages).all():
            raise ValueError(
                f"{type(self).__name__} expected returns whose excess over their "
                f"values is finite. Got returns up to {np.abs(returns).max():.3g} in "
                f"size; divide the rewards by a constant."
            )
        if np.ptp(advantages) <= _ROUNDING * np.abs(returns).max():
            return self._tilted(np.zeros(len(returns)), codes)
        return self._tilted(normalized(advantages, self.normalize), codes)

    def _group_codes(self, starts: NDArray[Any]) -> NDArray[np.intp] | None:
        if self.groups is None:
            return None
        if isinstance(self.groups, str):
            rows = starts.reshape(len(starts), -1)
            if rows.shape[1] == 1:  # numbers are sorted much faster than rows
                codes = np.unique(rows[:, 0], return_inverse=True, equal_nan=False)[1]
            else:
                codes = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
            self._warn_of_single(codes)
            return codes
        _, codes = group_codes(self.groups, type(self).__name__)
        if len(codes) != len(starts):
            raise ValueError(
                f"The 'groups' of {type(self).__name__} must hold one label for each "
                f"of {len(starts)} trajectories. Got {len(codes)}; pass labels of this "
                f"data set, or 'initial'."
            )
        self._warn_of_single(codes)
        return codes

    def _warn_of_single(self, codes: NDArray[np.intp]) -> None:
        n = len(codes)
        if n > 1 and codes.max() == n - 1:
            warn(
                f"The 'groups' of {type(self).__name__} must have several trajectories "
                f"each to weigh them against each other. Got {n} groups of one, so "
                f"that all weights are equal; pass coarser labels, or None.",
                DegenerateWeightsWarning,
            )
