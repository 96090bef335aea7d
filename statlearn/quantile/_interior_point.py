"""Exact minimisers of weighted pinball loss, each with a proof.

The one door to the solver: rows of weight zero are left out, the problem is brought to
unit size, rows far from the solution are averaged, an interior point method solves what
is left, and the answer comes back in the units of the caller with the duality gap of
all rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.quantile._barrier import Answer, Block
from statlearn.quantile._constraint import Constraint
from statlearn.quantile._row_reduction import minimize_many_rows
from statlearn.quantile._smoothed import minimize_smoothed
from statlearn.quantile._standard_form import standard_form

Array = NDArray[np.float64]

# A gap of this share of the size of y is rounding: the fit is perfect.
_ZERO = 1e-13
# Weights below this share of the largest are those of a barrier, not of a vertex.
_DUST = 1e-6


@dataclass(frozen=True, slots=True)
class PinballFit:
    """Solution of one problem, or of B of them (then every shape has B in front).

    Attributes
    ----------
    coef : ndarray of shape (c,)
    objective : ndarray of shape ()
        Sum over rows of weight times pinball loss at `coef`.
    duality_gap : ndarray of shape ()
        How far at most the objective is above the smallest one.
    n_iter : ndarray of shape ()
    dual : ndarray of shape (N,)
        In ``[-weight * (1 - level), weight * level]``.
    converged : ndarray of shape ()
        Whether the gap is within the tolerance.
    """

    coef: Array
    objective: Array
    duality_gap: Array
    n_iter: NDArray[np.intp]
    dual: Array
    converged: NDArray[np.bool_]


def solve_pinball(
    X: Array,
    y: Array,
    level: float | Array,
    weight: Array | None = None,
    *,
    constraint: Constraint,
    tol: float = 1e-9,
    max_iter: int = 500,
) -> PinballFit:
    """Minimise the weighted pinball loss of ``y - X @ coef`` exactly.

    Columns may be collinear, constant or more than rows, and of any location and scale;
    of many solutions one is returned. A penalty ``alpha * |coef_j|`` is one more row of
    X, ``2 * alpha`` at j and zero elsewhere, with y zero and level 0.5. Input is not
    checked here.

    Parameters
    ----------
    X : ndarray of shape (N, c)
    y : ndarray of shape (N,)
    level : float or ndarray of shape (N,)
        In (0, 1), for all rows or for each.
    weight : ndarray of shape (N,), default=None
        Not negative, not all zero; None stands for ones.
    constraint : Constraint
    tol : float, default=1e-9
        Of the duality gap, relative to the objective.
    max_iter : int, default=500

    Returns
    -------
    fit : PinballFit
    """
    levels = np.reshape(np.asarray(level, dtype=np.float64), (1, -1))
    many = solve_pinball_batch(
        X,
        y,
        levels,
        weight,
        constraint=constraint,
        tol=tol,
        max_iter=max_iter,
    )
    return PinballFit(*(getattr(many, name)[0] for name in PinballFit.__slots__))


def solve_pinball_batch(
    X: Array,
    y: Array,
    level: Array,
    weight: Array | None = None,
    *,
    constraint: Constraint,
    tol: float = 1e-9,
    max_iter: int = 500,
    smoothed: bool = False,
) -> PinballFit:
    """Solve B problems that share y and weights, and perhaps X, as `solve_pinball`.

    Parameters
    ----------
    X : ndarray of shape (N, c) or (B, N, c)
        Shared by the problems, or one for each.
    y : ndarray of shape (N,)
    level : ndarray of shape (B,), (B, 1) or (B, N)
        Level of each problem, or of each of its rows.
    weight : ndarray of shape (N,), default=None
    constraint : Constraint
    tol : float, default=1e-9
    max_iter : int, default=500
    smoothed : bool, default=False
        Whether an approximation by quasi-Newton steps will do.

    Returns
    -------
    fit : PinballFit
        Every array has B entries in front.
    """
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    y, level = np.asarray(y, dtype=np.float64), np.asarray(level, dtype=np.float64)
    level = level[:, None] if level.ndim == 1 else level
    kept = weight > 0.0
    if not kept.all():
        X, y, weight = X[..., kept, :], y[kept], weight[kept]
        level = level[:, kept] if level.shape[1] > 1 else level
    form = standard_form(X, y, level, weight, constraint)
    limits: dict[str, Any] = {"tol": tol, "max_iter": max_iter}
    if smoothed:
        answer = minimize_smoothed(form.block, form.constraint, form.start, **limits)
    else:
        kind = _kinds(level, len(y))
        answer = minimize_many_rows(
            form.block, form.constraint, kind, form.start, **limits
        )
    answer = _without_dust(form.block, form.constraint, answer, tol)
    dual = np.zeros((len(level), len(kept)))
    dual[:, kept] = answer.d * weight.mean()
    unit = form.unit * weight.mean()
    return PinballFit(
        form.coefficients(answer.w),
        answer.primal * unit,
        np.maximum(answer.gap, 0.0) * unit,
        answer.n_iter,
        dual,
        answer.gap <= np.maximum(tol * answer.primal, _ZERO * len(y)),
    )


def _kinds(level: Array, n_rows: int) -> NDArray[np.intp]:
    """Return the number of the level of each row, (B, N) or (1, N)."""
    if level.shape[1] == 1:
        return np.zeros((1, n_rows), np.intp)
    return np.stack([np.unique(row, return_inverse=True)[1] for row in level])


def _without_dust(
    block: Block, constraint: Constraint, answer: Answer, tol: float
) -> Answer:
    """Set weights to zero that the barrier kept just above, if the loss allows it."""
    inner = answer.w[:, constraint.n_free :]
    if not inner.size:
        return answer
    inner = np.where(inner > _DUST * inner.max(axis=1, keepdims=True), inner, 0.0)
    if constraint.sum_to_one:
        inner /= inner.sum(axis=1, keepdims=True)
    w = np.concatenate([answer.w[:, : constraint.n_free], inner], axis=1)
    primal = block.loss(block.y - block.fitted(w))
    gap = answer.gap + primal - answer.primal
    cleaned = Answer(w, answer.d, primal, gap, answer.n_iter)
    kept = np.flatnonzero(gap > np.maximum(answer.gap, tol * primal))
    cleaned.put(kept, answer.take(kept))
    return cleaned
