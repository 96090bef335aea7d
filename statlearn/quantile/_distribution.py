"""The distribution that a grid of quantiles stands for, one for each row.

Its quantile function is linear between the levels. Beyond them it is linear in normal
scores, by the two quantiles at each end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from statlearn.utils._grids import FloatArray
from statlearn.utils._levels import SAME_LEVEL

Array = NDArray[np.float64]
Counts = NDArray[np.intp]


def grid_cdf(grid: FloatArray, levels: Array, values: Array) -> Array:
    """Return the distribution functions of rows at values.

    Linear between quantiles, and in normal scores beyond them.

    Parameters
    ----------
    grid : ndarray of shape (n, q)
        Quantiles of two levels or more; each row is put in order first.
    levels : ndarray of shape (q,)
    values : ndarray of shape (v,), (n, v) or (1, v)
        Values for all rows, or for each row its own.

    Returns
    -------
    shares : ndarray of shape (n, v)
        P(Y <= value); above equal quantiles that of the highest level.
    """
    ordered = np.sort(np.asarray(grid, dtype=np.float64), axis=-1)
    wanted = np.broadcast_to(values, (len(ordered), np.shape(values)[-1]))
    return cdf_between(ordered, levels, wanted, count_not_above(ordered, wanted))


def cdf_between(grid: Array, levels: Array, values: Array, count: Counts) -> Array:
    """Return distribution functions at values whose place in the grid is known.

    Parameters
    ----------
    grid : ndarray of shape (n, q)
        Ordered quantiles of two levels or more.
    levels : ndarray of shape (q,)
    values : ndarray of shape (n, v)
    count : ndarray of shape (n, v)
        How many quantiles of the row come before the value; at equal quantiles it
        says which of their levels is meant.

    Returns
    -------
    shares : ndarray of shape (n, v)
    """
    last = len(levels) - 1
    below = np.clip(count - 1, 0, last - 1)
    low = np.take_along_axis(grid, below, axis=1)
    high = np.take_along_axis(grid, below + 1, axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = (values - low) / (high - low)
    # An infinite gap: all of its mass lies at -inf, or at its other end.
    far = np.isinf(low) & (low < 0.0)
    share[far] = np.where(np.isinf(high[far]), 0.5, 1.0)
    # Nothing lies between equal quantiles, and the count says on which side we are.
    share[high <= low] = 0.0
    share[count == last + 1] = 1.0
    np.clip(share, 0.0, 1.0, out=share)
    found = levels[below] + share * (levels[below + 1] - levels[below])
    for outside, end, inner in (
        (count == 0, 0, 1),
        (count == last + 1, last, last - 1),
    ):
        rows, _ = np.nonzero(outside)
        if len(rows):
            tail = _tail_cdf(grid[rows], levels, values[outside], end, inner)
            # Next to the end rounding may take it to the other side of its level.
            limit = np.minimum if end == 0 else np.maximum
            found[outside] = limit(tail, levels[end])
    found[values == np.inf] = 1.0
    return found


def grid_sample(
    grid: FloatArray, levels: Array, n_draws: int, rng: np.random.Generator
) -> Array:
    """Draw from the distributions of rows: their quantiles at uniform levels.

    Parameters
    ----------
    grid : ndarray of shape (n, q)
        Quantiles of two levels or more; each row is put in order first.
    levels : ndarray of shape (q,)
    n_draws : int
    rng : numpy.random.Generator

    Returns
    -------
    draws : ndarray of shape (n, n_draws)
        Infinite where the quantile of the level drawn is.
    """
    ordered = np.sort(np.asarray(grid, dtype=np.float64), axis=-1)
    level = rng.uniform(size=(len(ordered), n_draws))
    lower, upper, share = place_levels(levels, level)
    low = np.take_along_axis(ordered, lower, axis=1)
    high = np.take_along_axis(ordered, upper, axis=1)
    found = between(low, high, share)
    last = len(levels) - 1
    for outside, end, inner in _tails(level < levels[0], level > levels[-1], last):
        rows, _ = np.nonzero(outside)
        found[outside] = _tail_quantile(
            ordered[rows], levels, level[outside], end, inner
        )
    return found


def place_levels(levels: Array, wanted: Array) -> tuple[Counts, Counts, Array]:
    """Return where levels lie: their neighbours, and the share of the way up."""
    lower = np.clip(
        np.searchsorted(levels, wanted + SAME_LEVEL) - 1, 0, max(len(levels) - 2, 0)
    )
    upper = np.minimum(lower + 1, len(levels) - 1)
    ahead = wanted - levels[lower]
    gap = np.where(upper > lower, levels[upper] - levels[lower], 1.0)
    share = np.clip(ahead / gap, 0.0, 1.0)
    share[np.abs(ahead) < SAME_LEVEL] = 0.0
    share[np.abs(gap - ahead) < SAME_LEVEL] = 1.0
    return lower, upper, share


def between(low: FloatArray, high: FloatArray, share: FloatArray) -> FloatArray:
    """Return low + share (high - low), infinite next to an infinite end (..., r)."""
    with np.errstate(invalid="ignore"):
        found = np.where(share >= 1.0, high, low + share * (high - low))
    infinite = ~(np.isfinite(low) & np.isfinite(high))
    if infinite.any():
        share = np.broadcast_to(share, found.shape)[infinite]
        low, high = low[infinite], high[infinite]
        nearer = np.where(share <= 0.5, low, high)
        at_end = (share <= 0.0) | (share >= 1.0) | (np.isinf(low) & np.isinf(high))
        with np.errstate(invalid="ignore"):
            found[infinite] = np.where(at_end, nearer, low + high)
    return found


def _tails(
    below: NDArray[np.bool_], above: NDArray[np.bool_], last: int
) -> tuple[tuple[NDArray[np.bool_], int, int], ...]:
    """Return what lies beyond each end of a grid, with the two positions there."""
    return (below, 0, 1), (above, last, last - 1)


def _tail_cdf(grid: Array, levels: Array, values: Array, end: int, inner: int) -> Array:
    """Return shares (k,) at values (k,) beyond an end of ordered rows (k, q)."""
    edge, scores = grid[:, end], ndtri(levels)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gap, ahead = grid[:, inner] - edge, values - edge
        slope = (scores[inner] - scores[end]) / gap
        shares = ndtr(scores[end] + ahead * slope)
    # Equal quantiles at the end: all the rest lies on them; an infinite gap: beyond.
    shares = np.where(np.isinf(gap) | (ahead == 0.0), levels[end], shares)
    flat = (gap == 0.0) | np.isnan(gap) | np.isinf(edge)
    shares = np.where(flat, 0.0 if end == 0 else 1.0, shares)
    return np.where((ahead == 0.0) & (end == 0), levels[end], shares)


def _tail_quantile(
    grid: Array, levels: Array, wanted: Array, end: int, inner: int
) -> Array:
    """Return quantiles (k,) at levels (k,) beyond an end of ordered rows (k, q)."""
    edge = grid[:, end]
    scores = ndtri(levels)
    with np.errstate(invalid="ignore"):
        slope = (grid[:, inner] - edge) / (scores[inner] - scores[end])
        found = edge + (ndtri(wanted) - scores[end]) * slope
    return np.where((grid[:, inner] == edge) | np.isinf(edge), edge, found)


def count_not_above(grid: Array, values: Array) -> Counts:
    """Return how many of the ordered quantiles (n, q) are <= values (n, v)."""
    low = np.zeros(values.shape, dtype=np.intp)
    high = np.full(values.shape, grid.shape[1], dtype=np.intp)
    for _ in range(grid.shape[1].bit_length()):
        middle = (low + high) // 2
        probe = np.minimum(middle, grid.shape[1] - 1)
        passed = (np.take_along_axis(grid, probe, axis=1) <= values) & (middle < high)
        low = np.where(passed, middle + 1, low)
        high = np.where(passed, high, middle)
    return low
