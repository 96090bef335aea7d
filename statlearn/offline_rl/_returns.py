"""Returns of trajectories, and what weights on trajectories say about a policy.

In all functions N trajectories of lengths T (N,) have n transitions in all; `p` (N,) is
the probability of each single transition of a trajectory, so that the probability of
the whole trajectory is T p, and these add up to one.
"""

from __future__ import annotations

from math import frexp
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from statlearn.utils._arrays import to_float64

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


def discounted_returns(
    rewards: NDArray[Any], offsets: Integers, tail: Array, gamma: float
) -> Array:
    """Return the discounted sum (N,) of the recorded rewards of each trajectory.

    Parameters
    ----------
    rewards : (n,) array
    offsets : (N + 1,) increasing integers
    tail : (N,) array
        Rewards recorded after the last transition of each trajectory.
    gamma : float in [0, 1]
    """
    starts, lengths = offsets[:-1], np.diff(offsets)
    # Sums in float64, whatever the rewards are kept in.
    if gamma == 1.0:
        total = np.add.reduceat(rewards, starts, dtype=np.float64)
        return total + tail
    discount = gamma ** np.arange(lengths.max() + 1, dtype=np.float64)
    step = np.arange(len(rewards))
    step -= np.repeat(starts, lengths)
    total = np.add.reduceat(rewards * discount[step], starts)
    return total + discount[lengths] * tail


def policy_return(p: Array, returns: Array) -> float:
    """Return the expected return of the policy that weighted transitions imply."""
    return float((p / p.sum()) @ returns)


def effective_transitions(p: Array, lengths: Integers) -> float:
    """Return Kish's effective sample size in transitions."""
    relative = p / p.max()  # squares of tiny probabilities would vanish
    return float((lengths @ relative) ** 2 / (lengths @ relative**2))


def smallest_number(mass: Array, share: float) -> int:
    """Return how many of the largest masses (N,) have a share of all, at least one."""
    reached = np.cumsum(np.sort(mass)[::-1])
    # Nine tenths are 0.8999999999999999.
    wanted = share * reached[-1] * (1.0 - 1e-12)
    return int(np.searchsorted(reached, wanted)) + 1


def transition_entropy(p: Array, lengths: Integers) -> float:
    """Return the entropy, in nats, of the distribution of a drawn transition."""
    return float(lengths @ special.entr(p))


def positive_sided_variance(
    returns: Any, baseline: Any = None, unit: bool = False
) -> float:
    r"""Return the mean squared excess of returns over what was to be expected.

    A large value says that few trajectories are much better than the rest, so that
    there is something to gain by weighting them up.

    Parameters
    ----------
    returns : array-like of shape (n_trajectories,)
        Returns of trajectories, finite.
    baseline : array-like of shape (n_trajectories,), default=None
        What was expected of each trajectory, such as the value of its initial state;
        the mean return by default.
    unit : bool, default=False
        Divide by the squared range of the returns, which makes it free of their unit;
        0 if all returns are equal.

    Returns
    -------
    value : float
        In squared units of the return, infinite if it exceeds the largest float.

    Raises
    ------
    ValueError
        If there is no return, one is not finite, or the baseline has another shape.

    See Also
    --------
    AdvantageWeighting : Weights by the excess over a baseline.
    numpy.var : The same with both sides.

    Notes
    -----
    It is :math:`\frac{1}{N} \sum_i \max(0, G_i - V_i)^2`, over trajectories whatever
    their lengths. A baseline is taken as it is: the excess is not centred again.

    References
    ----------
    Zhang-Wei Hong, Pulkit Agrawal, Rémi Tachet des Combes, Romain Laroche. Harnessing
    Mixed Offline Reinforcement Learning Datasets via Trajectory Weighting. ICLR, 2023.

    Examples
    --------
    >>> from statlearn.offline_rl import positive_sided_variance
    >>> positive_sided_variance([6.0, 3.0, 2.0, 10.0])
    5.78125
    """
    values = _as_returns(returns, "returns", None)
    size = unit_of(values)
    values = values / size  # squares of huge returns would overflow
    expected = values.mean()
    if baseline is not None:
        expected = _as_returns(baseline, "baseline", len(values)) / size
    excess = float(np.mean(np.maximum(values - expected, 0.0) ** 2))
    if not unit:
        return excess * size * size
    spread = float(np.ptp(values))
    return excess / (spread * spread) if spread > 0.0 else 0.0


def unit_of(returns: Array) -> float:
    """Return the power of two below the largest return: dividing by it is exact."""
    largest = float(np.abs(returns).max())
    return 2.0 ** (frexp(largest)[1] - 1) if largest > 0.0 else 1.0


def _as_returns(values: Any, name: str, n: int | None) -> Array:
    numbers, _ = to_float64(values)
    right = numbers.ndim == 1 and numbers.size > 0 and np.isfinite(numbers).all()
    if not right or n not in (None, len(numbers)):
        wanted = "n_trajectories" if n is None else n
        raise ValueError(
            f"The '{name}' of positive_sided_variance must be finite numbers of shape "
            f"({wanted},). Got shape {numbers.shape}, with "
            f"{np.sum(~np.isfinite(numbers))} non-finite numbers; pass one number for "
            f"each trajectory."
        )
    return numbers
