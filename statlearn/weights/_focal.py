"""Focal weights: rows that are classified well already count less."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._numbers import real_number
from statlearn.weights._base import LossRule
from statlearn.weights._measure import reweigh

Array = NDArray[np.float64]


def focal_weights(
    losses: Any,
    gamma: float = 2.0,
    *,
    base_weight: Any = None,
    nonfinite: str = "raise",
) -> Any:
    r"""Damp rows whose class is predicted with high probability already.

    Parameters
    ----------
    losses : array-like or torch tensor of shape (n,)
        Log losses of a classifier, minus the logarithm of the probability of the true
        class; at least 0.
    gamma : float, default=2.0
        Focusing exponent, finite and at least 0; 0 gives the base weights.
    base_weight : array-like of shape (n,), default=None
        Weights that rows have without their losses, such as class weights.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        Their sum is that of the base weights, n without them.

    Raises
    ------
    ValueError
        For a gamma that is negative or not finite, a negative loss, a wrong shape, or
        losses that are not finite while `nonfinite` is "raise".

    See Also
    --------
    lin_upper_weights : Damps small losses of any kind.

    Notes
    -----
    The weights are proportional to :math:`b_i (1 - p_i)^\gamma` with
    :math:`p_i = \exp(-l_i)`, the probability of the true class. Differences from the
    published focal loss: the weights have mean one, so the size of the loss does not
    shrink as training goes on, and no gradient flows through them. If all losses are
    zero, the rows count alike.

    References
    ----------
    Tsung-Yi Lin, Priya Goyal, Ross Girshick, Kaiming He, Piotr Dollár. Focal Loss for
    Dense Object Detection. ICCV, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.weights import focal_weights
    >>> focal_weights(-np.log([0.9, 0.5, 0.1])).round(3)
    array([0.028, 0.701, 2.271])
    """
    gamma = real_number(gamma, "gamma", "focal_weights")
    if not (isfinite(gamma) and gamma >= 0.0):
        raise ValueError(
            f"The 'gamma' of focal_weights must be a finite number >= 0. Got {gamma}; "
            "pass for example 2, or 0 for equal weights."
        )
    return reweigh(
        losses,
        lambda values, _: _focal_density(values, gamma),
        base_weight=base_weight,
        nonfinite=nonfinite,
        caller="focal_weights",
    )


def _focal_density(losses: Array, gamma: float) -> Array:
    smallest, largest = losses.min(), losses.max()
    if smallest < 0.0:
        raise ValueError(
            "The 'losses' of focal_weights must be log losses, which are >= 0. Got "
            f"{smallest:.6g}; pass minus the logarithm of the probability of the true "
            "class."
        )
    if largest == 0.0:
        return np.ones(len(losses))
    error = -np.expm1(-losses)  # 1 - p, with all its digits where p is almost one
    # Relative to the largest: a high power of small numbers would underflow.
    error /= error.max()
    return np.power(error, gamma)


class Focal(LossRule):
    """Damp rows whose class is predicted with high probability already.

    For classifiers on data with many easy rows, as with rare classes. Mislabelled rows
    are amplified.

    Parameters
    ----------
    gamma : float, default=2.0
        Focusing exponent, at least 0.
    warmup : int, default=0
        Steps of plain base weights before the rule sets in.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    See Also
    --------
    focal_weights : The function on arrays, with the formula.
    LinUpper : Damps small losses of any kind.
    sklearn.metrics.log_loss : The loss that this rule looks at, as a mean.

    References
    ----------
    Tsung-Yi Lin, Priya Goyal, Ross Girshick, Kaiming He, Piotr Dollár. Focal Loss for
    Dense Object Detection. ICCV, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.weights import Focal
    >>> Focal(gamma=2.0)(-np.log([0.9, 0.5, 0.1])).round(3)
    array([0.028, 0.701, 2.271])
    """

    def __init__(
        self, gamma: float = 2.0, *, warmup: int = 0, nonfinite: str = "raise"
    ) -> None:
        self.gamma = gamma
        self.warmup = warmup
        self.nonfinite = nonfinite

    def _loss_weights(self, losses: Any, base_weight: Any, step: int | None) -> Any:
        return focal_weights(
            losses, self.gamma, base_weight=base_weight, nonfinite=self.nonfinite
        )
