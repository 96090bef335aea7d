"""Weighted pinball loss by a primal-dual interior point method, B problems at once.

For one problem of N rows and c columns, with residuals e = y - X w::

    min  sum(up * max(e, 0) + down * max(-e, 0))
    max  y'd + nu   with  -down <= d <= up  and  X'd + nu <= 0

Weights are not negative, but those of leading free columns, whose dual rows are
equations without nu. The number nu is there only if the other weights sum to one; then
every d in its box gives a bound through the largest nu that it allows, so that the gap
of an iterate is known, not estimated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from statlearn.quantile._constraint import Constraint

Array = NDArray[np.float64]
Index = NDArray[np.intp]

# Share of the way to the boundary that a step goes.
_BOUNDARY = 0.9995
# Added to the diagonal of the scaled normal matrix. Larger shifts cost accuracy in
# degenerate problems, none at all leaves identical columns without a solution.
_SHIFT = 1e-14
# Weights count as no smaller than this in the barrier.
_FLOOR = 1e-14
# Losses below this share of the first one are rounding errors.
_ZERO = 1e-15
# Distance to the boundary at the start, as a share of the mean absolute residual.
_INTERIOR = 0.1
# Iterations without a smaller gap after which rounding has taken over.
_PATIENCE = 15


@dataclass(frozen=True, slots=True)
class Block:
    """B problems of N rows and c columns.

    Attributes
    ----------
    columns : ndarray of shape (B, c, N) or (1, c, N)
        Transposed X of each problem, or of all, contiguous along rows.
    y : ndarray of shape (B, N) or (1, N)
    up, down : ndarray of shape (B, N)
        Cost of a unit of positive and of negative residual, both > 0.
    """

    columns: Array
    y: Array
    up: Array
    down: Array

    def fitted(self, w: Array) -> Array:
        """Return X w, (B, N), of weights (B, c)."""
        if len(self.columns) == 1:
            return w @ self.columns[0]
        return np.matmul(w[:, None, :], self.columns)[:, 0]

    def pull(self, d: Array) -> Array:
        """Return X'd, (B, c), of dual variables (B, N)."""
        if len(self.columns) == 1:
            return d @ self.columns[0].T
        return np.matmul(self.columns, d[:, :, None])[:, :, 0]

    def gram(self, root: Array) -> Array:
        """Return X'DX, (B, c, c), where the root of D is (B, N)."""
        scaled = self.columns * root[:, None, :]
        # A product with its own transpose takes BLAS half of the work.
        return np.matmul(scaled, scaled.transpose(0, 2, 1))

    def loss(self, e: Array) -> Array:
        """Return the pinball loss, (B,), of residuals (B, N)."""
        positive = np.maximum(e, 0.0)
        return np.vecdot(self.up, positive) + np.vecdot(self.down, positive - e)

    def take(self, kept: Index) -> Block:
        """Return some of the problems."""
        columns, y = self.columns, self.y
        return Block(
            columns if len(columns) == 1 else columns[kept],
            y if len(y) == 1 else y[kept],
            self.up[kept],
            self.down[kept],
        )


@dataclass(slots=True)
class Answer:
    """Feasible weights, dual variables and the bounds that they give.

    Attributes
    ----------
    w : ndarray of shape (B, c)
    d : ndarray of shape (B, N)
    primal, gap : ndarray of shape (B,)
        Loss of `w`, and how far at most it is above the smallest one.
    n_iter : ndarray of shape (B,)
    """

    w: Array
    d: Array
    primal: Array
    gap: Array
    n_iter: Index

    def take(self, kept: Index) -> Answer:
        """Return some of the problems."""
        return Answer(*(getattr(self, name)[kept] for name in self.__slots__))

    def put(self, where: Index, other: Answer) -> None:
        """Overwrite some of the problems."""
        for name in self.__slots__:
            getattr(self, name)[where] = getattr(other, name)


def bounds(
    block: Block, constraint: Constraint, w: Array, d: Array, e: Array, pull: Array
) -> tuple[Array, Array]:
    """Return loss and duality gap, each (B,), of weights and duals in their boxes.

    Dual rows that nu cannot make feasible hold up to rounding at the end of the
    iterations; what they miss counts in the gap at the size of the weights, or at one,
    which is the size of optimal weights in problems of unit scale.
    """
    missed = np.abs(pull)
    bound = pull[:, constraint.n_free :]
    missed[:, constraint.n_free :] = (
        0.0 if constraint.sum_to_one else np.maximum(bound, 0.0)
    )
    size = np.maximum(np.abs(w), 1.0)
    value = np.vecdot(block.y, d) - np.vecdot(size, missed)
    if constraint.sum_to_one:
        value -= bound.max(axis=1)
    primal = block.loss(e)
    return primal, primal - value


