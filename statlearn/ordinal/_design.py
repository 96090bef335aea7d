"""The design matrix as the solver wants it: sorted by class, scaled, with intercept.

Sorting turns "rows of class c" into contiguous blocks, so that every product with the
design is one BLAS call for each class. Dense input is centred and scaled in one private
copy; sparse input is only scaled, because free intercepts absorb any centring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from statlearn.utils._columns import hardly_vary

Array = NDArray[np.float64]
# A dense (n, q) array or a CSC matrix; both support `@` and column selection.
Matrix = Any

# Rows handled at once where a scaled copy of the design is needed: small enough to
# stay in cache, large enough for BLAS to run at full speed.
CHUNK_ROWS = 2048
# Up to this many products of matrix and vector are faster than one thin matrix product,
# if the matrix has so many entries that the calls themselves do not count.
_FEW_ROWS = 3
_MANY_ENTRIES = 50_000


@dataclass
class Design:
    """Blocks of rows of equal class; column 0 of each is the intercept.

    `block[c]` has shape (n_c, 1 + p), `weight[c]` shape (n_c,), all weights summing to
    one. The slope of raw column j is the fitted one divided by `scale[j]`.
    """

    block: list[Matrix]
    weight: list[Array]
    center: Array  # (p,)
    scale: Array  # (p,)
    constant: NDArray[np.bool_]  # (p,) columns without variation
    total_weight: float

    @property
    def n_columns(self) -> int:
        """Number of columns with the intercept."""
        return self.block[0].shape[1]

    def to_raw(self, beta: Array) -> tuple[Array, Array]:
        """Return raw intercepts (..., m) and slopes (..., m, p) of scaled ones."""
        slopes = beta[..., 1:] / self.scale
        return beta[..., 0] - slopes @ self.center, slopes

    def from_raw(self, intercept: Array, slopes: Array) -> Array:
        """Return scaled coefficients (m, 1 + p); the inverse of `to_raw`."""
        return np.column_stack((intercept + slopes @ self.center, slopes * self.scale))


def build_design(
    X: Matrix, codes: NDArray[np.intp], weight: Array, n_classes: int, scale: bool
) -> Design:
    """Sort, centre and scale X (n, p), whose rows all have positive weight."""
    order = np.argsort(codes, kind="stable")
    bounds = np.concatenate(([0], np.cumsum(np.bincount(codes, minlength=n_classes))))
    total = float(weight.sum())
    share = weight[order] / total
    pieces = [slice(bounds[c], bounds[c + 1]) for c in range(n_classes)]
    if sparse.issparse(X):
        stacked, moments = _sparse_columns(X, order, share, scale)
        block = [stacked[piece].tocsc() for piece in pieces]
    else:
        stacked, moments = _dense_columns(X, order, share, scale)
        block = [stacked[piece] for piece in pieces]
    return Design(block, [share[piece] for piece in pieces], *moments, total)


def _dense_columns(
    X: Array, order: NDArray[np.intp], share: Array, scale: bool
) -> tuple[Array, tuple[Array, Array, NDArray[np.bool_]]]:
    n_rows, p = X.shape
    out = np.empty((n_rows, 1 + p))
    out[:, 0] = 1.0
    chunks = [slice(s, s + CHUNK_ROWS) for s in range(0, n_rows, CHUNK_ROWS)]
    center, low, high = np.zeros(p), np.full(p, np.inf), np.full(p, -np.inf)
    for rows in chunks:
        part = X[order[rows]]
        out[rows, 1:] = part
        center += share[rows] @ part
        np.minimum(low, part.min(axis=0), out=low)
        np.maximum(high, part.max(axis=0), out=high)
    constant = hardly_vary(low, high)
    # Divide by the peak first: squares of very large or tiny columns stay in range.
    peak = np.where(constant, 1.0, np.maximum(high - center, center - low))
    variance = np.zeros(p)
    for rows in chunks:
        part = out[rows, 1:]
        part -= center
        variance += share[rows] @ np.square(part / peak)
    width = np.sqrt(variance) * peak if scale else np.ones(p)
    width[constant] = 1.0
    for rows in chunks:
        out[rows, 1:] /= width
    out[:, 1:][:, constant] = 0.0
    return out, (center, width, constant)


def _sparse_columns(
    X: Matrix, order: NDArray[np.intp], share: Array, scale: bool
) -> tuple[Matrix, tuple[Array, Array, NDArray[np.bool_]]]:
    rows = X.tocsr()[order].astype(np.float64)
    n_rows, p = rows.shape
    magnitude = abs(rows)
    peak = np.asarray(magnitude.max(axis=0).todense()).ravel()
    peak[peak == 0.0] = 1.0
    unit = rows @ sparse.diags_array(1.0 / peak)
    mean = unit.T @ share
    # Variance as E[(x - mean)^2], where the implicit zeros contribute mean^2.
    stored = unit.tocsc()
    deviation = stored.copy()
    column = np.repeat(np.arange(p), np.diff(stored.indptr))
    deviation.data = (stored.data - mean[column]) ** 2
    occupied = stored.copy()
    occupied.data = np.ones_like(stored.data)
    empty_share = np.clip(1.0 - occupied.T @ share, 0.0, 1.0)
    variance = deviation.T @ share + empty_share * mean**2
    constant = hardly_vary(
        *(extreme.toarray().ravel() for extreme in (unit.min(axis=0), unit.max(axis=0)))
    )
    width = np.where(constant, 1.0, np.sqrt(variance) * peak) if scale else np.ones(p)
    # Constant columns are emptied: the intercept already spans them.
    factor = np.where(constant, 0.0, 1.0 / width)
    ones = sparse.csr_array(np.ones((n_rows, 1)))
    scaled = sparse.csr_array(rows @ sparse.diags_array(factor))
    stacked = sparse.hstack((ones, scaled), format="csr")
    return stacked, (np.zeros(p), width, constant)


def take_columns(matrix: Matrix, index: NDArray[np.intp]) -> Matrix:
    """Select ascending columns, into a contiguous copy unless they are neighbours."""
    if sparse.issparse(matrix):
        return matrix[:, index]
    if len(index) and index[-1] - index[0] == len(index) - 1:
        return matrix[:, index[0] : index[-1] + 1]  # neighbours need no copy
    return np.take(matrix, index, axis=1)


def row_chunks(matrix: Matrix) -> list[slice]:
    """Return slices of rows of a size that suits `weighted_gram`."""
    n_rows = matrix.shape[0]
    step = n_rows if sparse.issparse(matrix) else CHUNK_ROWS
    return [slice(s, s + step) for s in range(0, n_rows, max(step, 1))]


def linear_predictors(matrix: Matrix, beta: Array) -> Array:
    """Return ``beta @ matrix.T`` as a contiguous (t, n) array."""
    if sparse.issparse(matrix):
        return np.ascontiguousarray((matrix @ beta.T).T)
    if len(beta) <= _FEW_ROWS and matrix.size > _MANY_ENTRIES:
        return np.array([matrix @ row for row in beta])
    return beta @ matrix.T


def project(matrix: Matrix, gradient: Array) -> Array:
    """Return ``gradient @ matrix``, (t, n) times (n, q)."""
    if sparse.issparse(matrix):
        return np.asarray((matrix.T @ gradient.T).T)
    if len(gradient) <= _FEW_ROWS and matrix.size > _MANY_ENTRIES:
        return np.array([row @ matrix for row in gradient])
    return gradient @ matrix


class Scratch:
    """Memory for scaled copies of some rows, used again and again.

    The memory of a fresh copy could come from the system each time, page by page.
    """

    def __init__(self) -> None:
        self._memory = np.empty(0)

    def scaled(self, matrix: Array, weight: Array) -> Array:
        """Return the rows of a matrix times weights, valid until the next call."""
        if self._memory.size < matrix.size:
            self._memory = np.empty(matrix.size)
        out = self._memory[: matrix.size].reshape(matrix.shape)
        return np.multiply(matrix, weight[:, None], out=out)


def weighted_gram(
    matrix: Matrix, weight: Array, scratch: Scratch | None = None
) -> Array:
    """Return the symmetric ``matrix.T @ diag(weight) @ matrix`` as a dense array.

    Weights of one sign are split as square roots, which lets BLAS use its symmetric
    rank-k update at half the cost of a general product.
    """
    if sparse.issparse(matrix):
        return (matrix.T @ sparse.diags_array(weight) @ matrix).toarray()
    scratch = scratch or Scratch()
    if weight.min(initial=0.0) >= 0.0:
        root = scratch.scaled(matrix, np.sqrt(weight))
        return root.T @ root
    if weight.max(initial=0.0) <= 0.0:
        return -weighted_gram(matrix, -weight, scratch)
    return matrix.T @ scratch.scaled(matrix, weight)  # NaN too


def weighted_cross(left: Matrix, right: Matrix, weight: Array) -> Array:
    """Return ``left.T @ diag(weight) @ right`` as a dense array."""
    if sparse.issparse(left):
        return (left.T @ sparse.diags_array(weight) @ right).toarray()
    if left.shape[1] < right.shape[1]:
        return (weight[:, None] * left).T @ right
    return left.T @ (weight[:, None] * right)
