"""Conformal calibration of predicted quantiles and intervals, as functions on arrays.

What a model predicts for rows that it was not fitted to is compared with what came;
the ranks of these scores say how far its quantiles or intervals have to move.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.exceptions import SmallCalibrationWarning
from statlearn.quantile._calibration_rows import (
    CalibrationRows,
    read_predictions,
    read_rows,
    stack_ends,
)
from statlearn.quantile._calibrations import (
    GridCalibration,
    IntervalCalibration,
    and_more,
)
from statlearn.quantile._conformal_scores import Ends, smallest_calibration
from statlearn.utils._levels import find_level, read_levels
from statlearn.utils._numbers import read_coverage
from statlearn.utils._warn import warn

Array = NDArray[np.float64]


def calibrate_grid(
    grid: Any,
    y: Any,
    levels: Any,
    *,
    method: str = "split",
    folds: Any = None,
    sample_weight: Any = None,
    groups: Any = None,
) -> GridCalibration:
    r"""Learn how far each level of a grid of quantiles has to move.

    Each level is calibrated by itself, from one side: quantiles above the median so
    that at least their level lies below, those under it so that at most their level
    does. The median stays as it is. For intervals of given coverage
    :func:`calibrate_interval` is sharper.

    Parameters
    ----------
    grid : array-like of shape (n, q)
        Quantiles of calibration rows, from models that were not fitted to them.
    y : array-like of shape (n,)
        What came.
    levels : array-like of shape (q,)
        Quantile levels of the columns, strictly increasing in (0, 1).
    method : {"split", "cv+", "jackknife-minmax"}, default="split"
        One model that has seen none of the rows, or a model for each fold; see Notes.
    folds : array-like of int, shape (n,), default=None
        For "cv+" and "jackknife-minmax": the fold 0, ..., K - 1 in which each row was
        held out, so that ``grid`` holds predictions of the model without it.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows: counts, or density ratios under covariate shift. New rows
        then need one as well, on the same scale.
    groups : array-like of shape (n,), default=None
        Labels. Each group is calibrated by its own rows.

    Returns
    -------
    calibration : GridCalibration
        Its ``apply`` calibrates predictions for new rows.

    Raises
    ------
    ValueError
        For wrong shapes, missing values, bad levels, weights or folds.

    Warns
    -----
    SmallCalibrationWarning
        If rows are too few for a level, whose quantile is infinite then.

    See Also
    --------
    calibrate_interval : Intervals of given coverage.
    ConformalQuantileRegressor : The estimator that calls both.

    Notes
    -----
    With scores :math:`E_i = y_i - q_i`, a level :math:`\tau > 1/2` of a new row is

    .. math:: \hat q(x) + E_{(k)}, \qquad k = \lceil \tau (n + 1) \rceil,

    and infinite for k > n; levels under 1/2 are mirrored. If the rows are exchangeable,
    y lies below with probability of at least :math:`\tau`, on average over calibration
    samples. "cv+" takes the same rank among :math:`\hat q^{-f(i)}(x) + E_i`, with the
    model without the fold of row i, and may miss the level by as much again, which it
    rarely does. "jackknife-minmax" adds the offset to the largest prediction of all
    folds; it misses nothing and is wider. A level that is not calibrated is the median
    of its fold predictions.

    Weights :math:`w_i` replace the rank: the least score below which the share
    :math:`\tau` of :math:`\sum_i w_i + w(x)` lies.

    Calibration takes :math:`O(n q \log n)`, split predictions O(q) a row, and "cv+" at
    most :math:`O(q K \log n \log(n / K))` a row, by selection in sorted scores; memory
    is O(n q) and a bounded block besides input and output.

    References
    ----------
    Rasool Fakoor, Taesup Kim, Jonas Mueller, Alexander J. Smola, Ryan J. Tibshirani.
    Flexible Model Aggregation for Quantile Regression. JMLR, 2023.

    Ryan J. Tibshirani, Rina Foygel Barber, Emmanuel J. Candès, Aaditya Ramdas.
    Conformal Prediction Under Covariate Shift. NeurIPS, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.quantile import calibrate_grid
    >>> y = np.arange(1.0, 10.0)
    >>> grid = np.column_stack([y - 0.5, y, y + y / 10])
    >>> calibration = calibrate_grid(grid, y, [0.2, 0.5, 0.8])
    >>> calibration.offsets.round(3)
    array([ 0.5,  0. , -0.2])
    >>> calibration.apply([[0.0, 1.0, 2.0]]).round(3)
    array([[0.5, 1. , 1.8]])
    """
    caller = "calibrate_grid"
    levels = read_levels(levels, caller)
    values = read_predictions(grid, len(levels), "grid", caller)
    rows = read_rows(values, y, method, folds, sample_weight, groups, caller)
    scores = rows.y[:, np.newaxis] - values[rows.kept]
    return calibrate_grid_scores(scores, levels, rows, caller)


def calibrate_grid_scores(
    scores: Array, levels: Array, rows: CalibrationRows, caller: str
) -> GridCalibration:
    """Return the calibration by scores (n, q) of rows, targets minus quantiles."""
    signs = np.where(levels < 0.5, -1.0, 1.0)
    shares = np.maximum(levels, 1.0 - levels)
    median = find_level(levels, 0.5)
    if median is not None:
        shares[median] = np.nan
    found = rows.calibration(signs, shares, signs * scores)
    if not rows.weighted:
        _warn_of_few_rows(
            found["ends"],
            rows.labels,
            "level",
            levels,
            "leave these levels out",
            caller,
        )
    return GridCalibration(levels=levels, **found)


def calibrate_interval(
    lower: Any,
    upper: Any,
    y: Any,
    coverage: float,
    *,
    symmetric: bool = True,
    method: str = "split",
    folds: Any = None,
    sample_weight: Any = None,
    groups: Any = None,
) -> IntervalCalibration:
    r"""Learn how much wider or narrower intervals have to be for a given coverage.

    This is conformalized quantile regression. Intervals that cover too much shrink.

    Parameters
    ----------
    lower, upper : array-like of shape (n,)
        Ends for calibration rows, from models that were not fitted to them.
    y : array-like of shape (n,)
        What came.
    coverage : float
        Share of new rows that the intervals are to hold, in (0, 1).
    symmetric : bool, default=True
        Move both ends by the same amount. Otherwise each end by itself, so that as
        much is missed on either side; intervals are a little wider.
    method : {"split", "cv+", "jackknife-minmax"}, default="split"
        One model that has seen none of the rows, or a model for each fold; see Notes.
    folds : array-like of int, shape (n,), default=None
        For "cv+" and "jackknife-minmax": the fold 0, ..., K - 1 in which each row was
        held out.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows: counts, or density ratios under covariate shift. New rows
        then need one as well, on the same scale.
    groups : array-like of shape (n,), default=None
        Labels. Each group is calibrated by its own rows.

    Returns
    -------
    calibration : IntervalCalibration
        Its ``apply`` calibrates predictions for new rows.

    Raises
    ------
    ValueError
        For wrong shapes, missing values, bad coverage, weights or folds.

    Warns
    -----
    SmallCalibrationWarning
        If rows are too few for the coverage; intervals are infinite then.

    See Also
    --------
    calibrate_grid : All levels of a grid.
    ConformalQuantileRegressor : The estimator that calls both.

    Notes
    -----
    With scores :math:`E_i = \max(l_i - y_i, y_i - u_i)` and coverage
    :math:`1 - \alpha` an interval becomes

    .. math:: [l(x) - E_{(k)},\; u(x) + E_{(k)}], \qquad
              k = \lceil (1 - \alpha)(n + 1) \rceil,

    and infinite for k > n, that is for :math:`n < 1 / \alpha - 1`. If the rows are
    exchangeable, it covers with probability between :math:`1 - \alpha` and
    :math:`1 - \alpha + 1 / (n + 1)` (the latter without ties), on average over
    calibration samples. Without `symmetric` each end has scores of its own and the
    rank for :math:`1 - \alpha / 2`.

    "cv+" takes the same ranks among :math:`l^{-f(i)}(x) - E_i` and
    :math:`u^{-f(i)}(x) + E_i`, with the model without the fold of row i. For K folds it
    covers at least :math:`1 - 2\alpha - \sqrt{2 / n}`, in practice about
    :math:`1 - \alpha`. "jackknife-minmax" starts from the outermost predictions of all
    folds, covers at least :math:`1 - \alpha` and is wider.

    References
    ----------
    Yaniv Romano, Evan Patterson, Emmanuel J. Candès. Conformalized Quantile
    Regression. NeurIPS, 2019.

    Rina Foygel Barber, Emmanuel J. Candès, Aaditya Ramdas, Ryan J. Tibshirani.
    Predictive Inference with the Jackknife+. Annals of Statistics, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.quantile import calibrate_interval
    >>> y = np.arange(1.0, 10.0)
    >>> lower, upper = y - 1.0, y + np.repeat([-0.5, 0.5], [2, 7])
    >>> calibration = calibrate_interval(lower, upper, y, 0.8)
    >>> calibration.offsets
    array([-0.5,  0.5])
    >>> calibration.apply([3.0], [5.0])
    array([[2.5, 5.5]])
    """
    caller = "calibrate_interval"
    coverage = read_coverage(coverage, caller)
    values = stack_ends(lower, upper, caller)
    values = read_predictions(values, 2, "lower and upper", caller)
    rows = read_rows(values, y, method, folds, sample_weight, groups, caller)
    scores = rows.y[:, np.newaxis] - values[rows.kept]
    return calibrate_interval_scores(scores, coverage, symmetric, rows, caller)


def calibrate_interval_scores(
    scores: Array, coverage: float, symmetric: bool, rows: CalibrationRows, caller: str
) -> IntervalCalibration:
    """Return the calibration by scores (n, 2) of rows, targets minus ends."""
    signs = np.array([-1.0, 1.0])
    scores = signs * scores
    share = coverage
    if symmetric:
        scores = np.repeat(scores.max(axis=1, keepdims=True), 2, axis=1)
    else:
        share = (1.0 + coverage) / 2.0
    found = rows.calibration(signs, np.full(2, share), scores)
    if not rows.weighted:
        _warn_of_few_rows(
            found["ends"],
            rows.labels,
            "coverage",
            np.full(2, coverage),
            "lower the coverage",
            caller,
        )
    return IntervalCalibration(coverage=coverage, **found)


def _warn_of_few_rows(
    ends: Ends,
    labels: list[Any] | None,
    noun: str,
    names: Array,
    remedy: str,
    caller: str,
) -> None:
    """Say which ends are infinite, and how many rows would do."""
    short = ends.short()
    if not short:
        return
    needed = max(smallest_calibration(ends.shares[end]) for _, end in short)
    fewest = min({group for group, _ in short}, key=lambda g: ends.cells[g][0].n)
    where = "" if labels is None else f" in group {labels[fewest]!r}"
    others = and_more(len({group for group, _ in short}) - 1, " (and in {} more)")
    which = [f"{name:g}" for name in np.unique([names[end] for _, end in short])]
    warn(
        f"{caller} expected at least {needed} calibration rows"
        f"{' in each group' if labels is not None else ''} for {noun}"
        f"{'s' if len(which) > 1 else ''} {_join(which)}. Got "
        f"{ends.cells[fewest][0].n}{where}{others}, so bounds are infinite there; "
        f"calibrate with more rows, or {remedy}.",
        SmallCalibrationWarning,
    )


def _join(names: list[str]) -> str:
    if len(names) > 4:
        names = [*names[:3], f"{len(names) - 3} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if names[1:] else names[0]
