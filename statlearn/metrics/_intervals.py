"""How good intervals are: their score, their coverage and their length."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.metrics._quantiles import mean_of, pinball_blocks, read_weight
from statlearn.utils._grids import FloatArray, read_column, read_rows
from statlearn.utils._numbers import read_coverage

Array = NDArray[np.float64]

# What `read_rows` takes for the levels of an interval: it has two ends.
_ENDS = np.array([0.0, 1.0])


def interval_score(
    y_true: Any,
    interval: Any,
    coverage: float,
    *,
    sample_weight: Any = None,
    average: bool = True,
) -> Any:
    r"""Return the score of central intervals, also called Winkler score.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, 1)
        Targets.
    interval : array-like of shape (n, 2)
        Lower and upper ends, as of ``predict_interval``; infinite ones are allowed, and
        have an infinite score.
    coverage : float
        Share in (0, 1) of targets that the intervals should hold.
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
        If a value is missing, shapes disagree, or the coverage is no such share.

    See Also
    --------
    weighted_interval_score : A mean of such scores over coverages.
    interval_coverage, interval_length : Its two aims on their own.
    scoringrules.interval_score : The same from lower and upper ends.

    Notes
    -----
    With :math:`\alpha` one minus the coverage,

    .. math:: u - l + \frac{2}{\alpha} (l - y)_+ + \frac{2}{\alpha} (y - u)_+
              = \frac{2}{\alpha} \bigl( \psi_{\alpha/2}(y - l)
              + \psi_{1-\alpha/2}(y - u) \bigr),

    so ends in the wrong order have a score as well, that of two quantiles.

    References
    ----------
    Tilmann Gneiting, Adrian E. Raftery. Strictly Proper Scoring Rules, Prediction, and
    Estimation. Journal of the American Statistical Association 102, 2007.

    Examples
    --------
    >>> from statlearn.metrics import interval_score
    >>> round(interval_score([1.0, 4.0], [[0.0, 2.0], [1.0, 3.0]], 0.5), 3)
    4.0
    """
    caller = "interval_score"
    miss = 1.0 - read_coverage(coverage, caller)
    ends = np.array([miss / 2.0, 1.0 - miss / 2.0])
    grid = read_rows(interval, caller, ends, name="interval")
    y = read_column(y_true, len(grid), caller)
    weight = read_weight(sample_weight if average else None, len(grid), caller)
    scores = np.empty(len(y))
    for rows, loss in pinball_blocks(y, grid, ends):
        scores[rows] = 2.0 / miss * (loss[:, 0] + loss[:, 1])
    return mean_of(scores, weight) if average else scores


def interval_coverage(
    y_true: Any, interval: Any, *, sample_weight: Any = None
) -> float:
    r"""Return the share of targets inside of their intervals.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, 1)
        Targets.
    interval : array-like of shape (n, 2)
        Lower and upper ends, as of ``predict_interval``; they belong to the interval,
        and may be infinite.
    sample_weight : array-like of shape (n,), default=None
        Numbers >= 0, how much each row counts.

    Returns
    -------
    coverage : float
        Within [0, 1].

    Raises
    ------
    ValueError
        If a value is missing, or shapes disagree.

    See Also
    --------
    interval_length : What the coverage costs.
    level_calibration_error : The same idea for each level.
    mapie.metrics.regression.regression_coverage_score : The like in MAPIE.

    Notes
    -----
    Of n targets that intervals hold with probability p each, the share varies with the
    standard deviation :math:`\sqrt{p (1 - p) / n}`.

    Examples
    --------
    >>> from statlearn.metrics import interval_coverage
    >>> interval_coverage([1.0, 4.0], [[0.0, 2.0], [1.0, 3.0]])
    0.5
    """
    caller = "interval_coverage"
    ends = _read_interval(interval, caller)
    y = read_column(y_true, len(ends), caller)
    weight = read_weight(sample_weight, len(ends), caller)
    return mean_of(((ends[:, 0] <= y) & (y <= ends[:, 1])).astype(float), weight)


def interval_length(
    interval: Any, *, sample_weight: Any = None, average: bool = True
) -> Any:
    """Return the mean length of intervals.

    Parameters
    ----------
    interval : array-like of shape (n, 2)
        Lower and upper ends, as of ``predict_interval``.
    sample_weight : array-like of shape (n,), default=None
        Numbers >= 0, how much each row counts; those of weight zero are left out.
    average : bool, default=True
        Whether to return the mean over rows; else one number for each row, and
        `sample_weight` has no effect.

    Returns
    -------
    length : float or ndarray of shape (n,)
        Infinite if the interval is, or any that the mean is over: calibration gives
        such intervals where it has too few rows. Negative for ends in the wrong order.

    Raises
    ------
    ValueError
        If a value is missing, a lower end is +inf or an upper one -inf.

    See Also
    --------
    interval_coverage : What the length is spent for.
    interval_score : Both in one number.

    Examples
    --------
    >>> from statlearn.metrics import interval_length
    >>> interval_length([[0.0, 2.0], [1.0, 4.0]])
    2.5
    >>> interval_length([[0.0, 2.0], [1.0, float("inf")]], average=False)
    array([ 2., inf])
    """
    caller = "interval_length"
    ends = _read_interval(interval, caller)
    weight = read_weight(sample_weight if average else None, len(ends), caller)
    lengths = ends[:, 1] - ends[:, 0]
    return mean_of(lengths, weight) if average else lengths


def _read_interval(interval: Any, caller: str) -> FloatArray:
    """Return ends (n, 2) of intervals that have a length, finite or not."""
    ends = read_rows(interval, caller, _ENDS, name="interval")
    outside = (ends[:, 0] == np.inf) | (ends[:, 1] == -np.inf)
    if outside.any():
        raise ValueError(
            f"The 'interval' of {caller} must have lower ends below +inf and upper "
            f"ends above -inf. Got others in {outside.sum()} rows; correct or drop "
            f"these rows."
        )
    return ends
