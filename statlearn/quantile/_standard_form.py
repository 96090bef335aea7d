"""From a weighted pinball problem to one in the units of the solver, and back.

The solver wants columns of unit size without a common location. A sum of one allows to
take y off every column of the sum; free columns are replaced by an orthonormal basis of
their span and taken off all others, so that collinear and constant columns, rows fewer
than columns and targets far from zero are no special cases any more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from statlearn.quantile._barrier import Block
from statlearn.quantile._constraint import Constraint

Array = NDArray[np.float64]

# A column counts as zero if taking the free ones off leaves less of it than this.
_NOTHING = 1e-13


@dataclass(frozen=True, slots=True)
class StandardForm:
    """A problem in the units of the solver, and the way back.

    Of B problems with shared columns some arrays have one entry instead of B.

    Attributes
    ----------
    block : Block
        Its weights ``up + down`` have mean one.
    constraint : Constraint
    start : ndarray of shape (B, c)
        Weights inside the constraint.
    unit : ndarray of shape (B,) or (1,)
        Of the target.
    size : ndarray of shape (B, c - n_free) or (1, c - n_free)
        Of the other columns, infinite where nothing is left of a column.
    mixing : ndarray of shape (B, k, n_free) or (1, k, n_free)
        From coordinates in the basis to coefficients of the free columns.
    offset : ndarray of shape (B, n_free) or (1, n_free)
        Of the target along the basis.
    share : ndarray of shape (B, c - n_free, n_free) or (1, c - n_free, n_free)
        Of the other columns along the basis.
    base : int or None
        Where the coefficients begin whose sum is one, if that was eliminated.
    """

    block: Block
    constraint: Constraint
    start: Array
    unit: Array
    size: Array
    mixing: Array
    offset: Array
    share: Array
    base: int | None

    def coefficients(self, w: Array) -> Array:
        """Return the coefficients (B, n_columns) of weights (B, c) of the block."""
        k, unit = self.constraint.n_free, self.unit[:, None]
        inner = w[:, k:] * (unit / self.size)
        along = self.offset + w[:, :k] * unit
        along = along - np.matmul(inner[:, None, :], self.share)[:, 0]
        free = np.matmul(self.mixing, along[:, :, None])[:, :, 0]
        coef = np.concatenate([free, inner], axis=1)
        if self.base is None:
            return coef
        rest = 1.0 - coef[:, self.base :].sum(axis=1, keepdims=True)
        return np.concatenate([coef, rest], axis=1)


def standard_form(
    X: Array,
    y: Array,
    level: Array,
    weight: Array,
    constraint: Constraint,
) -> StandardForm:
    """Return the well-scaled form of B problems.

    Parameters
    ----------
    X : ndarray of shape (N, k) or (B, N, k)
        Not changed; the form holds a copy.
    y, weight : ndarray of shape (N,)
        Weights are positive.
    level : ndarray of shape (B, 1) or (B, N)
    constraint : Constraint

    Returns
    -------
    form : StandardForm
    """
    nonneg, n_free = constraint.nonneg, constraint.n_free
    columns = np.array(X.swapaxes(-1, -2), dtype=np.float64, order="C", copy=True)
    columns = columns.reshape(-1, *columns.shape[-2:])
    target, base, rounded = y[None], None, np.zeros(len(columns))
    if constraint.sum_to_one and nonneg:
        columns[:, n_free:] -= y
        target = np.zeros((1, len(y)))
    elif constraint.sum_to_one:
        last = columns[:, -1].copy()
        columns = columns[:, :-1]
        columns[:, n_free:] -= last[:, None]
        target, base, rounded = y - last, n_free, np.abs(last).max(axis=1)
    if not nonneg:
        n_free = columns.shape[1]
    constraint = Constraint(True, constraint.sum_to_one and nonneg, n_free)
    columns, target, mixing, offset, share = _split_off(
        columns, target, n_free, rounded
    )
    inner = columns[:, n_free:]
    size = np.abs(inner).mean(axis=2)
    if constraint.sum_to_one:
        unit = _positive(size.mean(axis=1))
        size = np.broadcast_to(unit[:, None], size.shape)
    else:
        unit = _positive(np.abs(target).mean(axis=1))
        whole = np.abs(share).sum(axis=2) + size
        size = np.where(size > _NOTHING * whole, size, np.inf)
    inner /= size[:, :, None]
    cost = weight / weight.mean()
    up = np.ascontiguousarray(np.broadcast_to(cost * level, (len(level), len(y))))
    block = Block(columns, target / unit[:, None], up, cost - up)
    return StandardForm(
        block,
        constraint,
        _inside(block, constraint),
        unit,
        size,
        mixing,
        offset,
        share,
        base,
    )


def _positive(size: Array) -> Array:
    return np.where(size > 0.0, size, 1.0)


def _inside(block: Block, constraint: Constraint) -> Array:
    start = np.zeros((len(block.up), block.columns.shape[1]))
    n_inner = start.shape[1] - constraint.n_free
    start[:, constraint.n_free :] = 1.0 / max(n_inner, 1)
    return start


def _split_off(
    columns: Array, target: Array, n_free: int, rounded: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Replace free columns by a basis of their span; take it off everything else.

    The size of what was taken off the columns before, `rounded`, tells how much of them
    is rounding.
    """
    n_forms, n_inner = len(columns), columns.shape[1] - n_free
    if n_free == 0:
        mixing, offset = np.zeros((n_forms, 0, 0)), np.zeros((n_forms, 0))
        return columns, target, mixing, offset, np.zeros((n_forms, n_inner, 0))
    bases = [
        _basis(part, size)
        for part, size in zip(columns[:, :n_free], rounded, strict=True)
    ]
    rank = max(len(basis) for basis, _ in bases)
    mixing = np.zeros((n_forms, n_free, rank))
    out = np.zeros((n_forms, rank + n_inner, columns.shape[2]))
    for form, (basis, back) in enumerate(bases):
        out[form, : len(basis)] = basis
        mixing[form, :, : len(basis)] = back
    out[:, rank:] = columns[:, n_free:]
    basis, inner = out[:, :rank], out[:, rank:]
    n = columns.shape[2]
    offset = np.matmul(basis, target[:, :, None])[:, :, 0] / n
    target = target - np.matmul(offset[:, None, :], basis)[:, 0]
    share = np.matmul(inner, basis.transpose(0, 2, 1)) / n
    inner -= np.matmul(share, basis)
    return out, target, mixing, offset, share


def _basis(free: Array, rounded: float) -> tuple[Array, Array]:
    """Return a basis (r, N) with mean squares one, and its mixing (k, r)."""
    k, n = free.shape
    norm = _positive(np.sqrt(np.vecdot(free, free)))
    q, r, order = linalg.qr((free / norm[:, None]).T, mode="economic", pivoting=True)
    strength = np.abs(np.diag(r))
    noise = np.maximum(
        strength.max(initial=0.0), rounded / norm[order[: len(strength)]]
    )
    above = strength > max(n, k) * np.finfo(np.float64).eps * noise
    rank = len(above) if above.all() else int(above.argmin())
    mixing = np.zeros((k, rank))
    kept = order[:rank]
    mixing[kept] = linalg.solve_triangular(r[:rank, :rank], np.eye(rank))
    mixing *= np.sqrt(n) / norm[:, None]
    return np.ascontiguousarray(q[:, :rank].T) * np.sqrt(n), mixing
