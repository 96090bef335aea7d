"""Worst-case weights: what an adversary with a budget would weigh.

A rule of this file moves weight to rows of large loss, within a ball around the base
weights (Kullback-Leibler, chi-square) or up to a cap on each row (conditional value at
risk). The mean loss under the weights is the objective of distributionally robust
learning.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._numbers import number_in, real_number
from statlearn.weights._base import LossRule
from statlearn.weights._measure import reweigh
from statlearn.weights._worst_case import (
    chi2_ball_density,
    kl_ball_density,
    tail_density,
)

Array = NDArray[np.float64]


def _radius(rho: float, caller: str) -> float:
    hint = "pass for example 0.1, or 0 for equal weights"
    return number_in(rho, "rho", caller, hint, 0.0, np.inf)


def kl_ball_weights(
    losses: Any,
    rho: float = 0.1,
    *,
    base_weight: Any = None,
    nonfinite: str = "raise",
) -> Any:
    r"""Weigh rows as the worst case within a Kullback-Leibler ball.

    Parameters
    ----------
    losses : array-like or torch tensor of shape (n,)
        Current losses.
    rho : float, default=0.1
        Radius of the ball in nats, at least 0; 0 gives the base weights.
    base_weight : array-like of shape (n,), default=None
        Weights that rows have without their losses: the centre of the ball.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        Their sum is that of the base weights, n without them.

    Raises
    ------
    ValueError
        For a radius that is negative or NaN, a wrong shape, or losses that are not
        finite while `nonfinite` is "raise".

    See Also
    --------
    kl_tilt_weights : With a temperature in place of a budget.

    Notes
    -----
    With :math:`p_i = b_i / \sum_j b_j` the shares solve

    .. math:: \max_q \; \sum_i q_i l_i
              \quad \text{subject to} \quad \mathrm{KL}(q \| p) \le \rho .

    They are proportional to :math:`p_i \exp(l_i / r)` with the one r at which the
    constraint binds, found by Halley's method in a bracket. Once :math:`\rho` reaches
    minus the logarithm of the mass of the largest loss, all weight lies on the rows
    with that loss. Weights do not change under :math:`l \to a l + b`, a > 0. Time and
    memory are O(n); on many rows a histogram gives the start, so that a few passes
    over the rows are enough.

    References
    ----------
    Zhaolin Hu, L. Jeff Hong. Kullback-Leibler Divergence Constrained Distributionally
    Robust Optimization. Optimization Online, 2013.

    Examples
    --------
    >>> from statlearn.weights import kl_ball_weights
    >>> kl_ball_weights([1.0, 2.0, 3.0, 4.0, 5.0], 0.1).round(3)
    array([0.468, 0.649, 0.901, 1.249, 1.732])
    """
    rho = _radius(rho, "kl_ball_weights")
    return reweigh(
        losses,
        lambda values, base: kl_ball_density(values, rho, base),
        base_weight=base_weight,
        nonfinite=nonfinite,
        caller="kl_ball_weights",
    )


def chi2_ball_weights(
    losses: Any,
    rho: float = 0.5,
    *,
    base_weight: Any = None,
    nonfinite: str = "raise",
) -> Any:
    r"""Weigh rows as the worst case within a chi-square ball.

    Parameters
    ----------
    losses : array-like or torch tensor of shape (n,)
        Current losses.
    rho : float, default=0.5
        Radius of the ball, at least 0: the variance of the weights (of mean one) under
        the base weights. 0 gives the base weights.
    base_weight : array-like of shape (n,), default=None
        Weights that rows have without their losses: the centre of the ball.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        Their sum is that of the base weights, n without them.

    Raises
    ------
    ValueError
        For a radius that is negative or NaN, a wrong shape, or losses that are not
        finite while `nonfinite` is "raise".

    See Also
    --------
    kl_ball_weights : A ball that leaves no row without weight.
    cvar_weights : A cap on each weight in place of a ball.

    Notes
    -----
    With :math:`p_i = b_i / \sum_j b_j` the shares solve

    .. math:: \max_q \; \sum_i q_i l_i \quad \text{subject to} \quad
              q \ge 0, \; \sum_i p_i (q_i / p_i - 1)^2 \le \rho .

    They are proportional to :math:`p_i (l_i - \eta)_+`; while no row reaches 0 the mean
    under them is the plain mean plus :math:`\sqrt{\rho}` standard deviations. The
    effective sample size without base weights is :math:`n / (1 + \rho)`. Once
    :math:`\rho` reaches 1 / (mass of the largest loss) - 1, all weight lies on the rows
    with that loss. Weights do not change under :math:`l \to a l + b`, a > 0. The set of
    positive rows shrinks to the exact one in a few rounds of O(n), without sorting.

    References
    ----------
    Hongseok Namkoong, John C. Duchi. Variance-based Regularization with Convex
    Objectives. NeurIPS, 2017.

    Examples
    --------
    >>> from statlearn.weights import chi2_ball_weights
    >>> chi2_ball_weights([1.0, 2.0, 3.0, 4.0, 5.0], 0.2).round(3)
    array([0.368, 0.684, 1.   , 1.316, 1.632])
    """
    rho = _radius(rho, "chi2_ball_weights")
    return reweigh(
        losses,
        lambda values, base: chi2_ball_density(values, rho, base),
        base_weight=base_weight,
        nonfinite=nonfinite,
        caller="chi2_ball_weights",
    )


def cvar_weights(
    losses: Any,
    alpha: float = 0.9,
    *,
    base_weight: Any = None,
    nonfinite: str = "raise",
) -> Any:
    r"""Weigh only the tail of the largest losses.

    Parameters
    ----------
    losses : array-like or torch tensor of shape (n,)
        Current losses.
    alpha : float, default=0.9
        Share of the mass below the tail, in [0, 1); 0 gives the base weights.
    base_weight : array-like of shape (n,), default=None
        Weights that rows have without their losses.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        Their sum is that of the base weights, n without them.

    Raises
    ------
    ValueError
        For an alpha outside [0, 1), a wrong shape, or losses that are not finite while
        `nonfinite` is "raise".

    See Also
    --------
    trimmed_weights : Leaves out the largest losses instead.

    Notes
    -----
    With :math:`p_i = b_i / \sum_j b_j` the shares solve

    .. math:: \max_q \; \sum_i q_i l_i \quad \text{subject to} \quad
              0 \le q_i \le p_i / (1 - \alpha), \; \sum_i q_i = 1 ,

    so the mean under them is the conditional value at risk
    :math:`\min_\eta \eta + \sum_i p_i (l_i - \eta)_+ / (1 - \alpha)`. Rows at the
    boundary share the mass that is left in proportion to their base weights. Time is
    O(n), a selection; with base weights, rows near the boundary are sorted.

    References
    ----------
    R. Tyrrell Rockafellar, Stanislav Uryasev. Optimization of Conditional
    Value-at-Risk. Journal of Risk, 2000.

    Examples
    --------
    >>> from statlearn.weights import cvar_weights
    >>> cvar_weights([1.0, 2.0, 3.0, 4.0, 5.0], 0.5)
    array([0., 0., 1., 2., 2.])
    """
    alpha = real_number(alpha, "alpha", "cvar_weights")
    if not 0.0 <= alpha < 1.0:
        raise ValueError(
            f"The 'alpha' of cvar_weights must be in [0, 1). Got {alpha}; pass for "
            "example 0.9 for the worst tenth, or 0 for equal weights."
        )
    return reweigh(
        losses,
        lambda values, base: tail_density(values, 1.0 - alpha, base),
        base_weight=base_weight,
        nonfinite=nonfinite,
        caller="cvar_weights",
    )


class KLBall(LossRule):
    """Weigh rows as the worst case within a Kullback-Leibler ball.

    Training on these weights guards against every shift of the data of that size.
    Unlike :class:`KLTilt` it needs no scale of the losses. It amplifies outliers.

    Parameters
    ----------
    rho : float, default=0.1
        Radius in nats, at least 0.
    warmup : int, default=0
        Steps of plain base weights before the rule sets in.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    See Also
    --------
    kl_ball_weights : The function on arrays, with the problem it solves.
    Chi2Ball : A ball that leaves easy rows without weight.
    cvxpy.kl_div : To pose the same problem to a general solver.

    References
    ----------
    Zhaolin Hu, L. Jeff Hong. Kullback-Leibler Divergence Constrained Distributionally
    Robust Optimization. Optimization Online, 2013.

    Examples
    --------
    >>> from statlearn.weights import KLBall
    >>> KLBall(rho=0.1)([1.0, 2.0, 3.0, 4.0, 5.0]).round(3)
    array([0.468, 0.649, 0.901, 1.249, 1.732])
    """

    def __init__(
        self, rho: float = 0.1, *, warmup: int = 0, nonfinite: str = "raise"
    ) -> None:
        self.rho = rho
        self.warmup = warmup
        self.nonfinite = nonfinite

    def _loss_weights(self, losses: Any, base_weight: Any, step: int | None) -> Any:
        return kl_ball_weights(
            losses, self.rho, base_weight=base_weight, nonfinite=self.nonfinite
        )


class Chi2Ball(LossRule):
    """Weigh rows as the worst case within a chi-square ball.

    Training on these weights penalises the standard deviation of the losses beside
    their mean. Rows that are fitted well may have no weight at all.

    Parameters
    ----------
    rho : float, default=0.5
        Radius, at least 0: the variance of the weights.
    warmup : int, default=0
        Steps of plain base weights before the rule sets in.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    See Also
    --------
    chi2_ball_weights : The function on arrays, with the problem it solves.
    KLBall : Every row keeps some weight.
    cvxpy.sum_squares : To pose the same problem to a general solver.

    References
    ----------
    Hongseok Namkoong, John C. Duchi. Variance-based Regularization with Convex
    Objectives. NeurIPS, 2017.

    Examples
    --------
    >>> from statlearn.weights import Chi2Ball
    >>> Chi2Ball(rho=1.0)([1.0, 2.0, 3.0, 4.0, 5.0]).round(3)
    array([0.   , 0.   , 0.754, 1.667, 2.58 ])
    """

    def __init__(
        self, rho: float = 0.5, *, warmup: int = 0, nonfinite: str = "raise"
    ) -> None:
        self.rho = rho
        self.warmup = warmup
        self.nonfinite = nonfinite

    def _loss_weights(self, losses: Any, base_weight: Any, step: int | None) -> Any:
        return chi2_ball_weights(
            losses, self.rho, base_weight=base_weight, nonfinite=self.nonfinite
        )


class CVaR(LossRule):
    """Weigh only the tail of the largest losses, its rows alike.

    The mean under the weights is the conditional value at risk, or expected shortfall,
    of the losses. In small batches the tail has few rows and the gradient is noisy.

    Parameters
    ----------
    alpha : float, default=0.9
        Share of the mass below the tail, in [0, 1).
    warmup : int, default=0
        Steps of plain base weights before the rule sets in.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    See Also
    --------
    cvar_weights : The function on arrays, with the problem it solves.
    Trimmed : Leaves out the largest losses instead.
    sklearn.linear_model.QuantileRegressor : Fits the boundary of the tail.

    References
    ----------
    R. Tyrrell Rockafellar, Stanislav Uryasev. Optimization of Conditional
    Value-at-Risk. Journal of Risk, 2000.

    Examples
    --------
    >>> from statlearn.weights import CVaR
    >>> CVaR(alpha=0.5)([1.0, 2.0, 3.0, 4.0, 5.0])
    array([0., 0., 1., 2., 2.])
    """

    def __init__(
        self, alpha: float = 0.9, *, warmup: int = 0, nonfinite: str = "raise"
    ) -> None:
        self.alpha = alpha
        self.warmup = warmup
        self.nonfinite = nonfinite

    def _loss_weights(self, losses: Any, base_weight: Any, step: int | None) -> Any:
        return cvar_weights(
            losses, self.alpha, base_weight=base_weight, nonfinite=self.nonfinite
        )
