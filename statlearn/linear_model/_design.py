"""The design in an orthonormal basis, in which every fit here is computed.

A regression on X and one on X A are the same, so the columns may be exchanged for ones
that suit the computer: with Q' B Q = W I (B the base weights, W their sum) a fit with
weights near one has a Gram matrix near W I, whatever the units and correlations of X.
With a ridge penalty the penalty matrix joins the left side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack, qr, solve_triangular

Array = NDArray[np.float64]

_EPS = np.finfo(np.float64).eps
# A column whose part outside the columns before it is below this share of its length
# is dependent on them.
_DEPENDENT = 1e-10
# Down to this share the Gram matrix, which squares it, tells it with eight digits.
_GRAM_SUFFICES = 1e-4


@dataclass(frozen=True, slots=True)
class Design:
    """Design of a linear model in orthonormal coordinates.

    Attributes
    ----------
    basis : ndarray of shape (n, p)
        Columns Q of the design, p counting the intercept.
    base : ndarray of shape (n,) or None
        Positive base weights, None where all rows count once.
    total : float
        Sum W of the base weights.
    to_raw : ndarray of shape (p, p)
        Turns coefficients of the basis into those of the user, intercept first.
    penalty : ndarray of shape (p, p)
        Ridge penalty in the basis; ``Q' B Q / W + penalty`` is the identity.
    """

    basis: Array
    base: Array | None
    total: float
    to_raw: Array
    penalty: Array

    def mean_outer(self, weight: Array) -> Array:
        """Return ``Q' diag(base * weight) Q / W`` for weights (n,) >= 0."""
        root = np.sqrt(weight if self.base is None else weight * self.base)
        return _symmetric_square(self.basis, root) / self.total

    def mean_product(self, values: Array) -> Array:
        """Return ``Q' diag(base) values / W`` for values (n,)."""
        weighted = values if self.base is None else values * self.base
        return weighted @ self.basis / self.total

    def mean(self, values: Array) -> float:
        """Return the mean of values (n,) under the base weights."""
        summed = values.sum() if self.base is None else self.base @ values
        return float(summed / self.total)

    def to_basis(self, raw: Array) -> Array:
        """Return coefficients (p,) of the basis for those of the user."""
        return solve_triangular(self.to_raw, raw)


class DependentColumnsError(ValueError):
    """The columns of a design are linearly dependent; `columns` are their numbers."""

    def __init__(self, column: int, others: NDArray[np.intp]) -> None:
        super().__init__(column, others)
        self.column = column
        self.others = others


def make_design(
    X: Array, base: Array | None, *, fit_intercept: bool, alpha: float
) -> Design:
    """Return the design of a regression on X.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    base : ndarray of shape (n,) or None
        Positive weights.
    fit_intercept : bool
    alpha : float
        Ridge penalty on the raw slopes.

    Returns
    -------
    design : Design

    Raises
    ------
    DependentColumnsError
        If the columns are dependent and no penalty decides between them.

    Notes
    -----
    A Gram matrix and a triangular solve, about 2 n p^2 operations in BLAS; a QR
    decomposition of X only where the Gram matrix would not tell the rank.
    """
    n = len(X)
    total = float(n if base is None else base.sum())
    columns, to_raw = _centred(X, base, total, fit_intercept=fit_intercept)
    d = X.shape[1]
    ridge = np.zeros(columns.shape[1])
    ridge[-d:] = np.sqrt(alpha) * np.diagonal(to_raw)[-d:]
    root = None if base is None else np.sqrt(base)
    factor = _triangle(columns, root, total, ridge, fit_intercept=fit_intercept)
    # Q = columns @ inv(factor), in place: the transpose is in Fortran order.
    basis = blas.dtrsm(1.0, factor, columns.T, trans_a=1, overwrite_b=1).T
    inverse = solve_triangular(factor, np.eye(len(factor)))
    scaled_ridge = ridge[:, None] * inverse
    return Design(
        basis=basis,
        base=base,
        total=total,
        to_raw=to_raw @ inverse,
        penalty=scaled_ridge.T @ scaled_ridge,
    )


def _centred(
    X: Array, base: Array | None, total: float, *, fit_intercept: bool
) -> tuple[Array, Array]:
    """Return centred and scaled columns (n, p) and their way back to raw ones (p, p).

    Centring loses no digits to large means; scaling keeps squares in range.
    """
    n, d = X.shape
    shift = int(fit_intercept)
    columns = np.empty((n, d + shift))
    low, high = X.min(axis=0), X.max(axis=0)
    if fit_intercept:
        columns[:, 0] = 1.0
        mean = X.mean(axis=0) if base is None else (base / total) @ X
        np.subtract(X, mean, out=columns[:, 1:])
        size = np.maximum(high - mean, mean - low)
        # A column is constant if its extremes agree; a rounded mean may miss them.
        constant = 0.5 * high - 0.5 * low <= 8 * _EPS * np.maximum(abs(low), abs(high))
        columns[:, 1:][:, constant] = 0.0
        size[constant] = 1.0
    else:
        mean = np.zeros(d)
        columns[:] = X
        size = np.maximum(abs(low), abs(high))
        size[size == 0.0] = 1.0
    columns[:, shift:] /= size
    to_raw = np.diag(np.r_[np.ones(shift), 1.0 / size])
    if fit_intercept:
        to_raw[0, 1:] = -mean / size
    return columns, to_raw


def _triangle(
    columns: Array,
    root: Array | None,
    total: float,
    ridge: Array,
    *,
    fit_intercept: bool,
) -> Array:
    """Return upper R (p, p) with ``R' R = columns' B columns / W + diag(ridge^2)``."""
    gram = _symmetric_square(columns, root) / total
    np.fill_diagonal(gram, np.diagonal(gram) + ridge**2)
    length = np.sqrt(np.diagonal(gram))
    _refuse_zero_columns(length, fit_intercept=fit_intercept)
    factor, info = lapack.dpotrf(gram / np.outer(length, length))
    if info == 0 and np.diagonal(factor).min() > _GRAM_SUFFICES:
        return np.triu(factor) * length
    weighted = columns if root is None else root[:, None] * columns
    stacked = np.vstack((weighted / np.sqrt(total), np.diag(ridge)))
    factor = qr(stacked / length, mode="r")[0][: len(length)]
    _refuse_dependent_columns(factor)
    # Signs as a Cholesky factor has them.
    return factor * np.sign(np.diagonal(factor))[:, None] * length


def _symmetric_square(columns: Array, root: Array | None) -> Array:
    """Return ``columns' diag(root^2) columns`` by one symmetric rank-n update."""
    weighted = columns if root is None else root[:, None] * columns
    return weighted.T @ weighted


def _refuse_zero_columns(length: Array, *, fit_intercept: bool) -> None:
    zero = np.flatnonzero(length == 0.0)
    if len(zero):
        # A centred column of zeros is a multiple of the intercept, which is column 0.
        others = np.zeros(int(fit_intercept), dtype=np.intp)
        raise DependentColumnsError(int(zero[0]), others)


def _refuse_dependent_columns(factor: Array) -> None:
    """Raise for the first column that those before it give, and name these."""
    p = factor.shape[1]
    size = np.abs(np.diagonal(factor))
    dependent = np.flatnonzero(size <= _DEPENDENT)
    if len(factor) >= p and not len(dependent):
        return
    column = int(dependent[0]) if len(dependent) else len(factor)
    mixture = solve_triangular(factor[:column, :column], factor[:column, column])
    others = np.flatnonzero(np.abs(mixture) > 1e-6 * np.abs(mixture).max(initial=0.0))
    raise DependentColumnsError(column, others)
