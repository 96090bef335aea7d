"""Second derivatives of the likelihood in difference coordinates.

In boundary coordinates the Hessian consists of blocks ``Z' diag(h_kl) Z``, one for each
pair of boundaries that share rows. Moving to differences sums them cumulatively from
above in both boundary axes. Two forms are built from the same row curvatures: an
explicit matrix over the entries in play, and an operator for many entries.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from statlearn.ordinal._design import (
    Matrix,
    Scratch,
    project,
    row_chunks,
    take_columns,
    weighted_cross,
    weighted_gram,
)
from statlearn.ordinal._families import Terms
from statlearn.ordinal._quadratic import ImplicitHessian

if TYPE_CHECKING:
    from statlearn.ordinal._likelihood import Likelihood

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
# Symmetric matrices (s, s) of pairs of boundaries k <= j; missing ones are zero.
Blocks = dict[tuple[int, int], Array]
# Pairs of boundaries, and for each its weighted curvatures (n,).
Curvature = tuple[list[tuple[int, int]], list[Array]]

# An explicit Hessian may have this many rows, before and after masking.
_EXPLICIT_LIMIT = 2000
# Rows whose losses are computed at once. The memory of larger temporaries would go back
# to the system each time and return page by page; shorter chunks spend more on calls.
_CHUNK = 10_000


@dataclass
class Piece:
    """Rows that share one formula: their weights, boundaries and loss.

    Pieces of equal `formula` may be evaluated together; None stands alone.
    """

    weight: Array  # (n,)
    touched: range
    terms: Callable[..., Terms]  # (eta, *, curvature, surrogate) -> Terms
    formula: Hashable = None

    def value(self, eta: Array) -> tuple[float, Array]:
        """Return the weighted loss and its gradient (t, n)."""
        total, gradient = 0.0, np.empty_like(eta)
        for rows in self._chunks():
            terms = self.terms(eta[:, rows], curvature=False)
            total += float(self.weight[rows] @ terms.loss)
            np.multiply(terms.gradient, self.weight[rows], out=gradient[:, rows])
        return total, gradient

    def _chunks(self) -> list[slice]:
        n_rows = len(self.weight)
        return [slice(s, s + _CHUNK) for s in range(0, n_rows, _CHUNK)]

    def row_curvature(self, eta: Array, rows: slice, surrogate: bool) -> Curvature:
        """Return pairs of boundaries and their weighted curvatures on some rows."""
        with np.errstate(all="ignore"):
            terms = self.terms(
                np.ascontiguousarray(eta[:, rows]), curvature=True, surrogate=surrogate
            )
            weight = self.weight[rows]
            bends = [weight * bend for bend in terms.curvature]
        start = self.touched.start
        return [(start + k, start + j) for k, j in terms.pairs], bends

    def curvature(self, eta: Array, surrogate: bool) -> Curvature:
        """Return the same on all rows."""
        parts = [self.row_curvature(eta, rows, surrogate) for rows in self._chunks()]
        pairs = parts[0][0] if parts else []
        bends = zip(*(some for _, some in parts), strict=True)
        return pairs, [np.concatenate(bend) for bend in bends]


@dataclass
class Group:
    """Pieces of one formula, joined into a single one.

    With many classes the overhead of a call for each piece would be more than the
    arithmetic.
    """

    members: list[int]  # positions of the pieces
    joined: Piece  # all their rows; touches what the first of them touches
    spans: list[slice]  # rows of each member

    def join(self, etas: list[Array]) -> Array:
        """Return the linear predictors (t, n) of all members."""
        parts = [etas[i] for i in self.members]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def group_pieces(pieces: list[Piece]) -> list[Group]:
    """Join pieces of equal formula."""
    positions: dict[object, list[int]] = {}
    for i, piece in enumerate(pieces):
        key = ("alone", i) if piece.formula is None else piece.formula
        positions.setdefault(key, []).append(i)
    out = []
    for members in positions.values():
        weights = [pieces[i].weight for i in members]
        ends = np.cumsum([0, *map(len, weights)])
        joined = replace(pieces[members[0]], weight=np.concatenate(weights))
        spans = [slice(start, stop) for start, stop in pairwise(ends)]
        out.append(Group(members, joined, spans))
    return out


def _joint_curvature(
    pieces: list[Piece], groups: list[Group], etas: list[Array], surrogate: bool
) -> dict[int, Curvature]:
    """Return row curvatures of the pieces that share their formula with others."""
    out = {}
    for group in groups:
        if len(group.members) == 1:
            continue
        pairs, bends = group.joined.curvature(group.join(etas), surrogate)
        for i, span in zip(group.members, group.spans, strict=True):
            shift = pieces[i].touched.start - group.joined.touched.start
            own = [(k + shift, j + shift) for k, j in pairs]
            out[i] = own, [bend[span] for bend in bends]
    return out


def accumulate_from_above(values: Array) -> Array:
    """Add to each slice of axis 0 all later ones, in place."""
    for k in range(len(values) - 2, -1, -1):
        values[k] += values[k + 1]
    return values


def _split_and_shared(mask: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the columns with several slopes, and those with one for all boundaries."""
    varies = mask[1:].any(axis=0)
    return np.flatnonzero(varies), np.flatnonzero(mask[0] & ~varies)


