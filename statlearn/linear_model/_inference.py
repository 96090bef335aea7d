"""Which covariance belongs to which fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.linear_model._covariance import (
    covariance_avar1,
    covariance_h1,
    covariance_least_squares,
    covariance_sandwich,
)
from statlearn.linear_model._design import Design
from statlearn.linear_model._fit import MM_CONSTANT, Fit, is_residual_rule
from statlearn.linear_model._start import S_BREAKDOWN, S_CONSTANT
from statlearn.weights import Bisquare

Array = NDArray[np.float64]


def covariance(
    design: Design, fit: Fit, weighting: Any, cov_type: str | None
) -> Array | None:
    """Return the covariance (p, p) of the coefficients in the basis.

    Parameters
    ----------
    design : Design
    fit : Fit
    weighting : {"mm", "s", "lts"} or rule
    cov_type : {"auto", "H1", "sandwich", "avar1"} or None

    Returns
    -------
    cov : ndarray of shape (p, p) or None
        None if none is asked for; nan where it cannot be known: an exact fit, or no
        more rows than coefficients.
    """
    p = design.basis.shape[1]
    if cov_type is None:
        return None
    if fit.exact or design.total <= p:
        return np.full((p, p), np.nan)
    if weighting == "lts":
        return covariance_least_squares(design, fit.weights, fit.residuals)
    if not is_residual_rule(weighting):
        return covariance_sandwich(
            design, fit.weights, fit.weights * fit.residuals, 1.0
        )
    rule = {"mm": Bisquare(c=MM_CONSTANT), "s": Bisquare(c=S_CONSTANT)}.get(
        weighting if isinstance(weighting, str) else "", weighting
    )
    u = fit.residuals / fit.scale
    if cov_type == "avar1" or (cov_type == "auto" and weighting == "mm"):
        chi = Bisquare(c=S_CONSTANT)
        u_start = fit.start_residuals / fit.scale
        bound = chi.rho_max()
        return covariance_avar1(
            design,
            rule,
            u,
            chi.rho(u_start) / bound,
            chi.psi(u_start) / bound,
            u_start,
            fit.scale,
            S_BREAKDOWN,
        )
    if cov_type == "sandwich" or (cov_type == "auto" and weighting == "s"):
        return covariance_sandwich(design, rule.psi_prime(u), rule.psi(u), fit.scale)
    return covariance_h1(design, rule, u, fit.scale)
