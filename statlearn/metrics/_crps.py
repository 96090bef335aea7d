"""The continuous ranked probability score of quantiles: an integral over levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.metrics._quantiles import mean_of, read_all, row_blocks

Array = NDArray[np.float64]


def crps_from_quantiles(
    y_true: Any,
    y_pred: Any,
    levels: Any,
    *,
    sample_weight: Any = None,
    average: bool = True,
) -> Any:
    r"""Return the continuous ranked probability score (CRPS) of quantiles.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, 1)
        Targets.
    y_pred : array-like of shape (n, q)
        Predicted quantiles. A row that holds an infinite one has an infinite score.
    levels : array-like of shape (q,)
        Their levels, strictly increasing in (0, 1).
    sample_weight : array-like of shape (n,), default=None
        Numbers >= 0, how much each row counts; those of weight zero are left out.
    average : bool, default=True
        Whether to return the mean over rows; else one number for each row, and
        `sample_weight` has no effect.

    Returns
    -------
    score : float or ndarray of shape (n,)
        At least 0 for rows in order, in units of `y_true`; the lower the better.

    Raises
    ------
    ValueError
        If a value is missing, or shapes disagree.

    See Also
    --------
    weighted_interval_score : A sum over the levels instead of an integral.
    scoringrules.crps_quantile : The same integral by a mean over the levels.

    Notes
    -----
    The integral over levels

    .. math:: \mathrm{CRPS} = 2 \int_0^1 \psi_\tau(y - q(\tau)) \, d\tau

    is taken exactly for the quantile function that is linear between the levels and
    constant beyond them: what the grid leaves open, all that lies below its first and
    above its last level, sits on its end quantiles. It so understates the score of
    targets far out under a grid without extreme levels. For a smooth distribution the
    error between levels falls with the square of their distance. O(n q) time, O(n)
    memory besides the input.

    References
    ----------
    Tilmann Gneiting, Adrian E. Raftery. Strictly Proper Scoring Rules, Prediction, and
    Estimation. Journal of the American Statistical Association 102, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.metrics import crps_from_quantiles
    >>> levels = np.arange(1, 1000) / 1000                # uniform on (0, 1):
    >>> y = 0.25                                          # y^2 - y + 1/3
    >>> round(crps_from_quantiles([y], [levels], levels), 5)
    0.14583
    """
    caller = "crps_from_quantiles"
    if not average:
        sample_weight = None
    y, grid, known, weight = read_all(y_true, y_pred, levels, sample_weight, caller)
    scores = np.empty(len(y))
    for rows in row_blocks(len(y), len(known)):
        scores[rows] = 2.0 * _pinball_integral(y[rows, None] - grid[rows], known)
    return mean_of(scores, weight) if average else scores


def _pinball_integral(error: Array, levels: Array) -> Array:
    r"""Return the integrals over levels (n,) of pinball losses of errors (n, q).

    The loss is :math:`\tau e + (-e)_+`, and e is linear between levels. On a step from
    a to b the first term gives (b - a) (2 a e_a + a e_b + b e_a + 2 b e_b) / 6. The
    second is a triangle if e changes its sign and a trapezium if not: with p and r the
    negative parts of e at both ends, it is (b - a) (p + r)^2 / (2 (|e_a| + |e_b|)).
    """
    low, high, step = levels[:-1], levels[1:], np.diff(levels)
    below = np.maximum(-error, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        product = error[:, :-1] @ (step * (2.0 * low + high) / 6.0)
        product += error[:, 1:] @ (step * (low + 2.0 * high) / 6.0)
        size = np.abs(error[:, :-1]) + np.abs(error[:, 1:])
        # At most size: a square could overflow, or vanish.
        share = below[:, :-1] + below[:, 1:]
        share *= share / size
        share[size == 0.0] = 0.0
        total = product + share @ (step / 2.0)
        first, last = levels[0], 1.0 - levels[-1]
        total += first**2 / 2.0 * error[:, 0] + first * below[:, 0]
        total += last * (1.0 - last / 2.0) * error[:, -1] + last * below[:, -1]
    total[np.isinf(error).any(axis=1)] = np.inf
    return total