def explicit_is_cheap(mask: Mask) -> bool:
    """Whether the blocks of an explicit Hessian stay small."""
    split, shared = _split_and_shared(mask)
    return len(mask) * len(split) + len(shared) <= _EXPLICIT_LIMIT


def explicit_hessian(
    pieces: list[Piece],
    groups: list[Group],
    etas: list[Array],
    view: list[Matrix],
    mask: Mask,
    *,
    surrogate: bool,
) -> Array:
    """Return the Hessian of the entries that a mask (m, q) selects.

    Columns of which only the first row is selected have equal slopes at every
    boundary: their mutual block needs a single Gram matrix, with the curvature of a
    common shift of all boundaries.
    """
    m = len(mask)
    split_index, shared_index = _split_and_shared(mask)
    s, q = len(split_index), len(shared_index)
    split: Blocks = {}
    mixed = np.zeros((m, s, q))
    common = np.zeros((q, q))
    joint = _joint_curvature(pieces, groups, etas, surrogate)
    scratch = Scratch()
    for i, (piece, matrix, eta) in enumerate(zip(pieces, view, etas, strict=True)):
        for rows in row_chunks(matrix):
            if i in joint:
                pairs, bends = joint[i]
                curvature = [bend[rows] for bend in bends]
            else:
                pairs, curvature = piece.row_curvature(eta, rows, surrogate)
            # Columns are taken chunk by chunk: a copy of all rows would not fit the
            # cache, and count as another design.
            part = matrix[rows] if len(curvature[0]) < matrix.shape[0] else matrix
            left = take_columns(part, split_index) if s < mask.shape[1] else part
            for pair, bend in zip(pairs, curvature, strict=True):
                # A lone split column is the intercept: ones.
                gram = (
                    np.full((1, 1), bend.sum())
                    if s == 1
                    else weighted_gram(left, bend, scratch)
                )
                split[pair] = split[pair] + gram if pair in split else gram
            if not q:
                continue
            right = take_columns(part, shared_index)
            by_boundary = _boundary_sums(pairs, curvature)
            for k, bend in by_boundary.items():
                if s == 1:
                    mixed[k] += project(right, bend[None])
                else:
                    mixed[k] += weighted_cross(left, right, bend)
            shift = np.sum(list(by_boundary.values()), axis=0)
            common += weighted_gram(right, shift, scratch)
    return _assemble(split, mixed, common, mask, split_index, shared_index)


def _boundary_sums(
    pairs: list[tuple[int, int]], curvature: list[Array]
) -> dict[int, Array]:
    """Return for each boundary its curvature against a shift of all boundaries."""
    sums: dict[int, Array] = {}
    for (k, j), bend in zip(pairs, curvature, strict=True):
        for boundary in {k, j}:
            sums[boundary] = sums[boundary] + bend if boundary in sums else bend
    return sums


