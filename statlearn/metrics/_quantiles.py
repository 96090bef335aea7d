"""Losses of quantiles at many levels, and what all metrics of quantiles read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._choices import one_of
from statlearn.utils._grids import FloatArray, read_column, read_rows
from statlearn.utils._levels import read_levels
from statlearn.utils._validation import as_numbers, read_sample_weight, weight_problem

Array = NDArray[np.float64]

# Numbers of a block of rows, so that what is computed from it stays in the cache.
_BLOCK = 32_768

# What a metric of all levels returns: one number, or one for each level.
MULTIOUTPUT = ("uniform_average", "raw_values")


def pinball_loss(
    y_true: Any,
    y_pred: Any,
    levels: Any,
    *,
    sample_weight: Any = None,
    level_weight: Any = None,
    multioutput: str = "uniform_average",
) -> Any:
    r"""Return the mean pinball loss of quantiles at many levels.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, 1)
        Targets.
    y_pred : array-like of shape (n, q)
        Predicted quantiles. An infinite one has an infinite loss.
    levels : array-like of shape (q,)
        Their levels, strictly increasing in (0, 1).
    sample_weight : array-like of shape (n,), default=None
        Numbers >= 0, how much each row counts; those of weight zero are left out.
    level_weight : array-like of shape (q,), default=None
        Numbers >= 0, how much each level counts in the mean over levels.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Whether to return the mean over levels, or one number for each.

    Returns
    -------
    loss : float or ndarray of shape (q,)
        At least 0, in units of `y_true`.

    Raises
    ------
    ValueError
        If a value is missing, or shapes disagree.

    See Also
    --------
    weighted_interval_score : Twice the same, on the scale of forecast hubs.
    sklearn.metrics.mean_pinball_loss : The loss at one level.

    Notes
    -----
    With weights :math:`s_i` of rows and :math:`v_k` of levels,

    .. math:: \frac{\sum_i s_i \sum_k v_k \psi_k(y_i - q_{ik})}
              {\sum_i s_i \sum_k v_k}, \quad
              \psi_k(e) = \max(\tau_k e, (\tau_k - 1) e).

    O(n q) time, O(n) memory besides the input.

    References
    ----------
    Roger Koenker, Gilbert Bassett. Regression Quantiles. Econometrica 46, 1978.

    Examples
    --------
    >>> from statlearn.metrics import pinball_loss
    >>> y, grid = [1.0, 4.0], [[0.0, 2.0], [3.0, 5.0]]
    >>> round(pinball_loss(y, grid, [0.25, 0.75]), 3)
    0.25
    >>> pinball_loss(y, grid, [0.25, 0.5], multioutput="raw_values")
    array([0.25, 0.5 ])
    """
    caller = "pinball_loss"
    one_of(multioutput, MULTIOUTPUT, "multioutput", caller)
    y, grid, known, weight = read_all(y_true, y_pred, levels, sample_weight, caller)
    counts = _read_level_weight(level_weight, known, caller)
    total = np.zeros(len(known))
    for rows, loss in pinball_blocks(y, grid, known):
        total += weight[rows] @ loss
    means = total / weight.sum()
    if multioutput == "raw_values":
        return means
    counted = counts > 0.0
    return float(counts[counted] @ means[counted] / counts.sum())


def weighted_interval_score(
    y_true: Any,
    y_pred: Any,
    levels: Any,
    *,
    scale: str = "mean",
    sample_weight: Any = None,
    average: bool = True,
) -> Any:
    r"""Return the weighted interval score (WIS) of quantiles.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, 1)
        Targets.
    y_pred : array-like of shape (n, q)
        Predicted quantiles. An infinite one has an infinite score.
    levels : array-like of shape (q,)
        Their levels, strictly increasing in (0, 1).
    scale : {"mean", "sum"}, default="mean"
        Twice the mean of the pinball losses over levels, as in epidemiology and on
        forecast hubs; or twice their sum, which grows with the number of levels.
    sample_weight : array-like of shape (n,), default=None
        Numbers >= 0, how much each row counts; those of weight zero are left out.
    average : bool, default=True
        Whether to return the mean over rows; else one number for each row, and
        `sample_weight` has no effect.

    Returns
    -------
    score : float or ndarray of shape (n,)
        At least 0, in units of `y_true`; the lower the better.

    Raises
    ------
    ValueError
        If a value is missing, or shapes disagree.

    See Also
    --------
    interval_score : The score of one interval.
    relative_wis : Its ratio to that of another forecast.
    scoringrules.weighted_interval_score : The same from lower and upper ends.

    Notes
    -----
    For levels that lie symmetrically about a median m, with central intervals
    :math:`[l_k, u_k]` of coverage :math:`1 - \alpha_k`, K in number,

    .. math:: \frac{1}{K + \frac{1}{2}} \Bigl( \frac{1}{2} |y - m| + \sum_{k=1}^K
              \frac{\alpha_k}{2} \mathrm{IS}_{\alpha_k}(l_k, u_k, y) \Bigr)
              = \frac{2}{2K + 1} \sum_{k=1}^{2K+1} \psi_k(y - q_k),

    and the right-hand side serves for other levels. "sum" leaves the factor
    :math:`1 / (2K + 1)` out. O(n q) time, O(n) memory besides the input.

    References
    ----------
    Johannes Bracher, Evan L. Ray, Tilmann Gneiting, Nicholas G. Reich. Evaluating
    Epidemic Forecasts in an Interval Format. PLOS Computational Biology 17, 2021.

    Examples
    --------
    >>> from statlearn.metrics import weighted_interval_score
    >>> y, grid = [1.0, 7.0], [[0.0, 2.0, 3.0], [3.0, 5.0, 6.0]]
    >>> levels = [0.25, 0.5, 0.75]
    >>> round(weighted_interval_score(y, grid, levels), 3)
    1.333
    >>> weighted_interval_score(y, grid, levels, scale="sum", average=False)
    array([2.5, 5.5])
    """
    caller = "weighted_interval_score"
    one_of(scale, ("mean", "sum"), "scale", caller)
    if not average:
        sample_weight = None
    y, grid, known, weight = read_all(y_true, y_pred, levels, sample_weight, caller)
    factor = 2.0 / len(known) if scale == "mean" else 2.0
    scores = np.empty(len(y))
    ones = np.ones(len(known))
    for rows, loss in pinball_blocks(y, grid, known):
        scores[rows] = loss @ ones
    scores *= factor
    return mean_of(scores, weight) if average else scores


def relative_wis(
    y_true: Any,
    y_pred: Any,
    y_pred_reference: Any,
    levels: Any,
    *,
    sample_weight: Any = None,
) -> float:
    r"""Return the weighted interval score over that of a reference forecast.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, 1)
        Targets.
    y_pred : array-like of shape (n, q)
        Predicted quantiles.
    y_pred_reference : array-like of shape (n, q)
        Quantiles of the reference, at the same rows and levels; finite where rows
        have weight.
    levels : array-like of shape (q,)
        Levels, strictly increasing in (0, 1).
    sample_weight : array-like of shape (n,), default=None
        Numbers >= 0, how much each row counts; those of weight zero are left out.

    Returns
    -------
    ratio : float
        Below 1 if the forecast is better than the reference.

    Raises
    ------
    ValueError
        If a value is missing, shapes disagree, or the score of the reference is zero
        or infinite.

    See Also
    --------
    weighted_interval_score : The score itself, whose scale cancels here.
    sklearn.metrics.d2_pinball_score : One minus such a ratio, for a constant reference.

    Examples
    --------
    >>> from statlearn.metrics import relative_wis
    >>> levels = [0.25, 0.5, 0.75]
    >>> relative_wis([2.0], [[1.0, 2.0, 3.0]], [[-2.0, 0.0, 2.0]], levels)
    0.25
    """
    scores = [
        weighted_interval_score(y_true, grid, levels, sample_weight=sample_weight)
        for grid in (y_pred, y_pred_reference)
    ]
    if not (scores[1] > 0.0 and np.isfinite(scores[1])):
        raise ValueError(
            f"The 'y_pred_reference' of relative_wis must have a finite score above "
            f"zero. Got {scores[1]}; choose another reference, or compare the scores "
            f"themselves."
        )
    return scores[0] / scores[1]


def read_weight(sample_weight: Any, n: int, caller: str) -> Array:
    """Return weights (n,), all ones if none are given."""
    if sample_weight is None:
        return np.ones(n)
    return read_sample_weight(sample_weight, np.empty((n, 1)), caller)


def mean_of(values: Array, weight: Array) -> float:
    """Return the weighted mean of values (n,); those of weight zero may be infinite."""
    counted = weight > 0.0
    return float(values[counted] @ weight[counted] / weight.sum())


def read_all(
    y_true: Any, y_pred: Any, levels: Any, sample_weight: Any, caller: str
) -> tuple[Array, FloatArray, Array, Array]:
    """Return y (n,), grid (n, q), levels (q,), weight (n,) of the rows that count."""
    known = read_levels(levels, caller)
    grid = read_rows(y_pred, caller, known, name="y_pred")
    y = read_column(y_true, len(grid), caller)
    weight = read_weight(sample_weight, len(grid), caller)
    counted = weight > 0.0
    if not counted.all():
        y, grid, weight = y[counted], grid[counted], weight[counted]
    return y, grid, known, weight


def _read_level_weight(level_weight: Any, levels: Array, caller: str) -> Array:
    if level_weight is None:
        return np.ones(len(levels))
    found = as_numbers(level_weight)
    if weight_problem(found, levels.shape) is not None:
        raise ValueError(
            f"The 'level_weight' of {caller} must hold one finite number >= 0 for each "
            f"of {len(levels)} levels, not all of them zero. Got {level_weight!r}; "
            f"correct it or pass None."
        )
    return found


def row_blocks(n: int, q: int) -> Iterator[slice]:
    """Yield slices of n rows of q numbers that stay in the cache."""
    step = max(1, _BLOCK // q)
    for start in range(0, n, step):
        yield slice(start, start + step)


def pinball_blocks(
    y: Array, grid: FloatArray, levels: Array
) -> Iterator[tuple[slice, Array]]:
    """Yield blocks of rows and their losses (rows, q)."""
    for rows in row_blocks(len(y), len(levels)):
        error = y[rows, None] - grid[rows]
        yield rows, np.maximum(levels * error, (levels - 1.0) * error)