@dataclass(slots=True)
class _State:
    """Weights w (B, c), parts u, v (B, N) of the residuals; duals d, zu, zv, r, nu.

    The distances zu and zv of d from its bounds keep digits that d itself has not.
    """

    w: Array
    u: Array
    v: Array
    d: Array
    zu: Array
    zv: Array
    r: Array
    nu: Array

    def take(self, kept: Index) -> _State:
        return _State(*(getattr(self, name)[kept] for name in self.__slots__))


def minimize(
    block: Block, constraint: Constraint, start: Array, *, tol: float, max_iter: int
) -> Answer:
    """Solve B problems to a relative duality gap.

    Parameters
    ----------
    block : Block
    constraint : Constraint
        Of coefficients that are not negative behind the free ones.
    start : ndarray of shape (B, c)
        Weights inside the constraint, positive and of sum one where it says so.
    tol : float
        Of the duality gap, relative to the loss.
    max_iter : int

    Returns
    -------
    answer : Answer
        The iterate of the smallest gap.
    """
    e = block.y - block.fitted(start)
    state = _start(block, constraint, start.copy(), e)
    best = _measure(block, constraint, state, e, block.pull(state.d), 0)
    zero = _ZERO * best.primal
    live, since = np.arange(len(start)), np.zeros(len(start), np.intp)
    for n_iter in range(max_iter + 1):
        pull = block.pull(state.d)
        now = _measure(block, constraint, state, e, pull, n_iter)
        better = now.gap <= best.gap[live]
        best.put(live[better], now.take(np.flatnonzero(better)))
        since = np.where(better, 0, since + 1)
        unsolved = best.gap[live] > np.maximum(tol * best.primal[live], zero[live])
        kept = np.flatnonzero(unsolved & (since < _PATIENCE))
        if not len(kept) or n_iter == max_iter:
            break
        if len(kept) < len(live):
            live, since, block = live[kept], since[kept], block.take(kept)
            state, e, pull = state.take(kept), e[kept], pull[kept]
        _advance(block, constraint, state, e, pull)
        e = block.y - block.fitted(state.w)
    return best


def _start(block: Block, constraint: Constraint, w: Array, e: Array) -> _State:
    """Return a state around weights and dual variables zero.

    These obey every dual row, and lie as far from the ends of their boxes as the level
    says: from the middle of the boxes the way is long at levels next to zero or one.
    """
    size = np.abs(e).mean(axis=1, keepdims=True)
    floor = np.where(size > 0.0, _INTERIOR * size, 1.0)
    u, v = np.maximum(e, 0.0) + floor, np.maximum(-e, 0.0) + floor
    slack = 0.5 * (block.up + block.down).mean(axis=1)
    # A basis of free columns may have fewer than there were.
    r = np.repeat(slack[:, None], w[:, constraint.n_free :].shape[1], axis=1)
    nu = -slack if constraint.sum_to_one else np.zeros(len(w))
    return _State(w, u, v, np.zeros_like(block.up), block.up, block.down, r, nu)


def _measure(
    block: Block,
    constraint: Constraint,
    state: _State,
    e: Array,
    pull: Array,
    n_iter: int,
) -> Answer:
    primal, gap = bounds(block, constraint, state.w, state.d, e, pull)
    gap = np.where(np.isfinite(gap), gap, np.inf)
    return Answer(state.w, state.d, primal, gap, np.full(len(e), n_iter))


