"""Maps that put the quantiles of each row in order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from statlearn.utils._grids import FloatArray, read_grid
from statlearn.utils._validation import as_numbers

Array = NDArray[np.float64]

# Rows of a block, so that what is computed from it stays in the cache.
_BLOCK = 2048

# Up to so many levels it is faster to look at all pairs of them, many rows at once.
_MAX_FEW = 40


def sort_quantiles(grid: Any) -> FloatArray:
    r"""Sort the quantiles of each row.

    Parameters
    ----------
    grid : array-like of shape (..., q)
        Quantiles in the order of their levels; infinite ones are allowed.

    Returns
    -------
    grid : ndarray of shape (..., q)
        A new array of the same floating type, none of whose rows falls.

    Raises
    ------
    ValueError
        If a quantile is missing.

    See Also
    --------
    isotonic_quantiles : Averages the quantiles that cross.
    statlearn.metrics.crossing_rate : How many cross.
    numpy.sort : The same for any array.

    Notes
    -----
    Whatever the target, the sum over levels of the pinball loss falls by

    .. math:: \sum_k \tau_k (q_{(k)} - q_k) \ge 0,

    with :math:`q_{(k)}` the sorted quantiles; it stays the same only for rows that do
    not cross. O(q log q) time for each row.

    References
    ----------
    Victor Chernozhukov, Iván Fernández-Val, Alfred Galichon. Quantile and Probability
    Curves Without Crossing. Econometrica 78, 2010.

    Examples
    --------
    >>> from statlearn.quantile import sort_quantiles
    >>> sort_quantiles([[0.0, 0.5, 0.3, 1.2, 1.0]])
    array([[0. , 0.3, 0.5, 1. , 1.2]])
    """
    return np.sort(read_grid(grid, "sort_quantiles"), axis=-1)


def isotonic_quantiles(grid: Any, level_weight: Any = None) -> FloatArray:
    r"""Replace the quantiles of each row by the nearest ones that do not fall.

    Parameters
    ----------
    grid : array-like of shape (..., q)
        Quantiles in the order of their levels; infinite ones are allowed.
    level_weight : array-like of shape (q,), default=None
        Numbers > 0, how much each level counts in the distance; by default all the
        same.

    Returns
    -------
    grid : ndarray of shape (..., q)
        A new array of the same floating type, none of whose rows falls. Rows that do
        not cross are the same to the last bit.

    Raises
    ------
    ValueError
        If a quantile is missing, a row has +inf before -inf, or the weights are no
        such numbers.

    See Also
    --------
    sort_quantiles : Keeps the values and changes their places.
    scipy.optimize.isotonic_regression : The same for one row.

    Notes
    -----
    With weights :math:`v_k` of levels, the row is the solution of

    .. math:: \min_{p_1 \le \dots \le p_q} \sum_k v_k (p_k - q_k)^2, \quad
              p_k = \max_{i \le k} \min_{j \ge k}
              \frac{\sum_{l=i}^{j} v_l q_l}{\sum_{l=i}^{j} v_l}.

    With equal weights the sum over levels of the pinball loss never rises, whatever
    the target; other weights give no such promise. Infinite quantiles are limits of
    large ones: all that follows +inf is +inf, all that precedes -inf is -inf.

    Only rows that cross are worked on, in float64. Up to 40 levels it takes O(q^2) time
    for each row, by the formula, many rows at once; above, O(q) by pooling adjacent
    violators, many rows in one pass and thus exact to 1e-12 of the range of a row.
    Memory besides the result is that of 2048 rows, half of q times at most.

    References
    ----------
    R. E. Barlow, D. J. Bartholomew, J. M. Bremner, H. D. Brunk. Statistical Inference
    under Order Restrictions. Wiley, 1972.

    Examples
    --------
    >>> from statlearn.quantile import isotonic_quantiles
    >>> isotonic_quantiles([[0.0, 0.5, 0.3, 1.2, 1.0]])
    array([[0. , 0.4, 0.4, 1.1, 1.1]])
    """
    caller = "isotonic_quantiles"
    found = read_grid(grid, caller)
    weight = _read_level_weight(level_weight, found.shape[-1], caller)
    rows = found.reshape(-1, found.shape[-1])
    out = rows.copy()
    project: Callable[[Array], Array] = partial(_project_many, weight=weight)
    if rows.shape[1] <= _MAX_FEW:
        project = _FewLevels(weight, min(_BLOCK, len(rows)))
    for start in range(0, len(rows), _BLOCK):
        columns = np.ascontiguousarray(rows[start : start + _BLOCK].T)  # (q, n)
        crossing = (columns[1:] < columns[:-1]).any(axis=0)
        if crossing.any():
            falling = columns if crossing.all() else columns[:, crossing]
            finite, limits = _set_limits(falling.astype(np.float64), caller)
            nearest = project(finite)
            if limits is not None:
                nearest = np.where(np.isinf(limits), limits, nearest)
            out[start : start + _BLOCK][crossing] = nearest.T
    return out.reshape(found.shape)


def minmax_quantiles(grid: Any) -> FloatArray:
    """Push the quantiles of each row outwards from the middle one.

    Upwards from the middle every quantile is raised to the highest so far, downwards
    lowered to the lowest so far; the middle one, at position q // 2, stays. Intervals
    only get wider.

    Parameters
    ----------
    grid : array-like of shape (..., q)
        Quantiles in the order of their levels; infinite ones are allowed.

    Returns
    -------
    grid : ndarray of shape (..., q)
        A new array of the same floating type, none of whose rows falls.

    Raises
    ------
    ValueError
        If a quantile is missing.

    See Also
    --------
    sort_quantiles : A map that never makes the pinball loss worse, as this one can.
    numpy.maximum.accumulate : The same in one direction.

    Examples
    --------
    >>> from statlearn.quantile import minmax_quantiles
    >>> minmax_quantiles([[0.0, 0.5, 0.3, 1.2, 1.0]])
    array([[0. , 0.3, 0.3, 1.2, 1.2]])
    """
    out = read_grid(grid, "minmax_quantiles").copy()
    middle = out.shape[-1] // 2
    upper, lower = out[..., middle:], out[..., middle::-1]
    np.maximum.accumulate(upper, axis=-1, out=upper)
    np.minimum.accumulate(lower, axis=-1, out=lower)
    return out


_MAPS = {
    "sort": sort_quantiles,
    "isotonic": isotonic_quantiles,
    "minmax": minmax_quantiles,
}


def monotone_rows(grid: FloatArray, how: str | None) -> FloatArray:
    """Put the quantiles of each row in order by the map of a name.

    Parameters
    ----------
    grid : ndarray of shape (..., q)
    how : {"sort", "isotonic", "minmax"} or None
        None returns the grid itself.

    Returns
    -------
    grid : ndarray of shape (..., q)
    """
    if how is None:
        return grid
    if how not in _MAPS:
        raise ValueError(
            f"The 'monotone' parameter must be one of {list(_MAPS)} or None. Got "
            f"{how!r}; pass one of them."
        )
    return _MAPS[how](grid)


def _read_level_weight(level_weight: Any, q: int, caller: str) -> Array:
    if level_weight is None:
        return np.ones(q)
    found = as_numbers(level_weight)
    good = found.shape == (q,) and np.isfinite(found).all()
    if not (good and found.min() > 0.0):
        raise ValueError(
            f"The 'level_weight' of {caller} must hold one finite number > 0 for each "
            f"of {q} levels. Got {level_weight!r}; correct it or pass None."
        )
    return found


def _set_limits(columns: Array, caller: str) -> tuple[Array, Array | None]:
    """Return quantiles (q, n) with finite stand-ins, and where limits are infinite.

    The stand-ins are the lowest and highest finite quantile of the row, at its ends:
    they do not move what lies between them.
    """
    if np.isfinite(columns).all():
        return columns, None
    up = np.maximum.accumulate(columns == np.inf)
    down = np.maximum.accumulate(columns[::-1] == -np.inf)[::-1]
    if (up & down).any():
        raise ValueError(
            f"The 'grid' of {caller} must not have +inf before -inf in a row. Got it "
            f"in {(up & down).any(axis=0).sum()} rows; use sort_quantiles, or mend "
            f"these rows."
        )
    middle = ~(up | down)
    lowest = np.where(middle, columns, np.inf).min(axis=0)
    highest = np.where(middle, columns, -np.inf).max(axis=0)
    empty = ~middle.any(axis=0)
    lowest[empty], highest[empty] = 0.0, 0.0
    limits = np.where(up, np.inf, np.where(down, -np.inf, 0.0))
    return np.where(up, highest, np.where(down, lowest, columns)), limits


class _FewLevels:
    """Projections by the max-min formula, in memory that all blocks of rows share.

    Attributes
    ----------
    shares : list of (q - d, 1) arrays or floats, d = 0, ..., q - 1
        What sums of d + 1 weighted neighbours are multiplied by, to become means.
    means : list of (q - d, n_rows) arrays
    totals, lowest, out : (q, n_rows) arrays
    """

    def __init__(self, weight: Array, n_rows: int) -> None:
        q, ends = len(weight), np.concatenate([[0.0], np.cumsum(weight)])
        # A product with one number takes half as long as one with a column of them.
        equal = bool((weight == 1.0).all())
        self.weight: Any = 1.0 if equal else weight[:, np.newaxis]
        self.shares = [
            1.0 / (d + 1) if equal else (1.0 / (ends[d + 1 :] - ends[: q - d]))[:, None]
            for d in range(q)
        ]
        self.means = [np.empty((q - d, n_rows)) for d in range(q)]
        self.totals, self.lowest, self.out = np.empty((3, q, n_rows))

    def __call__(self, columns: Array) -> Array:
        """Return projections (q, n), good until the next call.

        All means over d + 1 neighbours are one array. From the longest to the shortest,
        `lowest[i]` is the least mean that begins at i and reaches position i + d.
        """
        q, n = columns.shape
        means = [each[:, :n] for each in self.means]
        totals, lowest, out = self.totals[:, :n], self.lowest[:, :n], self.out[:, :n]
        weighted = columns * self.weight
        totals[:], means[0][:] = weighted, columns
        for d in range(1, q):
            some = totals[: q - d]
            some += weighted[d:]
            np.multiply(some, self.shares[d], out=means[d])
        lowest[:], out[:] = np.inf, -np.inf
        for d in range(q - 1, -1, -1):
            some = lowest[: q - d]
            np.minimum(some, means[d], out=some)
            np.maximum(out[d:], some, out=out[d:])
        return out


def _project_many(columns: Array, weight: Array) -> Array:
    """Return projections (q, n) by pooling adjacent violators of all rows at once.

    Rows, each scaled to [0, 1], stand one behind the other on steps of height two, so
    that no pool reaches over the end of a row.
    """
    q, n = columns.shape
    lowest = columns.min(axis=0)
    height = columns.max(axis=0) - lowest
    height[height == 0.0] = 1.0
    steps = (columns - lowest) / height + 2.0 * np.arange(n)
    values, weights = columns.T.ravel(), np.tile(weight, n)
    pools = isotonic_regression(steps.T.ravel(), weights=weights).blocks
    size, total = np.diff(pools), np.add.reduceat(values * weights, pools[:-1])
    means = total / np.add.reduceat(weights, pools[:-1])
    means = np.where(size == 1, values[pools[:-1]], means)
    # Rounding on the steps may leave neighbours that differ in the last digits.
    return np.maximum.accumulate(np.repeat(means, size).reshape(n, q), axis=1).T
