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

from collections.abc import Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from statlearn.ordinal._curvature import (
    Piece,
    accumulate_from_above,
    explicit_hessian,
    explicit_is_cheap,
    group_pieces,
    implicit_hessian,
)
from statlearn.ordinal._design import Design, Matrix, linear_predictors, project
from statlearn.ordinal._families import Family
from statlearn.ordinal._quadratic import ExplicitHessian, ImplicitHessian

Array = NDArray[np.float64]


def class_pieces(design: Design, family: Family) -> list[Piece]:
    """Return one piece for each class of the design."""
    m = len(design.block) - 1
    return [
        Piece(
            weight,
            family.touched(c, m),
            partial(family.terms, c, m),
            formula=family.formula(c, m),
        )
        for c, weight in enumerate(design.weight)
    ]


def boundary_slopes(theta: Array) -> Array:
    """Return `beta` (..., m, q) of differences `theta`."""
    # Whole rows at a time: np.cumsum would stride through them.
    beta = theta.copy()
    for k in range(1, theta.shape[-2]):
        beta[..., k, :] += beta[..., k - 1, :]
    return beta


def differences(beta: Array) -> Array:
    """Return `theta` (m, q) of boundary coefficients; inverts `boundary_slopes`."""
    return np.diff(beta, axis=0, prepend=0.0)


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
        self._groups = group_pieces(pieces)
        self.convex = convex

    def predictors(self, theta: Array, view: Iterable[Matrix]) -> list[Array]:
        """Return `etas` for differences theta (m, q) on the columns of a view."""
        beta = boundary_slopes(theta)
        parallel = not theta[1:, 1:].any()
        out = []
        for piece, matrix in zip(self.pieces, view, strict=True):
            rows = beta[piece.touched.start : piece.touched.stop]
            eta = linear_predictors(matrix, rows[:1] if parallel else rows)
            # Boundaries with equal slopes differ by their intercepts alone.
            out.append(eta + (rows[:, :1] - rows[0, 0]) if parallel else eta)
        return out

    def value(self, etas: list[Array]) -> tuple[float, list[Array]]:
        """Return the weighted loss and its gradient in `etas`, (t, n) a piece.

        The value is ``inf`` outside the domain (a class of an observed row has no
        probability left).
        """
        total = 0.0
        gradients: list[Array] = [np.empty(0)] * len(etas)
        with np.errstate(all="ignore"):
            for group in self._groups:
                loss, rows = group.joined.value(group.join(etas))
                total += loss
                for i, span in zip(group.members, group.spans, strict=True):
                    gradients[i] = rows[:, span]
        return (total if np.isfinite(total) else np.inf), gradients

    def gradient(
        self,
        row_gradients: list[Array],
        view: Iterable[Matrix],
        mask: NDArray[np.bool_] | None = None,
    ) -> Array:
        """Return the gradient in theta, (m, q), from gradients in `etas`.

        Slopes outside a mask may be left at zero.
        """
        view = list(view)
        total = np.zeros((self.m, view[0].shape[1]))
        parallel = mask is not None and not mask[1:, 1:].any()
        for piece, matrix, rows in zip(self.pieces, view, row_gradients, strict=True):
            where = slice(piece.touched.start, piece.touched.stop)
            if parallel:  # slopes only count at the last boundary, which sums them all
                total[-1, 1:] += project(matrix, rows.sum(axis=0)[None])[0, 1:]
                total[where, 0] += rows.sum(axis=1)
            else:
                total[where] += project(matrix, rows)
        return accumulate_from_above(total)

    def hessian(
        self,
        etas: list[Array],
        view: list[Matrix],
        mask: NDArray[np.bool_],
        *,
        surrogate: bool = False,
    ) -> Array:
        """Return the Hessian of the entries of theta that a mask (m, q) selects.

        Entries are ordered as ``np.nonzero(mask)``. See `_curvature` for how.
        """
        return explicit_hessian(
            self.pieces, self._groups, etas, view, mask, surrogate=surrogate
        )

    def hessian_model(
        self,
        etas: list[Array],
        view: list[Matrix],
        mask: NDArray[np.bool_],
        *,
        surrogate: bool = False,
    ) -> ExplicitHessian | ImplicitHessian:
        """Return the Hessian as a matrix, or as an operator where it would be large."""
        if explicit_is_cheap(mask):
            return ExplicitHessian(self.hessian(etas, view, mask, surrogate=surrogate))
        return implicit_hessian(self, etas, view, mask, surrogate=surrogate)
