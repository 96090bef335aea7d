"""Covariance of the coefficients of a reweighted regression, in the basis.

Base weights count rows: n is their sum W. All matrices are those of `Design`, in which
X' X / n is the identity (less the penalty), so that formulas lose their inverses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.linear_model._design import Design

Array = NDArray[np.float64]

# In their basis, Gram matrices of the rows that count have a condition number near one.
_SINGULAR = 1e10


def covariance_h1(design: Design, rule: Any, u: Array, scale: float) -> Array:
    """Return Huber's first covariance, with his correction of the mean of psi'.

    Parameters
    ----------
    design : Design
    rule : residual rule
    u : ndarray of shape (n,)
        Residuals divided by their scale.
    scale : float

    Returns
    -------
    cov : ndarray of shape (p, p)
    """
    n, p = design.total, design.basis.shape[1]
    bend = rule.psi_prime(u)
    mean_bend = design.mean(bend)
    variance = design.mean((bend - mean_bend) ** 2)
    correction = 1.0 + p * variance / (n * mean_bend**2)
    psi_square = design.mean(rule.psi(u) ** 2) * n / (n - p)
    gram = np.eye(p) - design.penalty
    meat = correction**2 * psi_square * scale**2 * gram / n
    return _sandwich(mean_bend * gram + design.penalty, meat)


def covariance_sandwich(
    design: Design, bend: Array, score: Array, scale: float
) -> Array:
    """Return the sandwich of mean bend and mean square of the scores, per row.

    Parameters
    ----------
    design : Design
    bend : ndarray of shape (n,)
        Derivative of the score of a row by its residual: psi'(u), or a fixed weight.
    score : ndarray of shape (n,)
        In units of the scale: psi(u), or weight times residual.
    scale : float
    """
    # psi' of a redescending rule is negative in places: no square root of it.
    bread = _signed_outer(design, bend) + design.penalty
    meat = scale**2 * design.mean_outer(score**2) / design.total
    return _sandwich(bread, meat)


def covariance_avar1(
    design: Design,
    rule: Any,
    u: Array,
    chi: Array,
    chi_slope: Array,
    u_start: Array,
    scale: float,
    breakdown: float,
) -> Array:
    """Return the covariance of an MM-estimator that knows of the S-estimate before it.

    Parameters
    ----------
    design : Design
    rule : residual rule
        Of the final estimate.
    u : ndarray of shape (n,)
        Residuals of the final estimate, divided by the S-scale.
    chi, chi_slope : ndarray of shape (n,)
        Loss of the S-estimate, at most one, at `u_start`, and its derivative.
    u_start : ndarray of shape (n,)
        Residuals of the S-estimate, divided by the S-scale.
    scale : float
        The S-scale.
    breakdown : float
        Mean of chi at the S-scale.

    References
    ----------
    Christophe Croux, Geert Dhaene, Dirk Hoorelbeke. Robust standard errors for robust
    estimators. Discussion paper, KU Leuven, 2003.
    """
    n = design.total
    psi, bend = rule.psi(u), rule.psi_prime(u)
    slope = _signed_outer(design, bend)
    if np.linalg.cond(slope) > _SINGULAR:
        return np.full_like(slope, np.nan)
    bread = scale * np.linalg.inv(slope)
    a = bread @ design.mean_product(bend * u) / design.mean(chi_slope * u_start)
    z = bread @ design.mean_product(psi * chi)
    meat = bread @ design.mean_outer(psi**2) @ bread
    excess = design.mean(chi**2) - breakdown**2
    return (meat - np.outer(a, z) - np.outer(z, a) + excess * np.outer(a, a)) / n


def covariance_least_squares(design: Design, weights: Array, residuals: Array) -> Array:
    """Return the covariance of least squares on the rows that weights (n,) keep.

    Weights are 0 or 1.
    """
    p = design.basis.shape[1]
    degrees = design.total * design.mean(weights) - p
    if degrees <= 0.0:
        return np.full((p, p), np.nan)
    variance = design.total * design.mean((weights * residuals) ** 2) / degrees
    gram = design.mean_outer(weights)
    return _sandwich(gram + design.penalty, variance * gram / design.total)


def _signed_outer(design: Design, values: Array) -> Array:
    """Return ``Q' diag(base * values) Q / W`` for values of any sign."""
    weighted = values if design.base is None else values * design.base
    return design.basis.T @ (weighted[:, None] * design.basis) / design.total


def _sandwich(bread: Array, meat: Array) -> Array:
    """Return ``inv(bread) meat inv(bread)``, nan if too few rows make the bread."""
    if np.linalg.cond(bread) > _SINGULAR:
        return np.full_like(bread, np.nan)
    half = np.linalg.solve(bread, meat)
    return np.linalg.solve(bread, half.T)
