"""Well-scaled columns of full rank for linear quantile regression, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Array = NDArray[np.float64]

# Directions count as free to change if more of them than this leaves no trace.
_NOTICED = 1e-8


@dataclass(frozen=True, slots=True)
class LinearDesign:
    """A regression in coordinates of full column rank.

    Attributes
    ----------
    columns : ndarray of shape (n, k)
        The intercept first, if there is one.
    y : ndarray of shape (n,)
        Shifted and divided by `unit`.
    weight : ndarray of shape (n,)
        Positive counts of the rows.
    unit : float
        Of the response.
    to_raw : ndarray of shape (c, k)
        From coordinates to coefficients, the intercept first.
    offset : ndarray of shape (c,)
        What the shift of the response adds to the coefficients.
    undetermined : ndarray of bool of shape (c,)
        Coefficients that other ones with the same fitted values may replace.
    """

    columns: Array
    y: Array
    weight: Array
    unit: float
    to_raw: Array
    offset: Array
    undetermined: NDArray[np.bool_]

    def raw(self, gamma: Array) -> Array:
        """Return coefficients (..., c) of coordinates (..., k)."""
        return self.offset + self.unit * (gamma @ self.to_raw.T)


def make_design(
    X: Array, y: Array, weight: Array, *, fit_intercept: bool, reduce: bool
) -> LinearDesign:
    """Return the design of rows that count.

    Coordinates come from columns that are centred, if there is an intercept to make up
    for it, and of size one. Of several coefficients with the same fitted values the
    shortest are meant. All of it is the same for a count as for repeated rows.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    y : ndarray of shape (n,)
    weight : ndarray of shape (n,)
        Positive.
    fit_intercept : bool
    reduce : bool
        Whether dependent columns are replaced by fewer coordinates; a penalty needs
        the columns themselves.

    Returns
    -------
    design : LinearDesign
    """
    p, total = X.shape[1], weight.sum()
    first = int(fit_intercept)
    centre = weight @ X / total if fit_intercept else np.zeros(p)
    inner = X - centre
    largest = np.abs(X).max(axis=0, initial=0.0)
    size = np.abs(inner).max(axis=0, initial=0.0)
    # A constant column leaves rounding errors behind, which are no data.
    constant = size <= 4.0 * np.finfo(np.float64).eps * largest
    size = np.where(constant, 1.0, size)
    inner /= size
    inner[:, constant & fit_intercept] = 0.0
    basis = _row_space(inner, weight) if reduce else np.eye(p)
    undetermined = np.zeros(first + p, dtype=bool)
    if basis.shape[1] < p:
        free = np.eye(p) - basis @ basis.T  # onto changes that no row notices
        undetermined[first:] = np.diag(free) > _NOTICED
        if fit_intercept:
            share = centre / size
            noticed = _NOTICED * np.abs(share).max(initial=0.0)
            undetermined[0] = (np.abs(free @ share) > noticed).any()
        inner = inner @ basis
    to_raw = np.zeros((first + p, first + basis.shape[1]))
    to_raw[first:, first:] = basis / size[:, None]
    offset = np.zeros(first + p)
    shift = 0.0
    if fit_intercept:
        shift = float(weight @ y / total)
        to_raw[0, 0], to_raw[0, 1:] = 1.0, -centre @ to_raw[1:, 1:]
        offset[0] = shift
        inner = np.column_stack((np.ones(len(X)), inner))
    if not inner.shape[1]:  # nothing but zeros, which predict zero
        inner, to_raw = np.zeros((len(X), 1)), np.zeros((p, 1))
    target = y - shift
    unit = float(weight @ np.abs(target) / total) or 1.0
    return LinearDesign(
        inner, target / unit, weight, unit, to_raw, offset, undetermined
    )


def penalty_rows(design: LinearDesign, alpha: float, n_features: int) -> Array:
    """Return rows (p, k) whose absolute values sum up to twice the penalty.

    With response zero and level one half they add `alpha` times the weight total times
    the absolute coefficients to the loss, in the unit of the response.
    """
    return 2.0 * alpha * design.weight.sum() * design.to_raw[-n_features:]


def _row_space(inner: Array, weight: Array) -> Array:
    """Return an orthonormal basis (p, r) of the rows that count, up to rounding."""
    n, p = inner.shape
    (triangle,) = linalg.qr(np.sqrt(weight)[:, None] * inner, mode="r")
    _, strength, right = linalg.svd(triangle[: min(n, p)], full_matrices=False)
    least = max(n, p) * np.finfo(np.float64).eps * strength.max(initial=0.0)
    rank = int((strength > least).sum())
    return np.eye(p) if rank == p else right[:rank].T
