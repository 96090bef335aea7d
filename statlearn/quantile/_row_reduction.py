"""Many rows by few: rows whose residuals have a certain sign are replaced by means.

Rows of one level that lie on the same side of the solution act on it only through
their weighted mean. Pinball loss is convex and positively homogeneous, so that the loss
of the mean never exceeds the loss of its rows: the optimum of the reduced problem is a
lower bound for the whole one, whatever the signs, and equals it where they are right.
The loss of its weights on all rows is an upper bound. Both meet after a few rounds, in
each of which twice as many rows around the last solution stay themselves.

This is the preprocessing of Portnoy and Koenker (Statistical Science 12, 1997), with a
proof of every answer in place of a count of wrong signs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from statlearn.quantile._barrier import Answer, Block, minimize
from statlearn.quantile._constraint import Constraint

Array = NDArray[np.float64]
Index = NDArray[np.intp]

# Weights of a sample of M among N rows and c columns move a share of about sqrt(c / M)
# of the rows across zero, hardly ever this many times as much.
_MARGIN = 3.0
# With more rows than this share in the band, one solve of all of them is as fast.
_LARGEST_BAND = 0.4
# Rows on which all columns agree still move by this share of what others do.
_LEAST_REACH = 0.1
_TINY = 1e-300
# Duality gap of the sample; its own error is larger.
_ROUGH = 1e-3


@dataclass(frozen=True, slots=True)
class _Task:
    """B problems, numbers of the levels of their rows (B, N) or (1, N), settings."""

    block: Block
    constraint: Constraint
    kind: Index
    start: Array
    tol: float
    max_iter: int

    def take(self, kept: Index) -> _Task:
        kind = self.kind if len(self.kind) == 1 else self.kind[kept]
        return _Task(
            self.block.take(kept),
            self.constraint,
            kind,
            self.start[kept],
            self.tol,
            self.max_iter,
        )

    def whole(self) -> Answer:
        return minimize(
            self.block,
            self.constraint,
            self.start,
            tol=self.tol,
            max_iter=self.max_iter,
        )


def minimize_many_rows(
    block: Block,
    constraint: Constraint,
    kind: Index,
    start: Array,
    *,
    tol: float,
    max_iter: int,
) -> Answer:
    """Solve B problems as `minimize` does, on few rows at a time if there are many.

    Parameters
    ----------
    block : Block
    constraint : Constraint
    kind : ndarray of shape (B, N) or (1, N)
        Number of the level of each row.
    start : ndarray of shape (B, c)
        Weights inside the constraint.
    tol : float
        Of the duality gap, relative to the loss.
    max_iter : int
        Of each solve.

    Returns
    -------
    answer : Answer
        Its dual variables and gap are those of all rows.
    """
    task = _Task(block, constraint, kind, start, tol, max_iter)
    n, c = block.up.shape[1], max(block.columns.shape[1], 1)
    # The sizes that make the cost of both solves the least.
    n_sample = int((0.75 * _MARGIN * n * np.sqrt(c)) ** (2.0 / 3.0))
    size = int(_MARGIN * n * np.sqrt(c / n_sample))
    if max(size, n_sample) > _LARGEST_BAND * n:
        return task.whole()
    rows = np.sort(np.random.default_rng(0).choice(n, n_sample, replace=False))
    sample = _rows(block, np.broadcast_to(rows, (len(start), n_sample)))
    near = minimize(sample, constraint, start, tol=_ROUGH, max_iter=max_iter).w
    answer, near = _in_band(task, near, size)
    unsolved = np.flatnonzero(answer.gap > tol * answer.primal)
    while len(unsolved):
        part, size = task.take(unsolved), 2 * size
        if size > _LARGEST_BAND * n:
            answer.put(unsolved, part.whole())
            break
        now, near[unsolved] = _in_band(part, near[unsolved], size)
        answer.put(unsolved, now)
        unsolved = unsolved[now.gap > tol * now.primal]
    return answer


def _in_band(task: _Task, near: Array, size: int) -> tuple[Answer, Array]:
    """Return an answer, and the weights of the smaller loss of the two known.

    The `size` rows nearest to zero at the weights `near` are kept, the others averaged.
    """
    block, n_groups = task.block, 2 * (int(task.kind.max()) + 1)
    e = block.y - block.fitted(near)
    distance = np.abs(e) / _reach(block, task.constraint, near)
    band = np.argpartition(distance, size, axis=1)[:, :size]
    band.sort(axis=1)
    group = 2 * task.kind + (e < 0.0)
    np.put_along_axis(group, band, n_groups, axis=1)
    weight = block.up + block.down
    means, total = _means(block, group, weight, n_groups)
    kept = _rows(block, band)
    small = Block(
        np.concatenate([kept.columns, means.columns], axis=2),
        np.concatenate([kept.y, means.y], axis=1),
        np.concatenate([kept.up, means.up], axis=1),
        np.concatenate([kept.down, means.down], axis=1),
    )
    tol = 0.5 * task.tol
    found = minimize(
        small, task.constraint, task.start, tol=tol, max_iter=task.max_iter
    )
    # Every row of a group has its share of the dual variable of the mean.
    share = np.zeros((len(e), n_groups + 1))
    share[:, :-1] = found.d[:, size:] / total
    d = np.take_along_axis(share, group, axis=1) * weight
    np.put_along_axis(d, band, found.d[:, :size], axis=1)
    primal = block.loss(block.y - block.fitted(found.w))
    gap = primal - (found.primal - found.gap)
    better = np.where((primal < block.loss(e))[:, None], found.w, near)
    return Answer(found.w, d, primal, gap, found.n_iter), better


def _reach(block: Block, constraint: Constraint, w: Array) -> Array:
    """Return how far the fits of rows (B, N) move with the weights, in relation.

    Where columns differ much a small change of their weights moves the fit far: with a
    sum of one that is their weighted deviation from the fit, else that from zero.
    """
    k = constraint.n_free
    fitted = block.fitted(w) if constraint.sum_to_one else 0.0
    square = np.zeros(block.up.shape)
    for j in range(w.shape[1]):
        column = block.columns[:, j]
        if j < k:
            square += column * column
        else:
            square += w[:, j, None] * (column - fitted) ** 2
    reach = np.sqrt(square)
    return reach + _LEAST_REACH * reach.mean(axis=1, keepdims=True) + _TINY


def _rows(block: Block, rows: Index) -> Block:
    """Return rows (B, M) of each problem."""
    if len(block.columns) == 1:
        columns = block.columns[0][:, rows].transpose(1, 0, 2)
    else:
        columns = np.take_along_axis(block.columns, rows[:, None, :], axis=2)
    y = block.y[0][rows] if len(block.y) == 1 else _take(block.y, rows)
    up, down = _take(block.up, rows), _take(block.down, rows)
    return Block(np.ascontiguousarray(columns), y, up, down)


def _take(values: Array, rows: Index) -> Array:
    return np.take_along_axis(values, rows, axis=1)


def _means(
    block: Block, group: Index, weight: Array, n_groups: int
) -> tuple[Block, Array]:
    """Return the mean row of each group, and the weights (B, G) of the groups."""
    n_problems, c = len(weight), block.columns.shape[1]
    columns = np.zeros((n_problems, c, n_groups))
    y, up, down, total = np.zeros((4, n_problems, n_groups))
    for b in range(n_problems):

        def sums(values: Array, own: Index = group[b]) -> Array:
            return np.asarray(np.bincount(own, values, n_groups + 1)[:-1], np.float64)

        total[b], up[b], down[b] = (
            sums(weight[b]),
            sums(block.up[b]),
            sums(block.down[b]),
        )
        y[b] = sums(weight[b] * block.y[min(b, len(block.y) - 1)])
        for j, column in enumerate(block.columns[min(b, len(block.columns) - 1)]):
            columns[b, j] = sums(weight[b] * column)
    # A group without rows is a row of zeros, which costs nothing.
    empty = total == 0.0
    total[empty] = 1.0
    up[empty] = down[empty] = 0.5
    return Block(columns / total[:, None, :], y / total, up, down), total