def _accumulate_blocks(blocks: Blocks, m: int, s: int) -> Array:
    """Move blocks to difference coordinates, (m s, m s).

    Block (k, j) becomes the sum of all blocks from there on along both axes. Most
    families have blocks next to the diagonal alone, so this visits the ones there are
    and writes the result once.
    """
    full = np.empty((m, s, m, s))
    above = np.zeros((m, s, s))  # row k of the result, from its diagonal on
    corner = np.zeros((s, s))
    for k in range(m - 1, -1, -1):
        for j in range(k + 1, m):
            if (k, j) in blocks:
                above[k + 1 : j + 1] += blocks[k, j]
                corner += 2.0 * blocks[k, j]
        corner += blocks.get((k, k), 0.0)
        above[k] = corner
        full[k, :, k:] = above[k:].swapaxes(0, 1)
        full[k + 1 :, :, k] = above[k + 1 :]
    return full.reshape(m * s, m * s)


def _assemble(
    split: Blocks,
    mixed: Array,
    common: Array,
    mask: Mask,
    split_index: NDArray[np.intp],
    shared_index: NDArray[np.intp],
) -> Array:
    """Move the blocks to difference coordinates and order them as the mask."""
    m, s, _ = mixed.shape
    flat = _accumulate_blocks(split, m, s)
    accumulate_from_above(mixed)
    chosen = np.flatnonzero(mask[:, split_index])
    n_chosen, q = len(chosen), len(shared_index)
    if not q:  # already in the order of the mask
        return flat if n_chosen == len(flat) else flat[np.ix_(chosen, chosen)]
    full = np.empty((n_chosen + q, n_chosen + q))
    full[:n_chosen, :n_chosen] = flat[np.ix_(chosen, chosen)]
    cross = mixed.reshape(m * s, q)[chosen]
    full[:n_chosen, n_chosen:] = cross
    full[n_chosen:, :n_chosen] = cross.T
    full[n_chosen:, n_chosen:] = common
    rank = np.full(mask.shape, -1)
    rank[mask] = np.arange(mask.sum())
    k, column = np.unravel_index(chosen, (m, s))
    position = np.concatenate((rank[k, split_index[column]], rank[0, shared_index]))
    ordered = np.empty_like(full)
    ordered[np.ix_(position, position)] = full
    return ordered


def implicit_hessian(
    likelihood: Likelihood,
    etas: list[Array],
    view: list[Matrix],
    mask: Mask,
    *,
    surrogate: bool,
) -> ImplicitHessian:
    """Return the same Hessian as a product with vectors; nothing of size (w, w).

    One product costs as much as one gradient.
    """
    curvatures = [
        piece.curvature(eta, surrogate)
        for piece, eta in zip(likelihood.pieces, etas, strict=True)
    ]

    entries = np.flatnonzero(mask)

    def product(vector: Array) -> Array:
        theta = np.zeros(mask.shape)
        theta.ravel()[entries] = vector
        shifts = likelihood.predictors(theta, view)
        rows = [
            _bend_rows(piece, shift, *curvature)
            for piece, shift, curvature in zip(
                likelihood.pieces, shifts, curvatures, strict=True
            )
        ]
        return likelihood.gradient(rows, view).ravel()[entries]

    return ImplicitHessian(
        product, _diagonal(likelihood.pieces, curvatures, view, mask)
    )


def _bend_rows(
    piece: Piece, shift: Array, pairs: list[tuple[int, int]], bends: list[Array]
) -> Array:
    """Multiply shifts (t, n) of the linear predictors by the row curvatures."""
    start = piece.touched.start
    out = np.zeros_like(shift)
    for (k, j), bend in zip(pairs, bends, strict=True):
        out[k - start] += bend * shift[j - start]
        if k != j:
            out[j - start] += bend * shift[k - start]
    return out


def _diagonal(
    pieces: list[Piece],
    curvatures: list[Curvature],
    view: list[Matrix],
    mask: Mask,
) -> Array:
    m, q = mask.shape
    # below[k] collects the pairs whose lower boundary is k: exactly those that count
    # for every difference up to k.
    below = np.zeros((m, q))
    for _, matrix, (pairs, bends) in zip(pieces, view, curvatures, strict=True):
        squares = matrix.power(2) if sparse.issparse(matrix) else np.square(matrix)
        for (k, j), bend in zip(pairs, bends, strict=True):
            below[k] += (1.0 if k == j else 2.0) * (squares.T @ bend)
    return accumulate_from_above(below)[mask]
