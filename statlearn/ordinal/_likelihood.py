"""Weighted mean negative log-likelihood of an ordinal model, with derivatives.

Coefficients live in two coordinate systems, both arrays of shape (m, 1 + p) with the
intercept in column 0:

* `beta[k]`: the coefficients of boundary ``k``;
* `theta[0] = beta[0]`, `theta[k] = beta[k] - beta[k-1]`: the *differences*, in which
  the fusion penalty is separable and a proportional column is one non-zero entry.

A gradient moves from `beta` to `theta` by a reverse cumulative sum over boundaries, a
Hessian by the same in both of its boundary axes. One gradient costs two products with
the design whatever the number of classes; one Hessian at most three weighted Gram
matrices over each row (cumulative family).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ._design import (
    Design,
    Matrix,
    linear_predictors,
    project,
    row_chunks,
    take_columns,
    weighted_cross,
    weighted_gram,
)
from ._families import Family, Terms

Array = NDArray[np.float64]


@dataclass
class Piece:
    """Rows that share one formula: their weights, boundaries and loss."""

    weight: Array  # (n,)
    touched: range
    terms: Callable[..., Terms]  # (eta, *, curvature, surrogate) -> Terms


def class_pieces(design: Design, family: Family) -> list[Piece]:
    """Return one piece for each class of the design."""
    m = len(design.block) - 1
    return [
        Piece(weight, family.touched(c, m), partial(family.terms, c, m))
        for c, weight in enumerate(design.weight)
    ]


def boundary_slopes(theta: Array) -> Array:
    """Return `beta` (..., m, q) of differences `theta`."""
    return np.cumsum(theta, axis=-2)


def differences(beta: Array) -> Array:
    """Return `theta` (m, q) of boundary coefficients; inverts `boundary_slopes`."""
    return np.diff(beta, axis=0, prepend=0.0)


def _reverse_cumsum(values: Array, axis: int) -> Array:
    return np.flip(np.cumsum(np.flip(values, axis), axis=axis), axis)


class Likelihood:
    """The smooth part of the objective over a list of pieces.

    Parameters
    ----------
    pieces : list of Piece
    m : int
        Number of boundaries.
    convex : bool
        Whether the loss is convex, so that its Hessian can be trusted everywhere.

    Notes
    -----
    `view` below is a list of matrices, one for each piece, that hold the columns under
    consideration; `etas` a list of (t, n) arrays, one for each piece.
    """

    def __init__(self, pieces: list[Piece], m: int, *, convex: bool = True) -> None:
        self.pieces = pieces
        self.m = m
        self.convex = convex

    def predictors(self, theta: Array, view: Iterable[Matrix]) -> list[Array]:
        """Return `etas` for differences theta (m, q) on the columns of a view."""
        beta = boundary_slopes(theta)
        return [
            linear_predictors(matrix, beta[piece.touched.start : piece.touched.stop])
            for piece, matrix in zip(self.pieces, view, strict=True)
        ]

    def value(self, etas: list[Array]) -> tuple[float, list[Array]]:
        """Return the weighted loss and its gradient in `etas`, (t, n) a piece.

        The value is ``inf`` outside the domain (a class of an observed row has no
        probability left).
        """
        total, gradients = 0.0, []
        with np.errstate(all="ignore"):
            for piece, eta in zip(self.pieces, etas, strict=True):
                terms = piece.terms(eta, curvature=False)
                total += float(piece.weight @ terms.loss)
                gradients.append(terms.gradient * piece.weight)
        return (total if np.isfinite(total) else np.inf), gradients

    def gradient(self, row_gradients: list[Array], view: Iterable[Matrix]) -> Array:
        """Return the gradient in theta, (m, q), from gradients in `etas`."""
        total: Array | None = None
        for piece, matrix, rows in zip(self.pieces, view, row_gradients, strict=True):
            if total is None:
                total = np.zeros((self.m, matrix.shape[1]))
            total[piece.touched.start : piece.touched.stop] += project(matrix, rows)
        return _reverse_cumsum(total, 0)

    def hessian(
        self,
        etas: list[Array],
        view: list[Matrix],
        mask: NDArray[np.bool_],
        *,
        surrogate: bool = False,
    ) -> Array:
        """Return the Hessian of the entries of theta that a mask (m, q) selects.

        Entries are ordered as ``np.nonzero(mask)``. Columns of which only the first
        row is selected have equal slopes at every boundary: their mutual block needs a
        single Gram matrix, with the curvature of a common shift of all boundaries.
        """
        shared = ~mask[1:].any(axis=0)
        split_index, shared_index = np.flatnonzero(~shared), np.flatnonzero(shared)
        s, q = len(split_index), len(shared_index)
        split = np.zeros((self.m, self.m, s, s))
        mixed = np.zeros((self.m, s, q))
        common = np.zeros((q, q))
        for piece, matrix, eta in zip(self.pieces, view, etas, strict=True):
            left = take_columns(matrix, split_index) if q else matrix
            right = take_columns(matrix, shared_index) if q else None
            for rows in row_chunks(matrix):
                pairs, curvature = _row_curvature(piece, eta, rows, surrogate)
                for (k, j), bend in zip(pairs, curvature, strict=True):
                    split[k, j] += weighted_gram(left[rows], bend)
                if right is None:
                    continue
                by_boundary = _boundary_sums(pairs, curvature)
                for k, bend in by_boundary.items():
                    mixed[k] += weighted_cross(left[rows], right[rows], bend)
                common += weighted_gram(right[rows], sum(by_boundary.values()))
        return _assemble(split, mixed, common, mask, split_index, shared_index)


def _row_curvature(
    piece: Piece, eta: Array, rows: slice, surrogate: bool
) -> tuple[list[tuple[int, int]], list[Array]]:
    """Return weighted row curvatures of one chunk for each pair of boundaries."""
    with np.errstate(all="ignore"):
        terms = piece.terms(
            np.ascontiguousarray(eta[:, rows]), curvature=True, surrogate=surrogate
        )
        weight = piece.weight[rows]
        bends = [weight * bend for bend in terms.curvature]
    start = piece.touched.start
    return [(start + k, start + j) for k, j in terms.pairs], bends


def _boundary_sums(
    pairs: list[tuple[int, int]], curvature: list[Array]
) -> dict[int, Array]:
    """Return for each boundary its curvature against a shift of all boundaries."""
    sums: dict[int, Array] = {}
    for (k, j), bend in zip(pairs, curvature, strict=True):
        for boundary in {k, j}:
            sums[boundary] = sums[boundary] + bend if boundary in sums else bend
    return sums


def _assemble(
    split: Array,
    mixed: Array,
    common: Array,
    mask: NDArray[np.bool_],
    split_index: NDArray[np.intp],
    shared_index: NDArray[np.intp],
) -> Array:
    """Move the blocks to difference coordinates and order them as the mask."""
    m, _, s, _ = split.shape
    lower = np.tril_indices(m, -1)
    split[lower] = split[lower[1], lower[0]]  # Gram blocks are symmetric themselves
    split = _reverse_cumsum(_reverse_cumsum(split, 0), 1)
    mixed = _reverse_cumsum(mixed, 0)
    chosen = np.flatnonzero(mask[:, split_index])
    q = len(shared_index)
    full = np.empty((len(chosen) + q, len(chosen) + q))
    flat = split.transpose(0, 2, 1, 3).reshape(m * s, m * s)
    full[: len(chosen), : len(chosen)] = flat[np.ix_(chosen, chosen)]
    cross = mixed.reshape(m * s, q)[chosen]
    full[: len(chosen), len(chosen) :] = cross
    full[len(chosen) :, : len(chosen)] = cross.T
    full[len(chosen) :, len(chosen) :] = common
    flat_mask_position = np.full(mask.shape, -1)
    flat_mask_position[mask] = np.arange(mask.sum())
    k, column = np.unravel_index(chosen, (m, s)) if s else (chosen, chosen)
    position = np.concatenate(
        (
            flat_mask_position[k, split_index[column]],
            flat_mask_position[0, shared_index],
        )
    )
    ordered = np.empty_like(full)
    ordered[np.ix_(position, position)] = full
    return ordered
