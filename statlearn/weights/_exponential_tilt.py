"""Exponential tilting: weights that grow, or fall, exponentially with the loss.

A tilt moves weight to rows of large loss, without bound on one row but at a price, the
Kullback-Leibler divergence from the base weights. A negative temperature turns the
other way and damps outliers.
"""

from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._numbers import real_number
from statlearn.weights._base import LossRule, Temperature, temperature_at
from statlearn.weights._measure import reweigh
from statlearn.weights._worst_case import log_mean_exp, tilt_density

Array = NDArray[np.float64]


def kl_tilt_weights(
    losses: Any,
    temperature: float = 1.0,
    *,
    base_weight: Any = None,
    nonfinite: str = "raise",
) -> Any:
    r"""Weigh rows by the exponential of their losses.

    Parameters
    ----------
    losses : array-like or torch tensor of shape (n,)
        Current losses, in the unit of the temperature.
    temperature : float, default=1.0
        Softness r, not zero. Positive: favour large losses. Negative: favour small
        ones, which damps outliers. Infinity: equal weights.
    base_weight : array-like of shape (n,), default=None
        Weights that rows have without their losses, such as counts.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with a loss that is NaN or infinite: raise, or give it weight 0 and
        count it in a warning.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        Their sum is that of the base weights, n without them.

    Raises
    ------
    ValueError
        For a temperature of zero or NaN, a wrong shape, or losses that are not finite
        while `nonfinite` is "raise".

    See Also
    --------
    tilted_loss : The objective that these weights are the gradient of.
    kl_ball_weights : With a budget in place of a temperature.

    Notes
    -----
    The weights are proportional to :math:`b_i \exp(l_i / r)`. With :math:`p_i = b_i /
    \sum_j b_j` and r > 0 they solve

    .. math:: \max_q \; \sum_i q_i l_i - r\,\mathrm{KL}(q \| p)
              = r \log \sum_i p_i \exp(l_i / r),

    the objective of tilted empirical risk minimization with tilt t = 1 / r; it is
    convex in the losses for r > 0. Time and memory are O(n). A shift of all losses
    changes nothing; their unit matters.

    References
    ----------
    Tian Li, Ahmad Beirami, Maziar Sanjabi, Virginia Smith. Tilted Empirical Risk
    Minimization. ICLR, 2021.

    Examples
    --------
    >>> from statlearn.weights import kl_tilt_weights
    >>> kl_tilt_weights([1.0, 2.0, 3.0, 4.0, 5.0], 1.0).round(3)
    array([0.058, 0.158, 0.431, 1.171, 3.182])
    """
    temperature = _tilt_temperature(temperature, "kl_tilt_weights")
    return reweigh(
        losses,
        lambda values, _: tilt_density(values, temperature),
        base_weight=base_weight,
        nonfinite=nonfinite,
        caller="kl_tilt_weights",
    )


def tilted_loss(
    losses: Any, temperature: float = 1.0, *, base_weight: Any = None
) -> float:
    r"""Return the tilted mean of losses, from the least to the greatest of them.

    Parameters
    ----------
    losses : array-like or torch tensor of shape (n,)
        Finite losses.
    temperature : float, default=1.0
        Softness r, not zero. Towards 0 from above the value tends to the largest loss,
        at infinity it is the mean, towards 0 from below it tends to the smallest loss.
    base_weight : array-like of shape (n,), default=None
        Weights of the rows.

    Returns
    -------
    value : float
        :math:`r \log(\sum_i b_i \exp(l_i / r) / \sum_i b_i)`, computed without overflow
        and, for large r, without loss of digits.

    Raises
    ------
    ValueError
        For a temperature of zero or NaN, a wrong shape, or losses that are not finite.

    See Also
    --------
    kl_tilt_weights : Its gradient by the losses, up to the factor n.
    scipy.special.logsumexp : The logarithm of a sum of exponentials.

    Notes
    -----
    The means under :func:`kl_ball_weights`, :func:`chi2_ball_weights` and
    :func:`cvar_weights` are objectives as they stand: ``np.average(losses,
    weights=weights)``. The mean under :func:`kl_tilt_weights` is not, it lacks the
    price of the tilt.

    References
    ----------
    Tian Li, Ahmad Beirami, Maziar Sanjabi, Virginia Smith. Tilted Empirical Risk
    Minimization. ICLR, 2021.

    Examples
    --------
    >>> from statlearn.weights import tilted_loss
    >>> round(tilted_loss([1.0, 2.0, 3.0, 4.0, 5.0], 1.0), 6)
    3.842476
    """
    temperature = _tilt_temperature(temperature, "tilted_loss")
    value = 0.0

    def density(values: Array, base: Array | None) -> Array:
        nonlocal value
        value = log_mean_exp(values, temperature, base)
        return np.ones(len(values))

    # Of use here is what is checked and left out on the way, not the weights.
    reweigh(losses, density, base_weight=base_weight, caller="tilted_loss")
    return value


def _tilt_temperature(temperature: float, caller: str) -> float:
    temperature = real_number(temperature, "temperature", caller)
    if temperature == 0.0 or isnan(temperature):
        raise ValueError(
            f"The 'temperature' of {caller} must be a number other than zero. Got "
            f"{temperature}; pass a positive one to favour large losses, a negative "
            "one to favour small losses, infinity for equal weights."
        )
    return temperature


class KLTilt(LossRule):
    """Favour large losses exponentially, or small ones with a negative temperature.

    The weights of tilted empirical risk minimization. A positive temperature guards
    small groups of badly fitted rows and amplifies outliers; a negative one is robust
    against them, with an objective that may have several minima.

    Parameters
    ----------
    temperature : float or callable, default=1.0
        Softness r in the unit of the losses, not zero, or a schedule ``step -> r``. The
        tilt t of the literature is 1 / r.
    warmup : int, default=0
        Steps of plain base weights before the rule sets in.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    See Also
    --------
    kl_tilt_weights : The function on arrays, with the formula.
    tilted_loss : The objective.
    KLBall : A budget that does not depend on the unit of the losses.
    scipy.special.softmax : The same weights as shares, for positive temperatures.

    References
    ----------
    Tian Li, Ahmad Beirami, Maziar Sanjabi, Virginia Smith. Tilted Empirical Risk
    Minimization. ICLR, 2021.

    Examples
    --------
    >>> from statlearn.weights import KLTilt
    >>> KLTilt(temperature=-2.0)([1.0, 2.0, 3.0, 4.0, 5.0]).round(3)
    array([2.143, 1.3  , 0.788, 0.478, 0.29 ])
    """

    def __init__(
        self,
        temperature: Temperature = 1.0,
        *,
        warmup: int = 0,
        nonfinite: str = "raise",
    ) -> None:
        self.temperature = temperature
        self.warmup = warmup
        self.nonfinite = nonfinite

    def _loss_weights(self, losses: Any, base_weight: Any, step: int | None) -> Any:
        return kl_tilt_weights(
            losses,
            temperature_at(self.temperature, step, "KLTilt"),
            base_weight=base_weight,
            nonfinite=self.nonfinite,
        )
