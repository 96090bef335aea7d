"""The value of a policy, estimated from trajectories of another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier

from statlearn.exceptions import DegenerateWeightsWarning
from statlearn.offline_rl._checks import check_dataset, check_discount
from statlearn.offline_rl._fitted_evaluation import (
    FittedValues,
    default_regressor,
    fit_values,
)
from statlearn.offline_rl._importance import (
    cumulative_log_ratio,
    per_decision,
    per_trajectory,
)
from statlearn.offline_rl._learning import default_behavior
from statlearn.offline_rl._policies import taken_probabilities
from statlearn.offline_rl._value_estimate import NAMES, ValueEstimate
from statlearn.offline_rl.behavior_cloning import BehaviorCloning
from statlearn.offline_rl.trajectory_dataset import TrajectoryDataset
from statlearn.utils._numbers import positive_integer, read_coverage
from statlearn.utils._rng import as_generator
from statlearn.utils._rules import is_thin
from statlearn.utils._warn import warn
from statlearn.weights import effective_sample_size

Array = NDArray[np.float64]

_CALLER = "estimate_value"
_N_BOOTSTRAPS = 1000
# Resamples that are in memory at a time.
_TOGETHER = 50


def estimate_value(
    dataset: TrajectoryDataset,
    policy: Any,
    *,
    method: str = "wis",
    behavior: Any = None,
    gamma: float = 1.0,
    regressor: Any = None,
    n_iter: int = 50,
    n_bootstraps: int | None = None,
    coverage: float = 0.95,
    random_state: Any = None,
) -> ValueEstimate:
    r"""Estimate the expected return of a policy without an environment.

    To choose between policies, or the temperature of a weighting, when there are data
    only. The trajectories are to be as recorded, other ones than the policy was learnt
    from, and are never weighted here: weights favour lucky outcomes, and values of
    weighted data are optimistic.

    Parameters
    ----------
    dataset : TrajectoryDataset
        Trajectories as recorded.
    policy : object, callable or array-like of shape (n_transitions,)
        An object with ``predict_proba(observations)`` and ``classes_``, such as a
        :class:`BehaviorCloning`; a function that returns probabilities of the actions
        0, 1, 2...; or, for importance sampling, the probability or density of each
        recorded action.
    method : {"is", "wis", "pdis", "wpdis", "fqe", "dr"}, default="wis"
        Importance sampling of whole trajectories, plain or normalised by the sum of
        weights; of single decisions, plain or normalised; fitted-Q evaluation; doubly
        robust, which corrects the latter by plain per-decision weights.
    behavior : classifier, object, callable or array-like, default=None
        Policy of the data, in the forms of `policy`, such as a fitted
        :class:`BehaviorCloning` or a :class:`TabularPolicy`. An unfitted classifier is
        cloned to imitate the data; by default it is a logistic regression on scaled
        observations, or on indicators if each observation is one integer. "fqe" does
        not need it.
    gamma : float, default=1.0
        Discount from 0 to 1.
    regressor : regressor, default=None
        Predicts values for "fqe" and "dr". By default extremely randomised trees, or
        the mean of each state if each observation is one integer.
    n_iter : int, default=50
        Sweeps of the regressor, so many steps ahead a value looks.
    n_bootstraps : int, default=None
        Number of resamples of the trajectories, 0 for no interval. By default 1000, and
        0 for "fqe", which is fitted anew to each one.
    coverage : float, default=0.95
        Probability of the interval, in (0, 1).
    random_state : int, Generator, RandomState or None, default=None
        Resamples, and the default regressor.

    Returns
    -------
    estimate : ValueEstimate
        The value with a percentile interval and the effective number of trajectories.
        Resamples of trajectories that the policy could not have made say nothing; if
        they are more than may lie beyond a limit, both limits are NaN.

    Raises
    ------
    TypeError
        If the data set or a policy is something else.
    ValueError
        For bad parameters, recorded actions to which `behavior` gives no probability,
        weights that overflow, or no trajectory that the policy could have made.

    Warns
    -----
    DegenerateWeightsWarning
        If few trajectories have nearly all weight, or if limits are NaN, as those of a
        single trajectory are.

    See Also
    --------
    FittedQIteration : Finds a policy.
    TabularMDP.value : The exact value, where the process is known.

    Notes
    -----
    With the products :math:`\rho_{i,t}` of the ratios :math:`\pi(a_{i,u}|s_{i,u}) /
    \mu(a_{i,u}|s_{i,u})` for :math:`u \le t` in trajectory i of N, and :math:`\rho_i`
    at its last step, the estimates are

    .. math::

        \text{is} &= \tfrac{1}{N} \sum_i \rho_i G_i, &
        \text{pdis} &= \tfrac{1}{N} \sum_i \sum_t \gamma^t \rho_{i,t} r_{i,t}, \\
        \text{wis} &= \frac{\sum_i \rho_i G_i}{\sum_i \rho_i}, &
        \text{wpdis} &= \sum_t \gamma^t
        \frac{\sum_i \rho_{i,t} r_{i,t}}{\sum_i \rho_{i,t}}, \\
        \text{fqe} &= \tfrac{1}{N} \sum_i V(s_{i,0}), &
        \text{dr} &= \tfrac{1}{N} \sum_i \sum_t \gamma^t \bigl(
        \rho_{i,t} (r_{i,t} - Q(s_{i,t}, a_{i,t}))
        + \rho_{i,t-1} V(s_{i,t}) \bigr).

    Weights of a trajectory that has ended stay in the sums of "wpdis". Products are
    sums of logarithms. Plain forms are unbiased if the behaviour is known; normalised
    ones are biased, consistent and vary less. All importance weights degenerate with
    the length of trajectories. A reward after the last transition has the weight of
    that transition; fitted-Q evaluation does not use it. "dr" keeps Q in its bootstrap.
    Importance sampling costs :math:`O(n)` for each resample.

    A bootstrap over trajectories knows how much they vary, nothing else: with few
    effective trajectories, or values that the regressor gets wrong, the interval is too
    narrow.

    References
    ----------
    Doina Precup, Richard S. Sutton, Satinder Singh. Eligibility Traces for Off-Policy
    Policy Evaluation. ICML, 2000.

    Nan Jiang, Lihong Li. Doubly Robust Off-policy Value Evaluation for Reinforcement
    Learning. ICML, 2016.

    Hoang M. Le, Cameron Voloshin, Yisong Yue. Batch Policy Learning under Constraints.
    ICML, 2019.

    Examples
    --------
    >>> from statlearn.offline_rl import TrajectoryDataset, estimate_value
    >>> dataset = TrajectoryDataset.from_arrays(
    ...     observations=[[0.0], [1.0], [0.0], [1.0]],
    ...     actions=[0, 1, 1, 1],
    ...     rewards=[1.0, 0.0, 0.0, 1.0],
    ...     terminals=[False, True, False, True],
    ... )
    >>> policy, behavior = [1.0, 0.25, 0.25, 0.25], [0.5, 0.5, 0.5, 0.5]
    >>> estimate = estimate_value(
    ...     dataset, policy, behavior=behavior, method="is", n_bootstraps=0
    ... )
    >>> estimate.value
    0.625
    """
    check_dataset(dataset, _CALLER)
    gamma = check_discount(gamma, _CALLER)
    n_bootstraps = _check_options(method, n_iter, n_bootstraps, coverage)
    generator = as_generator(random_state)
    if regressor is None and method in ("fqe", "dr"):
        seed = int(generator.integers(2**31))
        regressor = default_regressor(dataset.observations, seed)
    n = dataset.n_trajectories

    def fitted(part: TrajectoryDataset) -> FittedValues:
        return fit_values(part, policy, regressor, gamma=gamma, n_iter=n_iter)

    estimate: Callable[[Array], Array]
    if method == "fqe":
        values = fitted(dataset).of_states(dataset.initial_observations)
        value, ess = float(values.mean()), float(n)
        estimate = _Refitted(dataset, fitted)
    else:
        log_weight = _log_weights(dataset, policy, behavior)
        ess = _effective(log_weight[dataset.offsets[1:] - 1], n)
        model = fitted(dataset) if method == "dr" else None
        estimate = _estimator(dataset, method, log_weight, gamma, model)
        value = float(estimate(np.ones((1, n)))[0])
    if not np.isfinite(value):
        raise ValueError(
            f"The method {method!r} of {_CALLER} expected products of ratios that are "
            f"finite. Got larger ones; choose 'wis' or 'wpdis'."
        )
    sample = _resampled(estimate, n, n_bootstraps, generator)
    interval = None
    if n_bootstraps:
        interval = _interval(sample, 0.5 * (1.0 - coverage), n)
    return ValueEstimate(value, interval, coverage, ess, n, method, gamma, sample)


class _Refitted:
    """Fitted-Q evaluation of resampled trajectories."""

    def __init__(
        self,
        dataset: TrajectoryDataset,
        fitted: Callable[[TrajectoryDataset], FittedValues],
    ) -> None:
        self.dataset = dataset
        self.fitted = fitted

    def __call__(self, counts: Array) -> Array:
        """Return the estimate (B,) for each row of counts (B, N)."""
        found = np.empty(len(counts))
        for row, count in enumerate(counts):
            part = self.dataset.subset(
                np.repeat(np.arange(len(count)), count.astype(int))
            )
            found[row] = self.fitted(part).of_states(part.initial_observations).mean()
        return found


def _resampled(
    estimate: Callable[[Array], Array],
    n: int,
    n_bootstraps: int,
    generator: np.random.Generator,
) -> Array:
    """Return estimates (B,) of resamples of n trajectories, few at a time."""
    found = np.empty(n_bootstraps)
    for start in range(0, n_bootstraps, _TOGETHER):
        part = found[start : start + _TOGETHER]
        counts = np.empty((len(part), n))
        for row in counts:
            row[:] = np.bincount(generator.integers(n, size=n), minlength=n)
        part[:] = estimate(counts)
    return found


def _interval(sample: Array, tail: float, n: int) -> tuple[float, float]:
    """Return limits; estimates (B,) that are NaN may be below one or above the other.

    So of the others no more than `tail` less the share of these lies beyond each limit.
    Resamples of `n` trajectories say nothing if there is only one.
    """
    if n == 1:
        warn(
            f"The interval of {_CALLER} must be made of at least 2 trajectories, whose "
            f"differences it measures. Got 1, so that its limits are NaN. Pass more "
            f"trajectories, or n_bootstraps=0 for the value alone.",
            DegenerateWeightsWarning,
        )
        return np.nan, np.nan
    known = sample[~np.isnan(sample)]
    share = len(known) / len(sample)
    if 1.0 - share > tail:
        warn(
            f"The interval of {_CALLER} must be made of resamples with a weight, of "
            f"which at most a share of {tail:.3g} may have none. Got "
            f"{len(sample) - len(known)} of {len(sample)}, so that its limits are NaN. "
            f"Evaluate a policy that is closer to the data, or choose method='fqe'.",
            DegenerateWeightsWarning,
        )
        return np.nan, np.nan
    below = (tail - (1.0 - share)) / share
    low, high = np.quantile(known, [below, 1.0 - below])
    return float(low), float(high)


def _log_weights(dataset: TrajectoryDataset, policy: Any, behavior: Any) -> Array:
    """Return the log importance weight (n,) of each trajectory up to each step."""
    wanted = taken_probabilities(policy, dataset, "policy")
    if behavior is None:
        behavior = default_behavior(dataset.observations)
    known = hasattr(behavior, "classes_") or not isinstance(behavior, BaseEstimator)
    if not known and is_classifier(behavior):
        behavior = BehaviorCloning(behavior).fit(dataset)
    recorded = taken_probabilities(behavior, dataset, "behavior")
    if not np.all(recorded > 0.0):
        raise ValueError(
            f"The 'behavior' of {_CALLER} must give each recorded action a positive "
            f"probability. Got 0 for {np.sum(recorded == 0.0)} of {len(recorded)}; "
            f"pass the policy that made the data, or None to estimate it."
        )
    with np.errstate(divide="ignore"):
        log_ratio = np.log(wanted) - np.log(recorded)
    return cumulative_log_ratio(log_ratio, dataset.offsets)


def _effective(log_weight: Array, n: int) -> float:
    """Return the effective number of trajectories, and warn if it is small."""
    largest = log_weight.max()
    if np.isneginf(largest):
        raise ValueError(
            f"The 'policy' of {_CALLER} must be able to make some of the recorded "
            f"trajectories. Got one that makes none of {n}; evaluate a stochastic "
            f"policy, or choose method='fqe'."
        )
    ess = effective_sample_size(np.exp(log_weight - largest))
    if is_thin(ess, n):
        warn(
            f"The weights of {_CALLER} leave {ess:.3g} effective of {n} trajectories, "
            f"so the estimate and its interval say little. Evaluate a policy that is "
            f"closer to the data, or choose method='fqe'.",
            DegenerateWeightsWarning,
        )
    return ess


def _estimator(
    dataset: TrajectoryDataset,
    method: str,
    log_weight: Array,
    gamma: float,
    model: FittedValues | None,
) -> Callable[[Array], Array]:
    """Return the function from counts of trajectories to an estimate."""
    offsets = dataset.offsets
    tail = np.asarray(dataset.tail_rewards, dtype=np.float64)
    rewards = dataset.rewards.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if method in ("is", "wis"):
            whole = log_weight[offsets[1:] - 1]
            normalized = method == "wis"
            return per_trajectory(whole, dataset.returns(gamma), normalized=normalized)
        if model is None:
            return per_decision(
                log_weight,
                rewards,
                tail,
                offsets,
                gamma=gamma,
                normalized=method == "wpdis",
            )
        corrected = per_decision(
            log_weight,
            rewards - model.of_actions(dataset),
            tail,
            offsets,
            gamma=gamma,
            normalized=False,
        )
        # What is expected at a step has the weight of the steps before it.
        before = np.r_[0.0, log_weight[:-1]]
        before[offsets[:-1]] = 0.0
        expected = per_decision(
            before,
            model.of_states(dataset.observations),
            np.zeros(len(tail)),
            offsets,
            gamma=gamma,
            normalized=False,
        )
        return type(corrected)(corrected.terms + expected.terms)


def _check_options(method: Any, n_iter: Any, n_bootstraps: Any, coverage: Any) -> int:
    """Return the number of resamples, or say what is wrong with an option."""
    if method not in NAMES:
        raise ValueError(
            f"The 'method' of {_CALLER} must be one of {list(NAMES)}. Got {method!r}; "
            f"pass 'wis' for weighted importance sampling."
        )
    positive_integer(n_iter, "n_iter", _CALLER, "pass 50")
    read_coverage(coverage, _CALLER)
    if n_bootstraps is None:
        return 0 if method == "fqe" else _N_BOOTSTRAPS
    if n_bootstraps != 0:
        positive_integer(n_bootstraps, "n_bootstraps", _CALLER, "pass 0 for none")
    return int(n_bootstraps)
