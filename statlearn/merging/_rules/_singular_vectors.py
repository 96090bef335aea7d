"""Singular vectors of several updates of one matrix, made orthonormal together.

The updates A_t = U_t Σ_t V_tᵀ of T models to one matrix, tall side first, are cut to
their leading k values. The columns of [U_1 ... U_T] overlap, and so do those of
[V_1 ... V_T]. Each of the two is replaced by its polar factor, the closest matrix with
orthonormal columns, and the product with Σ in between is the merged update. What has no
direction is left out: singular values at the rounding of the stored weights, and
directions that the models have in common up to this rounding.

Two routes lead there. Weights stored as float64 take full decompositions. Those stored
in fewer digits take the eigenvectors of n × n products in float64, with rows of the
updates read in blocks and no tall matrix kept. Products square the condition number κ,
but an error of 2e-16 κ² stays below the rounding 6e-8 κ of the input up to κ = 3e8, and
directions beyond some 1e7 are left out. Measured on updates of 256 × 256 with singular
values from 1 to 1e-6, stored as float32: the routes differ by 4e-13 of the norm of the
result in TSV-M and by 6e-10 in Iso-C, in which small values count as much as large.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._state._entry import Array, Entry

_EPS = float(np.finfo(np.float64).eps)
# Numbers in a block of rows: a quarter of a megabyte, of which two or three are held.
_BLOCK = 1 << 15


@dataclass(frozen=True, slots=True)
class MatrixUpdates:
    """What the models add to one matrix, read by blocks of rows.

    Attributes
    ----------
    base : ndarray of shape (m, n)
        Matrix of the base with its tall side first, m >= n.
    models : tuple of ndarray of shape (m, n)
        Matrices of the models.
    transposed : bool
        Whether the matrices are transposed views of the arrays.
    scales : ndarray of shape (T,)
        Factors on the updates.
    limits : ndarray of shape (T,)
        Magnitudes at which numbers of the updates are clipped; infinite for none.
    """

    base: NDArray[Any]
    models: tuple[NDArray[Any], ...]
    transposed: bool
    scales: Array
    limits: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, the larger first."""
        return self.base.shape[0], self.base.shape[1]

    def blocks(self) -> Iterator[slice]:
        """Cut the rows into slices."""
        m, n = self.shape
        step = max(1, _BLOCK // n)
        for start in range(0, m, step):
            yield slice(start, min(start + step, m))

    def raw(self, task: int, block: slice = slice(None)) -> Array:
        """Return rows of one update as it is, (b, n)."""
        update = self.models[task][block].astype(np.float64)
        update -= self.base[block]
        return update

    def rows(self, task: int, block: slice = slice(None)) -> Array:
        """Return rows of one update, clipped and scaled, (b, n)."""
        update = self.raw(task, block)
        limit, scale = self.limits[task], self.scales[task]
        if limit < np.inf:
            np.clip(update, -limit, limit, out=update)
        if scale != 1.0:
            update *= scale
        return update

    def all_double(self) -> bool:
        """Tell whether all digits of float64 count."""
        return min(a.dtype.itemsize for a in (self.base, *self.models)) >= 8

    def rounding(self) -> float:
        """Return the size of singular values that stand for rounding alone.

        Rounding of independent numbers of the norm F has singular values up to about
        F (1/√m + 1/√n).
        """
        arrays = (self.base, *self.models)
        digits = max(float(np.finfo(array.dtype).eps) for array in arrays)
        norm = max(
            sqrt(sum(_square(array[block]) for block in self.blocks()))
            for array in arrays
        )
        m, n = self.shape
        return digits * norm * (1.0 / sqrt(m) + 1.0 / sqrt(n))


def _square(values: NDArray[Any]) -> float:
    return float(np.einsum("ij,ij->", values, values, dtype=np.float64))


def matrix_updates(
    entry: Entry, scales: Array, limits: Array | None = None
) -> MatrixUpdates:
    """Read an array of two or more axes as a matrix, first axis against the rest."""
    rows = entry.shape[0]
    base, *models = (array.reshape(rows, -1) for array in (entry.base, *entry.models))
    transposed = base.shape[0] < base.shape[1]
    if transposed:
        base, models = base.T, [model.T for model in models]
    if limits is None:
        limits = np.full(len(models), np.inf)
    return MatrixUpdates(base, tuple(models), transposed, scales, limits)


# --- leading singular vectors ------------------------------------------------


@dataclass(frozen=True, slots=True)
class Leading:
    """Leading singular vectors of all updates side by side; K of them in all.

    Attributes
    ----------
    values : ndarray of shape (K,)
        Singular values.
    right : ndarray of shape (n, K)
        Right singular vectors.
    left : ndarray of shape (m, K) or None
        Left singular vectors, None if they are read by blocks.
    columns : list of ndarray
        The right vectors of each model, of shape (n, k_t); parts of `right`.
    left_overlap : ndarray of shape (K, K)
        Products of the left singular vectors.
    blur : float
        Distance up to which unit vectors count as the same.
    """

    values: Array
    right: Array
    left: Array | None
    columns: list[Array]
    left_overlap: Array
    blur: float


def leading(updates: MatrixUpdates, k: int) -> Leading:
    """Return up to k singular triplets of each update, without those of rounding."""
    if updates.all_double():
        return _leading_by_decomposition(updates, k)
    return _leading_by_products(updates, k)


def _leading_by_decomposition(updates: MatrixUpdates, k: int) -> Leading:
    rounding, floor = updates.rounding(), max(updates.shape) * _EPS
    lefts, values, rights, blur = [], [], [], floor
    for task, scale in enumerate(updates.scales):
        left, value, right = np.linalg.svd(updates.rows(task), full_matrices=False)
        noise = max(rounding * abs(scale), floor * value[0])
        kept = slice(0, int((value[:k] > noise).sum()))
        lefts.append(left[:, kept])
        values.append(value[kept])
        rights.append(right[kept].T)
        if value[0] > noise:
            blur = max(blur, noise / value[0])
    left, vectors = np.hstack(lefts), np.hstack(rights)
    return Leading(
        np.concatenate(values),
        vectors,
        left,
        _side_by_side(vectors, [len(part) for part in values]),
        left.T @ left,
        min(blur, 0.5),
    )


def _leading_by_products(updates: MatrixUpdates, k: int) -> Leading:
    n_models, n = len(updates.models), updates.shape[1]
    right = np.empty((n, n_models * k))
    columns = _side_by_side(right, [k] * n_models)
    for task, vectors in enumerate(columns):
        product = _product(updates, partial(updates.rows, task))
        vectors[:] = np.linalg.eigh(product)[1][:, : -k - 1 : -1]
    overlap = np.zeros((n_models * k,) * 2)
    for block in updates.blocks():
        stacked = _images(updates, columns, block)
        overlap += stacked.T @ stacked
    # Norms of the images have more digits than roots of the eigenvalues.
    sizes = np.sqrt(np.diag(overlap))
    noise = updates.rounding() * np.abs(updates.scales)
    tops = sizes.reshape(-1, k).max(axis=1)
    noise = np.maximum(noise, sqrt(_EPS) * tops)
    kept = sizes > np.repeat(noise, k)
    values = sizes[kept]
    if not kept.all():
        right, overlap = right[:, kept], overlap[np.ix_(kept, kept)]
        columns = _side_by_side(right, kept.reshape(-1, k).sum(axis=1))
    overlap /= values[:, None]
    overlap /= values
    present = tops > noise
    blur = max((noise[present] / tops[present]).max(initial=0.0), sqrt(n * _EPS))
    return Leading(
        values,
        right,
        None,
        columns,
        overlap,
        min(float(blur), 0.5),
    )


def _side_by_side(matrix: Array, widths: Sequence[int]) -> list[Array]:
    """Return views of columns of a matrix, so many of them in each."""
    return np.split(matrix, np.cumsum(widths)[:-1], axis=1)


def _product(updates: MatrixUpdates, rows: Callable[[slice], Array]) -> Array:
    """Return AᵀA of what is read by blocks of rows, (n, n)."""
    n = updates.shape[1]
    product = np.zeros((n, n))
    for block in updates.blocks():
        part = rows(block)
        product += part.T @ part
    return product


def _images(updates: MatrixUpdates, columns: list[Array], block: slice) -> Array:
    """Return the block's rows of [A_1 V_1 ... A_T V_T], (b, K)."""
    width = sum(vectors.shape[1] for vectors in columns)
    images = np.empty((block.stop - block.start, width))
    parts = _side_by_side(images, [vectors.shape[1] for vectors in columns])
    for task, (vectors, part) in enumerate(zip(columns, parts, strict=True)):
        np.matmul(updates.rows(task, block), vectors, out=part)
    return images


# --- polar factors -----------------------------------------------------------


def polar(columns: Array, blur: float) -> Array:
    """Return the closest partial isometry, without directions shorter than the blur."""
    left, values, right = np.linalg.svd(columns, full_matrices=False)
    kept = values > blur * values.max(initial=0.0)
    product: Array = left[:, kept] @ right[kept]
    return product


def inverse_root(overlap: Array, blur: float) -> Array:
    """Return C^(-1/2) on the range of C, (K, K): U C^(-1/2) is the polar factor."""
    values, vectors = np.linalg.eigh(overlap)
    return _from_inverse_roots(
        values, vectors, values > blur**2 * values.max(initial=0.0)
    )


def _from_inverse_roots(values: Array, vectors: Array, kept: NDArray[np.bool]) -> Array:
    """Return V diag(values)^(-1/2) Vᵀ over what is kept; writes over the vectors."""
    vectors *= np.where(kept, values, np.inf) ** -0.25
    root: Array = vectors @ vectors.T
    return root


# --- products ----------------------------------------------------------------


def orthogonal_sum(updates: MatrixUpdates, k: int, lam: float) -> NDArray[Any]:
    """Return base + lam U⊥ Σ V⊥ᵀ in the shape and data type of the array."""
    found = leading(updates, k)
    if found.left is not None:
        left = polar(found.left, found.blur)
        right = polar(found.right, found.blur)
        merged = updates.base + lam * (left * found.values) @ right.T
        return merged.T if updates.transposed else merged
    right = found.right @ inverse_root(found.right.T @ found.right, found.blur)
    # The images are U Σ, so U C^(-1/2) Σ V⊥ᵀ is a product of them.
    root = inverse_root(found.left_overlap, found.blur)
    root /= found.values[:, None]
    root *= lam * found.values
    factor, columns = root @ right.T, found.columns
    del found, right, root  # which are as large as small results
    return _written(updates, partial(_images, updates, columns), factor)


def _written(
    updates: MatrixUpdates, rows: Callable[[slice], Array], factor: Array
) -> NDArray[Any]:
    """Return base + R factor, for a matrix R that is read by blocks of rows."""
    m, n = updates.shape
    merged = np.empty((n, m) if updates.transposed else (m, n), updates.base.dtype)
    target = merged.T if updates.transposed else merged
    for block in updates.blocks():
        moved = rows(block) @ factor
        moved += updates.base[block]
        target[block] = moved
    return merged


def overlaps(updates: MatrixUpdates, k: int) -> tuple[Array, Array, Array]:
    """Return Σ (K,), UᵀU and VᵀV (K, K) of the leading singular vectors."""
    found = leading(updates, k)
    return found.values, found.left_overlap, found.right.T @ found.right


def flattened_sum(updates: MatrixUpdates, lam: float) -> NDArray[Any]:
    """Return base + lam mean(S) P Qᵀ, from the sum P S Qᵀ of the updates.

    The mean is over singular values that are not rounding; others have no direction.
    """
    m, n = updates.shape
    rounding = updates.rounding() * float(np.abs(updates.scales).sum())
    if updates.all_double():
        left, sizes, right = np.linalg.svd(_summed(updates), full_matrices=False)
        kept = sizes > max(rounding, m * _EPS * sizes[0])
        level = sizes[kept].mean() if kept.any() else 0.0
        merged = updates.base + (lam * level) * (left[:, kept] @ right[kept])
        return merged.T if updates.transposed else merged
    rows = partial(_summed, updates)
    squares, vectors = np.linalg.eigh(_product(updates, rows))
    kept = squares > max(rounding**2, n * _EPS * squares[-1])
    level = np.sqrt(squares[kept]).mean() if kept.any() else 0.0
    factor = _from_inverse_roots(squares, vectors, kept)
    factor *= lam * level
    del vectors  # which are as large as a small result
    return _written(updates, rows, factor)


def _summed(updates: MatrixUpdates, block: slice = slice(None)) -> Array:
    """Return rows of the sum of the updates, (b, n)."""
    total = updates.rows(0, block)
    for task in range(1, len(updates.models)):
        total += updates.rows(task, block)
    return total