def _advance(
    block: Block, constraint: Constraint, state: _State, e: Array, pull: Array
) -> None:
    """Take one predictor-corrector step in place."""
    s, k = state, constraint.n_free
    zu, zv = s.zu, s.zv
    ratio_u, ratio_v = s.u / zu, s.v / zv
    D = 1.0 / (ratio_u + ratio_v)
    w = np.maximum(s.w[:, k:], _FLOOR)
    slope = -pull  # the dual rows without their slack r
    slope[:, k:] -= s.nu[:, None]
    solve = _Solver(block.gram(np.sqrt(D)), s.r / w, constraint)

    # Predictor: the linearised path to complementarity zero.
    dw, _ = solve(block.pull(D * e) - slope)
    dd = D * (e - block.fitted(dw))
    a, b = dd / zu, dd / zv
    du, dv = ratio_u * dd - s.u, -ratio_v * dd - s.v
    share_w = dw[:, k:] / w
    dr = -s.r * (1.0 + share_w)
    p = _length(np.maximum(1.0 - a, 1.0 + b), -share_w)
    q = _length(np.maximum(a, -b), 1.0 + share_w)
    n_pairs = 2 * s.u.shape[1] + s.r.shape[1]
    mu = (np.vecdot(s.u, zu) + np.vecdot(s.v, zv) + np.vecdot(w, s.r)) / n_pairs
    aimed = np.vecdot(s.u + p * du, zu - q * dd) + np.vecdot(s.v + p * dv, zv + q * dd)
    aimed += np.vecdot(w + p * dw[:, k:], s.r + q * dr)
    centre = ((aimed / n_pairs / mu) ** 3 * mu)[:, None]

    # Corrector: second-order terms, and towards the centre as far as that was needed.
    hu = (centre + du * dd) / zu
    hv = (centre - dv * dd) / zv
    hw = (centre - dw[:, k:] * dr) / w
    g = e - hu + hv
    right = block.pull(D * g) - slope
    right[:, k:] += hw
    dw, dnu = solve(right)
    moved = block.fitted(dw)
    # Once more for what rounding in the normal matrix has left: rows of large weight
    # hide those of small weight there.
    more, more_nu = solve(right - block.pull(D * moved) - solve.beside(dw, dnu))
    dw, dnu = dw + more, dnu + more_nu
    dd = D * (g - moved - block.fitted(more))
    du, dv = ratio_u * dd + hu - s.u, hv - ratio_v * dd - s.v
    share_w = dw[:, k:] / w
    dr = hw - s.r * (1.0 + share_w)
    p = _length(np.maximum(-du / s.u, -dv / s.v), -share_w)
    q = _length(np.maximum(dd / zu, -dd / zv), -dr / s.r)
    s.w, s.u, s.v = s.w + p * dw, s.u + p * du, s.v + p * dv
    s.d, s.zu, s.zv = s.d + q * dd, zu - q * dd, zv + q * dd
    s.r, s.nu = s.r + q * dr, s.nu + q[:, 0] * dnu


def _length(share: Array, share_w: Array) -> Array:
    """Return the steps that stay inside, (B, 1), from the shares of the way there."""
    largest = np.maximum(share.max(axis=1), share_w.max(axis=1, initial=0.0))
    return np.minimum(1.0, _BOUNDARY / np.maximum(largest, _BOUNDARY))[:, None]


class _Solver:
    """The normal equations (B, c, c), with the constraint on the sum eliminated.

    Columns are scaled to a unit diagonal, so that the shift means the same to all.
    """

    def __init__(self, gram: Array, barrier: Array, constraint: Constraint) -> None:
        diagonal = np.einsum("bii->bi", gram)  # a view
        self.barrier = np.zeros_like(diagonal)
        self.barrier[:, constraint.n_free :] = barrier
        diagonal += self.barrier
        self.scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
        self.matrix = gram * self.scale[:, :, None] * self.scale[:, None, :]
        np.einsum("bii->bi", self.matrix)[...] += _SHIFT
        self.ones = np.zeros_like(self.scale)
        self.ones[:, constraint.n_free :] = float(constraint.sum_to_one)
        self.reply = self._solve(self.ones) if constraint.sum_to_one else self.ones
        total = np.vecdot(self.ones, self.reply)
        self.total = np.where(total > 0.0, total, 1.0)

    def beside(self, dw: Array, dnu: Array) -> Array:
        """Return what the equations hold besides X'DX, (B, c), for given changes."""
        return self.barrier * dw - self.ones * dnu[:, None]

    def __call__(self, right: Array) -> tuple[Array, Array]:
        """Return the changes of the weights, (B, c), and of nu, (B,)."""
        dw = self._solve(right)
        dnu = -np.vecdot(self.ones, dw) / self.total
        return dw + dnu[:, None] * self.reply, dnu

    def _solve(self, right: Array) -> Array:
        scaled = (right * self.scale)[:, :, None]
        return np.linalg.solve(self.matrix, scaled)[:, :, 0] * self.scale
