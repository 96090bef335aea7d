"""Whether quantiles are honest, and in order."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlearn.metrics._quantiles import MULTIOUTPUT, mean_of, read_all, read_weight
from statlearn.utils._choices import one_of
from statlearn.utils._grids import read_rows


def level_calibration_error(
    y_true: Any,
    y_pred: Any,
    levels: Any,
    *,
    sample_weight: Any = None,
    multioutput: str = "uniform_average",
) -> Any:
    r"""Return how far the shares of targets below quantiles are from their levels.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, 1)
        Targets.
    y_pred : array-like of shape (n, q)
        Predicted quantiles; infinite ones are allowed.
    levels : array-like of shape (q,)
        Their levels, strictly increasing in (0, 1).
    sample_weight : array-like of shape (n,), default=None
        Numbers >= 0, how much each row counts; those of weight zero are left out.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Whether to return the mean over levels of the absolute differences, or the
        difference itself for each level.

    Returns
    -------
    error : float or ndarray of shape (q,)
        Within [0, 1]; a difference is positive if too many targets lie below.

    Raises
    ------
    ValueError
        If a value is missing, or shapes disagree.

    See Also
    --------
    interval_coverage : The share of targets inside of intervals.
    statlearn.quantile.QuantileCalibrationDisplay : The shares in a picture.
    sklearn.calibration.calibration_curve : The like for probabilities of classes.

    Notes
    -----
    With weights :math:`s_i` and q levels,

    .. math:: \frac{1}{q} \sum_k \Bigl| \frac{\sum_i s_i 1\{y_i \le q_{ik}\}}
              {\sum_i s_i} - \tau_k \Bigr|.

    Even honest quantiles are not at zero in a sample of n: each difference has the
    standard deviation :math:`\sqrt{\tau_k (1 - \tau_k) / n}`.

    Examples
    --------
    >>> from statlearn.metrics import level_calibration_error
    >>> y, grid = [0.0, 1.0, 2.0, 3.0], [[0.0, 1.0, 1.5]] * 4
    >>> level_calibration_error(y, grid, [0.25, 0.5, 0.75])
    0.08333333333333333
    >>> level_calibration_error(y, grid, [0.25, 0.5, 0.75], multioutput="raw_values")
    array([ 0.  ,  0.  , -0.25])
    """
    caller = "level_calibration_error"
    one_of(multioutput, MULTIOUTPUT, "multioutput", caller)
    y, grid, known, weight = read_all(y_true, y_pred, levels, sample_weight, caller)
    difference = weight @ (y[:, np.newaxis] <= grid) / weight.sum() - known
    if multioutput == "raw_values":
        return difference
    return float(np.abs(difference).mean())


def crossing_rate(
    y_pred: Any, *, sample_weight: Any = None, average: bool = True
) -> Any:
    """Return the share of neighbouring quantiles that are in the wrong order.

    Parameters
    ----------
    y_pred : array-like of shape (n, q)
        Predicted quantiles, in the order of their levels.
    sample_weight : array-like of shape (n,), default=None
        Numbers >= 0, how much each row counts.
    average : bool, default=True
        Whether to return the mean over rows; else one number for each row, and
        `sample_weight` has no effect.

    Returns
    -------
    rate : float or ndarray of shape (n,)
        Within [0, 1]: pairs in which the higher level has the lower quantile, out of
        q - 1; 0 if there is one level only. Equal quantiles do not cross.

    Raises
    ------
    ValueError
        If a quantile is missing, or shapes disagree.

    See Also
    --------
    statlearn.quantile.sort_quantiles : Puts rows in order.

    Examples
    --------
    >>> from statlearn.metrics import crossing_rate
    >>> grid = [[0.0, 1.0, 2.0], [0.0, 3.0, 2.0]]
    >>> crossing_rate(grid)
    0.25
    >>> crossing_rate(grid, average=False)
    array([0. , 0.5])
    """
    caller = "crossing_rate"
    grid = read_rows(y_pred, caller, name="y_pred")
    weight = read_weight(sample_weight if average else None, len(grid), caller)
    falls = (grid[:, 1:] < grid[:, :-1]).sum(axis=1)
    rates = falls / max(grid.shape[1] - 1, 1)
    return mean_of(rates, weight) if average else rates
