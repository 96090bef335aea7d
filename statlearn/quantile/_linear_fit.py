"""Linear quantile regression at several levels, exact to a vertex of the program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from statlearn.quantile._constraint import FREE
from statlearn.quantile._interior_point import solve_pinball_batch

Array = NDArray[np.float64]
Index = NDArray[np.intp]

# Elements of scaled columns that the solver holds at a time.
_ELEMENTS = 4_000_000
# Rows beyond the number of columns among which a vertex is looked for.
_CANDIDATES = 20


@dataclass(frozen=True, slots=True)
class LinearFit:
    """Solutions of q problems of N rows and k columns.

    Attributes
    ----------
    coef : ndarray of shape (q, k)
    objective : ndarray of shape (q,)
        Sum over rows of weight times pinball loss.
    duality_gap : ndarray of shape (q,)
        How far at most the objective is above the smallest one.
    n_iter : ndarray of shape (q,)
    converged : ndarray of bool of shape (q,)
    """

    coef: Array
    objective: Array
    duality_gap: Array
    n_iter: Index
    converged: NDArray[np.bool_]


def stack_fits(parts: list[LinearFit]) -> LinearFit:
    """Return the fits of more levels as one."""
    names = LinearFit.__slots__
    return LinearFit(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in names)
    )


def row_loss(residuals: Array, level: Array, weight: Array) -> Array:
    """Return the weighted pinball losses (...,) of residuals (..., N)."""
    up = np.maximum(residuals, 0.0)
    return (weight * (level * up + (1.0 - level) * (up - residuals))).sum(axis=-1)


def fit_by_interior_point(
    X: Array, y: Array, levels: Array, weight: Array, *, tol: float, max_iter: int
) -> LinearFit:
    """Follow the interior point method to a vertex, where there is one nearby.

    Parameters
    ----------
    X : ndarray of shape (N, k)
    y, weight : ndarray of shape (N,)
    levels : ndarray of shape (q, 1) or (q, N)
    tol : float
        Of the duality gap, relative to the objective.
    max_iter : int

    Returns
    -------
    fit : LinearFit
    """
    size = max(1, _ELEMENTS // max(X.size, 1))
    parts = []
    for start in range(0, len(levels), size):
        some = levels[start : start + size]
        inner = solve_pinball_batch(
            X,
            y,
            some,
            weight,
            constraint=FREE,
            tol=tol,
            max_iter=max_iter,
        )
        found = LinearFit(
            inner.coef.copy(),
            inner.objective.copy(),
            inner.duality_gap.copy(),
            inner.n_iter,
            inner.converged,
        )
        for row, level in enumerate(some):
            move_to_vertex(found, row, X, y, level, weight, inner.dual[row])
        parts.append(found)
    return stack_fits(parts)


def move_to_vertex(
    fit: LinearFit,
    row: int,
    X: Array,
    y: Array,
    level: Array,
    weight: Array,
    dual: Array,
) -> None:
    """Replace one solution in place by the vertex near it, unless that is worse.

    A vertex passes through as many rows as there are columns. Its dual variables
    follow from those of the other rows, which are at an end of their box, and if they
    are inside of theirs then the vertex is optimal.
    """
    residuals = y - X @ fit.coef[row]
    rows = _rows_of_vertex(X, residuals)
    if rows is None:
        return
    factors = linalg.lu_factor(X[rows])
    coef = linalg.lu_solve(factors, y[rows])
    residuals = y - X @ coef
    residuals[rows] = 0.0
    objective = float(row_loss(residuals, level, weight))
    if not objective <= fit.objective[row]:
        return
    lower, upper = -weight * (1.0 - level), weight * level
    lower_bound = fit.objective[row] - fit.duality_gap[row]
    dual = np.where(residuals > 0.0, upper, np.where(residuals < 0.0, lower, dual))
    dual[rows] = 0.0
    dual[rows] = linalg.lu_solve(factors, -(X.T @ dual), trans=1)
    if ((dual[rows] >= lower[rows]) & (dual[rows] <= upper[rows])).all():
        lower_bound = max(lower_bound, float(y @ dual))
        fit.converged[row] = True
    fit.coef[row], fit.objective[row] = coef, objective
    fit.duality_gap[row] = max(objective - lower_bound, 0.0)


def _rows_of_vertex(X: Array, residuals: Array) -> Index | None:
    """Return as many independent rows as columns with small residuals, None without."""
    k = X.shape[1]
    n_near = min(len(X), 2 * k + _CANDIDATES)
    if n_near < k:
        return None
    size = np.abs(residuals)
    near = np.argpartition(size, n_near - 1)[:n_near]
    # Pivoting prefers long columns: divided by their residuals, rows near the fit.
    least = size[near].max() * 1e-10
    scaled = X[near] / np.maximum(size[near], least or 1.0)[:, None]
    _, order = linalg.qr(scaled.T, mode="r", pivoting=True)
    rows = near[order[:k]]
    return rows if np.linalg.cond(X[rows]) < 1e12 else None
