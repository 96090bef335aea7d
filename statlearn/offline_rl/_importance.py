"""Importance sampling of trajectories: weighted sums that a bootstrap can resample.

N trajectories of lengths T (N,) have n transitions in all. An estimate is a sum over
columns of a mean, or of a ratio of sums, over trajectories; a bootstrap counts how
often each trajectory comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


def cumulative_log_ratio(log_ratio: Array, offsets: Integers) -> Array:
    """Return the log ratio (n,) of each trajectory up to each of its steps.

    Parameters
    ----------
    log_ratio : (n,) array
        Finite or minus infinity, which stays until the end of the trajectory.
    offsets : (N + 1,) array
    """
    starts, lengths = offsets[:-1], np.diff(offsets)
    impossible = np.isneginf(log_ratio)
    total = np.cumsum(np.where(impossible, 0.0, log_ratio))
    lost = np.cumsum(impossible)
    before = np.repeat(np.where(starts > 0, total[starts - 1], 0.0), lengths)
    lost_before = np.repeat(np.where(starts > 0, lost[starts - 1], 0), lengths)
    return np.where(lost > lost_before, -np.inf, total - before)


@dataclass(frozen=True, slots=True)
class SumOfMeans:
    """Mean over trajectories of one number each.

    Attributes
    ----------
    terms : ndarray of shape (N,)
        The numbers.
    """

    terms: Array

    def __call__(self, counts: Array) -> Array:
        """Return the estimate (B,) for each row of counts (B, N)."""
        return counts @ self.terms / counts.sum(axis=1)


@dataclass(frozen=True, slots=True)
class SumOfRatios:
    """Sum over steps of weighted means over trajectories.

    Attributes
    ----------
    gains : sparse array of shape (N, n_columns)
        Weighted rewards.
    weights : sparse array of shape (N, n_columns)
        Weights of trajectories at the steps that they have.
    ended : sparse array of shape (N, n_columns)
        Last weight of each trajectory in the column after its last one: it stays.
    decay : ndarray of shape (n_columns,)
        Unit of ended weights in the column before, in that of this one.
    scale : ndarray of shape (n_columns,)
        Unit of ended weights in that of weights.
    """

    gains: Any
    weights: Any
    ended: Any
    decay: Array
    scale: Array

    def __call__(self, counts: Array) -> Array:
        """Return the estimate (B,), NaN without weight, for each of counts (B, N)."""
        gains, weights = counts @ self.gains, counts @ self.weights
        ended = counts @ self.ended
        gone = np.zeros(len(counts))
        # Between changes of the unit, which are few, what has ended adds up.
        starts = np.flatnonzero(np.r_[True, self.decay[1:] != 1.0])
        for start, stop in pairwise([*starts, len(self.decay)]):
            part = ended[:, start:stop]
            part[:, 0] += gone * self.decay[start]
            np.cumsum(part, axis=1, out=part)
            gone = part[:, -1]
        whole = weights + ended * self.scale
        # Where no weight is left, nothing is known of what would follow.
        known = whole > 0.0
        total = np.divide(gains, whole, out=np.zeros_like(gains), where=known)
        return np.where(known[:, 0], total.sum(axis=1), np.nan)


def per_trajectory(log_weight: Array, returns: Array, *, normalized: bool) -> Any:
    """Return the estimator of whole trajectories.

    Parameters
    ----------
    log_weight, returns : (N,) arrays
    normalized : bool
        Divide by the sum of the weights instead of their number.
    """
    n = len(returns)
    if not normalized:
        return SumOfMeans(np.exp(log_weight) * returns)
    weight = np.exp(log_weight - log_weight.max())
    column, rows = np.zeros(n, np.int64), np.arange(n + 1)
    return SumOfRatios(
        csr_array((weight * returns, column, rows), shape=(n, 1)),
        csr_array((weight, column, rows), shape=(n, 1)),
        csr_array((n, 1)),
        np.ones(1),
        np.ones(1),
    )


def per_decision(
    log_weight: Array,
    rewards: Array,
    tail: Array,
    offsets: Integers,
    *,
    gamma: float,
    normalized: bool,
) -> Any:
    """Return the estimator of single steps, each weighted by what came before it.

    Parameters
    ----------
    log_weight : (n,) array
        Up to each step.
    rewards : (n,) array
    tail : (N,) array
        Rewards after the last step, of the same weight as it.
    offsets : (N + 1,) array
    gamma : float
    normalized : bool
        Divide each step by the sum of the weights instead of their number.
    """
    starts, lengths, n = offsets[:-1], np.diff(offsets), len(tail)
    step = np.arange(len(rewards)) - np.repeat(starts, lengths)
    discount = gamma ** np.arange(lengths.max() + 1.0)
    last = log_weight[offsets[1:] - 1]
    if not normalized:
        terms = np.add.reduceat(np.exp(log_weight) * discount[step] * rewards, starts)
        return SumOfMeans(terms + np.exp(last) * discount[lengths] * tail)
    # Each column has a unit, its largest weight, and what has ended has another one, so
    # that no weight overflows and the largest never vanishes.
    width = len(discount)
    ended_unit = np.maximum.accumulate(_largest(lengths, last, width))
    unit = np.maximum(_largest(step, log_weight, width), ended_unit)
    weight = _relative(log_weight, unit[step])
    gains = weight * discount[step] * rewards
    final = _relative(last, unit[lengths]) * discount[lengths] * tail
    row, shape = np.arange(n + 1), (n, width)
    return SumOfRatios(
        csr_array((gains, step, offsets), shape=shape)
        + csr_array((final, lengths, row), shape=shape),
        csr_array((weight, step, offsets), shape=shape),
        csr_array((_relative(last, ended_unit[lengths]), lengths, row), shape=shape),
        np.where(
            np.isfinite(ended_unit),
            _relative(np.r_[-np.inf, ended_unit[:-1]], ended_unit),
            1.0,
        ),
        _relative(ended_unit, unit),
    )


def _largest(column: Integers, values: Array, width: int) -> Array:
    """Return the largest value (width,) of each column, minus infinity without any."""
    found = np.full(width, -np.inf)
    np.maximum.at(found, column, values)
    return found


def _relative(log_weight: Array, log_unit: Array) -> Array:
    """Return weights in a unit; none where the unit is none."""
    known = np.isfinite(log_unit)
    return np.where(known, np.exp(log_weight - np.where(known, log_unit, 0.0)), 0.0)
