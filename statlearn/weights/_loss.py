"""Dynamic loss-based weights: scores of losses scaled to the range of their batch.

The batch's losses are scaled to h in [-1, 1] by their extremes, a score S(h) says which
part of that range should count, and the weights are proportional to exp(S(h) / r).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._numbers import real_number
from statlearn.weights._base import LossRule, Temperature, temperature_at
from statlearn.weights._measure import reweigh
from statlearn.weights._worst_case import from_top, tilt_density

Array = NDArray[np.float64]
Score = Callable[[Array], Array]


def scaled_losses(losses: Array) -> Array | None:
    """Return the losses on the scale [-1, 1] of their range, None if it is empty."""
    scaled = from_top(losses)
    if scaled is not None:
        scaled *= 2.0
        scaled += 1.0
    return scaled


def _lin_upper(h: Array) -> Array:
    return np.minimum(h, 0.0, out=h)


def _quadratic(h: Array) -> Array:
    h *= h
    return np.negative(h, out=h)


def _extremes(h: Array) -> Array:
    return np.abs(h, out=h)


def _upper(h: Array) -> Array:
    h *= 0.5
    return h


def _score_weights(
    losses: Any,
    score: Score,
    temperature: float,
    base_weight: Any,
    nonfinite: str,
    caller: str,
) -> Any:
    temperature = real_number(temperature, "temperature", caller)
    if not temperature > 0.0:
        raise ValueError(
            f"The 'temperature' of {caller} must be positive. Got {temperature}; pass "
            "for example 0.4, or infinity for equal weights."
        )

    def density(values: Array, base: Array | None) -> Array:
        scaled = scaled_losses(values)
        if scaled is None:
            return np.ones(len(values))
        return tilt_density(score(scaled), temperature)

    return reweigh(
        losses, density, base_weight=base_weight, nonfinite=nonfinite, caller=caller
    )


def lin_upper_weights(
    losses: Any,
    temperature: float = 0.4,
    *,
    base_weight: Any = None,
    nonfinite: str = "raise",
) -> Any:
    r"""Damp small losses, with a cap from the middle of their range on.

    Parameters
    ----------
    losses : array-like or torch tensor of shape (n,)
        Current losses of one batch.
    temperature : float, default=0.4
        Softness r > 0. No weight is more than ``exp(1 / r)`` times another; infinity
        makes them equal.
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
        For a temperature that is not positive, a wrong shape, or losses that are not
        finite while `nonfinite` is "raise".

    Notes
    -----
    With :math:`h_i = (2 l_i - \max l - \min l) / (\max l - \min l)` the weights are
    proportional to :math:`b_i \exp(\min(h_i, 0) / r)`. They do not change under
    :math:`l \to a l + b` with a > 0. Time and memory are O(n). The published code
    divides by at least 1e-6, so that its weights depend on the unit of the loss; here
    only losses that are equal up to rounding have equal weights.

    References
    ----------
    Daouda Sow, Herbert Woisetschläger, Saikiran Bulusu, Shiqiang Wang,
    Hans-Arno Jacobsen, Yingbin Liang. Dynamic Loss-Based Sample Reweighting for
    Improved Large Language Model Pretraining. ICLR, 2025.

    Examples
    --------
    >>> from statlearn.weights import lin_upper_weights
    >>> lin_upper_weights([0.2, 0.5, 1.0, 2.0, 4.0]).round(3)
    array([0.177, 0.263, 0.508, 1.893, 2.159])
    """
    return _score_weights(
        losses, _lin_upper, temperature, base_weight, nonfinite, "lin_upper_weights"
    )


def quadratic_weights(
    losses: Any,
    temperature: float = 0.4,
    *,
    base_weight: Any = None,
    nonfinite: str = "raise",
) -> Any:
    r"""Damp both ends of the range of losses.

    Parameters
    ----------
    losses : array-like or torch tensor of shape (n,)
        Current losses of one batch.
    temperature : float, default=0.4
        Softness r > 0, see :func:`lin_upper_weights`.
    base_weight : array-like of shape (n,), default=None
        Weights that rows have without their losses.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        Proportional to :math:`b_i \exp(-h_i^2 / r)`.

    Raises
    ------
    ValueError
        As :func:`lin_upper_weights`.

    Examples
    --------
    >>> from statlearn.weights import quadratic_weights
    >>> quadratic_weights([0.2, 0.5, 1.0, 2.0, 4.0]).round(3)
    array([0.233, 0.483, 1.229, 2.822, 0.233])
    """
    return _score_weights(
        losses, _quadratic, temperature, base_weight, nonfinite, "quadratic_weights"
    )


def extremes_weights(
    losses: Any,
    temperature: float = 0.4,
    *,
    base_weight: Any = None,
    nonfinite: str = "raise",
) -> Any:
    r"""Favour both ends of the range of losses.

    Parameters
    ----------
    losses : array-like or torch tensor of shape (n,)
        Current losses of one batch.
    temperature : float, default=0.4
        Softness r > 0, see :func:`lin_upper_weights`.
    base_weight : array-like of shape (n,), default=None
        Weights that rows have without their losses.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        Proportional to :math:`b_i \exp(|h_i| / r)`.

    Raises
    ------
    ValueError
        As :func:`lin_upper_weights`.

    Examples
    --------
    >>> from statlearn.weights import extremes_weights
    >>> extremes_weights([0.2, 0.5, 1.0, 2.0, 4.0]).round(3)
    array([1.604, 1.081, 0.56 , 0.15 , 1.604])
    """
    return _score_weights(
        losses, _extremes, temperature, base_weight, nonfinite, "extremes_weights"
    )


def upper_weights(
    losses: Any,
    temperature: float = 0.4,
    *,
    base_weight: Any = None,
    nonfinite: str = "raise",
) -> Any:
    r"""Damp small losses, linearly over their whole range.

    Parameters
    ----------
    losses : array-like or torch tensor of shape (n,)
        Current losses of one batch.
    temperature : float, default=0.4
        Softness r > 0, see :func:`lin_upper_weights`.
    base_weight : array-like of shape (n,), default=None
        Weights that rows have without their losses.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        Proportional to :math:`b_i \exp(h_i / (2 r))`.

    Raises
    ------
    ValueError
        As :func:`lin_upper_weights`.

    Examples
    --------
    >>> from statlearn.weights import upper_weights
    >>> upper_weights([0.2, 0.5, 1.0, 2.0, 4.0]).round(3)
    array([0.258, 0.315, 0.437, 0.844, 3.146])
    """
    return _score_weights(
        losses, _upper, temperature, base_weight, nonfinite, "upper_weights"
    )


class _ScoreRule(LossRule):
    _function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        temperature: Temperature = 0.4,
        *,
        warmup: int = 0,
        nonfinite: str = "raise",
    ) -> None:
        self.temperature = temperature
        self.warmup = warmup
        self.nonfinite = nonfinite

    def _loss_weights(self, losses: Any, base_weight: Any, step: int | None) -> Any:
        return type(self)._function(
            losses,
            temperature_at(self.temperature, step, type(self).__name__),
            base_weight=base_weight,
            nonfinite=self.nonfinite,
        )


class LinUpper(_ScoreRule):
    """Damp rows that are fitted already, and cap the influence of the worst.

    Speeds up convergence on redundant data. Outliers are not damped: where losses are
    large because labels are wrong, use a robust rule such as :class:`Huber`.

    Parameters
    ----------
    temperature : float or callable, default=0.4
        Softness r > 0, or a schedule ``step -> r``.
    warmup : int, default=0
        Steps of plain base weights before the rule sets in.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    See Also
    --------
    lin_upper_weights : The function on arrays, with the formula.
    Upper : Without the cap.
    KLTilt : Exponential weights of the losses themselves.
    sklearn.linear_model.SGDRegressor : Training without reweighting.

    References
    ----------
    Daouda Sow, Herbert Woisetschläger, Saikiran Bulusu, Shiqiang Wang,
    Hans-Arno Jacobsen, Yingbin Liang. Dynamic Loss-Based Sample Reweighting for
    Improved Large Language Model Pretraining. ICLR, 2025.

    Examples
    --------
    >>> from statlearn.weights import LinUpper
    >>> LinUpper(warmup=10)([0.2, 0.5, 1.0, 2.0, 4.0], step=500).round(3)
    array([0.177, 0.263, 0.508, 1.893, 2.159])
    """

    _function = staticmethod(lin_upper_weights)


class Quadratic(_ScoreRule):
    """Damp both the rows that are fitted already and the worst ones.

    Parameters
    ----------
    temperature : float or callable, default=0.4
        Softness r > 0, or a schedule ``step -> r``.
    warmup : int, default=0
        Steps of plain base weights before the rule sets in.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    See Also
    --------
    quadratic_weights : The function on arrays, with the formula.
    LinUpper : Damps small losses only.
    sklearn.linear_model.HuberRegressor : Damps large residuals only.

    References
    ----------
    Daouda Sow, Herbert Woisetschläger, Saikiran Bulusu, Shiqiang Wang,
    Hans-Arno Jacobsen, Yingbin Liang. Dynamic Loss-Based Sample Reweighting for
    Improved Large Language Model Pretraining. ICLR, 2025.

    Examples
    --------
    >>> from statlearn.weights import Quadratic
    >>> Quadratic()([0.2, 0.5, 1.0, 2.0, 4.0]).round(3)
    array([0.233, 0.483, 1.229, 2.822, 0.233])
    """

    _function = staticmethod(quadratic_weights)


class Extremes(_ScoreRule):
    """Favour the rows fitted best and worst: the counterpart of :class:`Quadratic`.

    Parameters
    ----------
    temperature : float or callable, default=0.4
        Softness r > 0, or a schedule ``step -> r``.
    warmup : int, default=0
        Steps of plain base weights before the rule sets in.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    See Also
    --------
    extremes_weights : The function on arrays, with the formula.
    Quadratic : Damps both ends.
    sklearn.linear_model.SGDRegressor : Training without reweighting.

    References
    ----------
    Daouda Sow, Herbert Woisetschläger, Saikiran Bulusu, Shiqiang Wang,
    Hans-Arno Jacobsen, Yingbin Liang. Dynamic Loss-Based Sample Reweighting for
    Improved Large Language Model Pretraining. ICLR, 2025.

    Examples
    --------
    >>> from statlearn.weights import Extremes
    >>> Extremes()([0.2, 0.5, 1.0, 2.0, 4.0]).round(3)
    array([1.604, 1.081, 0.56 , 0.15 , 1.604])
    """

    _function = staticmethod(extremes_weights)


class Upper(_ScoreRule):
    """Damp rows that are fitted already, without a cap on the worst.

    Parameters
    ----------
    temperature : float or callable, default=0.4
        Softness r > 0, or a schedule ``step -> r``.
    warmup : int, default=0
        Steps of plain base weights before the rule sets in.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    See Also
    --------
    upper_weights : The function on arrays, with the formula.
    LinUpper : With a cap.
    sklearn.linear_model.SGDRegressor : Training without reweighting.

    References
    ----------
    Daouda Sow, Herbert Woisetschläger, Saikiran Bulusu, Shiqiang Wang,
    Hans-Arno Jacobsen, Yingbin Liang. Dynamic Loss-Based Sample Reweighting for
    Improved Large Language Model Pretraining. ICLR, 2025.

    Examples
    --------
    >>> from statlearn.weights import Upper
    >>> Upper()([0.2, 0.5, 1.0, 2.0, 4.0]).round(3)
    array([0.258, 0.315, 0.437, 0.844, 3.146])
    """

    _function = staticmethod(upper_weights)
