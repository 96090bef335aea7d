"""Which covariance belongs to which fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular

from statlearn.linear_model._covariance import (
    covariance_avar1,
    covariance_h1,
    covariance_least_squares,
    covariance_sandwich,
)
from statlearn.linear_model._design import Design
from statlearn.linear_model._fit import MM_CONSTANT, RegressionFit, is_residual_rule
from statlearn.linear_model._start import S_BREAKDOWN, S_CONSTANT
from statlearn.weights import Bisquare

Array = NDArray[np.float64]

# With less than this share of the spread, errors of H1 would be a third too small.
_SPREAD = 0.5
# With less than this, Gram matrices in the basis of all rows lose too many digits.
_POOR = 1e-6
# Columns of the rows that count are dependent below this.
_DEPENDENT = 1e-12


def covariance(
    design: Design, fit: RegressionFit, weighting: Any, cov_type: str | None
) -> Array | None:
    """Return the covariance (p, p) of the coefficients in the basis.

    Parameters
    ----------
    design : Design
    fit : RegressionFit
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
    kept = _Kept.of(design, fit.weights)
    if is_residual_rule(weighting):
        return _of_residual_rule(design, kept, fit, weighting, cov_type)
    if weighting == "lts" and cov_type != "sandwich":
        cov = covariance_least_squares(kept.design, fit.weights, fit.residuals)
    else:
        scores = fit.weights * fit.residuals
        cov = covariance_sandwich(kept.design, fit.weights, scores, 1.0)
    return kept.turned_back(cov)


def _of_residual_rule(
    design: Design, kept: _Kept, fit: RegressionFit, weighting: Any, cov_type: str
) -> Array:
    rule = {"mm": Bisquare(c=MM_CONSTANT), "s": Bisquare(c=S_CONSTANT)}.get(
        weighting if isinstance(weighting, str) else "", weighting
    )
    u = fit.residuals / fit.scale
    if cov_type == "avar1" or (cov_type == "auto" and weighting == "mm"):
        chi = Bisquare(c=S_CONSTANT)
        u_start = fit.start_residuals / fit.scale
        bound = chi.rho_max()
        cov = covariance_avar1(
            kept.design,
            rule,
            u,
            chi.rho(u_start) / bound,
            chi.psi(u_start) / bound,
            u_start,
            fit.scale,
            S_BREAKDOWN,
        )
        return kept.turned_back(cov)
    # H1 has the Gram matrix of all rows, so that rows far off, whatever their weight,
    # would promise more than the others can keep.
    by_itself = weighting == "s" or kept.spread < _SPREAD
    if cov_type == "sandwich" or (cov_type == "auto" and by_itself):
        bend, score = rule.psi_prime(u), rule.psi(u)
        cov = covariance_sandwich(kept.design, bend, score, fit.scale)
        return kept.turned_back(cov)
    return covariance_h1(design, rule, u, fit.scale)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A design as the rows see it that the fit gives weight.

    Attributes
    ----------
    design : Design
        In a basis of its own where rows without weight have nearly all of the spread:
        the others would differ by rounding only.
    turn : ndarray of shape (p, p) or None
        From coefficients in that basis to those in the basis of all rows.
    spread : float
        Least share of the spread of X, over the directions, that these rows have.
    """

    design: Design
    turn: Array | None
    spread: float

    @classmethod
    def of(cls, design: Design, weights: Array) -> _Kept:
        p = design.basis.shape[1]
        gram = design.mean_outer(weights) / design.mean(weights) + design.penalty
        spread = float(np.linalg.eigvalsh(gram)[0])
        if spread > _POOR:
            return cls(design, None, spread)
        mass = weights if design.base is None else weights * design.base
        root = np.sqrt(mass / design.total)
        triangle = qr(root[:, None] * design.basis, mode="r")[0][:p]
        size = np.abs(np.diag(triangle))
        if size.min() <= _DEPENDENT * size.max():
            return cls(design, None, spread)
        turn = solve_triangular(triangle, np.eye(p))
        moved = replace(
            design,
            basis=design.basis @ turn,
            penalty=turn.T @ design.penalty @ turn,
            to_raw=design.to_raw @ turn,
        )
        return cls(moved, turn, spread)

    def turned_back(self, cov: Array) -> Array:
        """Return a covariance (p, p) in the basis of all rows."""
        return cov if self.turn is None else self.turn @ cov @ self.turn.T
