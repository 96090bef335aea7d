"""Conformity scores of the ends of intervals, and the bounds that they give.

An end is a predicted quantile that something is added to: with sign +1 an upper end,
with sign -1 a lower one. Mirrored at zero, lower ends are upper ends, so that one rule
serves all: the bound of a new row is the smallest of the values anchor + score below
which a given share of the weight lies, the new row itself being at infinity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._levels import SAME_LEVEL, rank_above

Array = NDArray[np.float64]

# Numbers that one array of the search may hold; bounds its memory.
_CHUNK = 1 << 18

# It is quicker to sort all values of a new row than to search them for up to so many
# scores a fold, or values of all new rows.
_FEW_SCORES, _FEW_VALUES = 32, 1 << 15


def smallest_calibration(share: float) -> int:
    """Return the least number of rows of equal weight that give a finite bound.

    Parameters
    ----------
    share : float
        Of the weight, in (0, 1).

    Returns
    -------
    n : int
        Least n with ``ceil(share * (n + 1)) <= n``.
    """
    n = max(rank_above(share / (1.0 - share)) - 1, 1)
    while rank_above(share * (n + 1)) > n:
        n += 1
    return n


@dataclass(frozen=True, slots=True)
class Cell:
    """Scores of one end in one group.

    Attributes
    ----------
    scores : tuple of K ndarray, each of shape (n_k,)
        In ascending order, by the fold that the row was held out in; one array if the
        folds do not matter.
    mass : tuple of K ndarray, each of shape (n_k + 1,)
        Weight of the first 0, 1, ..., n_k of them.
    weighted : bool
        Whether the weights are anything but 1.
    """

    scores: tuple[Array, ...]
    mass: tuple[Array, ...]
    weighted: bool

    @classmethod
    def of(
        cls,
        scores: Array,
        weight: Array | None,
        fold: NDArray[np.intp],
        n_folds: int,
    ) -> Cell:
        """Return the cell of scores (n,), weights (n,) and folds (n,)."""
        ordered, mass = [], []
        for number in range(n_folds):
            rows = np.flatnonzero(fold == number)
            rows = rows[np.argsort(scores[rows], kind="stable")]
            ordered.append(scores[rows])
            steps = np.ones(len(rows)) if weight is None else weight[rows]
            mass.append(np.concatenate([[0.0], np.cumsum(steps)]))
        return cls(tuple(ordered), tuple(mass), weight is not None)

    @property
    def n(self) -> int:
        """Number of rows."""
        return sum(map(len, self.scores))

    @property
    def total(self) -> float:
        """Weight of all rows."""
        return float(sum(mass[-1] for mass in self.mass))

    def needed(self, share: float, weight_new: Array) -> Array:
        """Return the weight (r,) that must lie below the bounds of r new rows."""
        if not self.weighted:
            return np.full(len(weight_new), float(rank_above(share * (self.n + 1))))
        # The tolerance of `rank_above`, in units of an average row.
        slack = SAME_LEVEL * self.total / self.n
        return share * (self.total + weight_new) - slack

    def bounds(self, anchors: Array, needed: Array) -> Array:
        """Return the bounds of new rows.

        Parameters
        ----------
        anchors : ndarray of shape (K, r)
            What the model of each fold predicts for each of the new rows.
        needed : ndarray of shape (r,)

        Returns
        -------
        bounds : ndarray of shape (r,)
            Infinite where there is less weight than needed.
        """
        if len(self.scores) == 1:
            position = np.searchsorted(self.mass[0][1:], needed)
            return anchors[0] + np.append(self.scores[0], np.inf)[position]
        bounds = np.empty(len(needed))
        few = self.n <= _FEW_SCORES * len(self.scores)
        few |= self.n * len(needed) <= _FEW_VALUES
        search = self._sort if few else self._select
        step = max(_CHUNK // (self.n if few else len(self.scores)), 1)
        for start in range(0, len(needed), step):
            part = slice(start, start + step)
            bounds[part] = search(anchors[:, part], needed[part])
        return bounds

    def offset(self, share: float) -> float:
        """Return the bound of a new row of weight 1 at an anchor of 0, folds pooled."""
        origin = np.zeros((len(self.scores), 1))
        return float(self.bounds(origin, self.needed(share, np.ones(1)))[0])

    def _sort(self, anchors: Array, needed: Array) -> Array:
        """Return the bounds (r,) by sorting all n values for each new row."""
        counts = [len(scores) for scores in self.scores]
        values = np.repeat(anchors.T, counts, axis=1) + np.concatenate(self.scores)
        steps = np.concatenate([np.diff(mass) for mass in self.mass])
        order = np.argsort(values, axis=1)
        below = np.cumsum(steps[order], axis=1) < needed[:, np.newaxis]
        position = below.sum(axis=1)
        values = np.take_along_axis(values, order, axis=1)
        values = np.column_stack([values, np.full(len(values), np.inf)])
        return values[np.arange(len(values)), position]

    def _select(self, anchors: Array, needed: Array) -> Array:
        """Return the bounds (r,) by selection in K sorted arrays for each new row.

        Between ``low`` and ``high`` (K, r) are the scores that may still be the bound.
        The weighted median of the middles of these windows splits each of them, and at
        least a quarter of the scores drops out.
        """
        n_folds, n_rows = anchors.shape
        rows, folds = np.arange(n_rows), range(n_folds)
        low = np.zeros((n_folds, n_rows), np.intp)
        high = np.array([len(scores) for scores in self.scores], np.intp)
        high = np.repeat(high[:, np.newaxis], n_rows, axis=1)
        bounds = np.full(n_rows, np.inf)
        while (low < high).any():
            middle = (low + high) // 2
            values = np.full(anchors.shape, np.inf)
            for k in folds:
                held = low[k] < high[k]
                values[k, held] = anchors[k, held] + self.scores[k][middle[k, held]]
            split = _weighted_median_position(values, high - low)
            pivot = values[split, rows]
            position, below = np.empty_like(low), np.zeros(n_rows)
            for k in folds:
                found = np.searchsorted(self.scores[k], pivot - anchors[k], "right")
                # The pivot itself, in spite of rounding.
                found = np.where(split == k, np.maximum(found, middle[k] + 1), found)
                position[k] = np.clip(found, low[k], high[k])
                below += self.mass[k][position[k]]
            enough = below >= needed
            bounds = np.where(enough, np.minimum(bounds, pivot), bounds)
            position[split, rows] = np.where(
                enough, middle[split, rows], position[split, rows]
            )
            low = np.where(enough, low, position)
            high = np.where(enough, position, high)
        return bounds


def _weighted_median_position(values: Array, weight: NDArray[np.intp]) -> NDArray:
    """Return which of K values (K, r) is the weighted median of each column (r,)."""
    order = np.argsort(values, axis=0)
    cumulated = np.cumsum(np.take_along_axis(weight, order, axis=0), axis=0)
    half = np.argmax(2 * cumulated >= cumulated[-1], axis=0)
    return order[half, np.arange(values.shape[1])]


@dataclass(frozen=True, slots=True)
class Ends:
    """Ends of intervals, with the scores that calibrate them.

    Attributes
    ----------
    signs : ndarray of shape (c,)
        1 for an upper end, -1 for a lower one.
    shares : ndarray of shape (c,)
        Share of the rows that must lie inside of each end; NaN for one that is left as
        it is.
    cells : list of G lists of length c
        Scores in each group.
    method : str
        "split", "cv+" or "jackknife-minmax".
    """

    signs: Array
    shares: Array
    cells: list[list[Cell]]
    method: str

    @classmethod
    def of(
        cls,
        signs: Array,
        shares: Array,
        scores: Array,
        *,
        method: str,
        weight: Array | None,
        codes: NDArray[np.intp],
        folds: NDArray[np.intp] | None,
        n_folds: int,
    ) -> Ends:
        """Return the ends of scores (n, c) in the groups and folds of n rows."""
        if folds is None or method != "cv+":
            folds, n_folds = np.zeros(len(scores), np.intp), 1
        cells = []
        for group in range(int(codes.max()) + 1):
            rows = np.flatnonzero(codes == group)
            own = None if weight is None else weight[rows]
            columns = scores[rows].T
            cells.append([Cell.of(one, own, folds[rows], n_folds) for one in columns])
        return cls(signs, shares, cells, method)

    def offsets(self) -> Array:
        """Return what is added (G, c), for cv+ if all folds predicted the same."""
        offsets = np.zeros((len(self.cells), len(self.signs)))
        for group, end in np.ndindex(offsets.shape):
            if not np.isnan(self.shares[end]):
                cell = self.cells[group][end]
                offsets[group, end] = self.signs[end] * cell.offset(
                    float(self.shares[end])
                )
        return offsets

    def short(self) -> list[tuple[int, int]]:
        """Return the groups and ends at which a row of weight 1 has no finite bound."""
        infinite = np.argwhere(np.isinf(self.offsets()))
        return [(int(group), int(end)) for group, end in infinite]

    def apply(
        self, values: Array, codes: NDArray[np.intp], weight_new: Array | None
    ) -> Array:
        """Return calibrated ends of new rows.

        Parameters
        ----------
        values : ndarray of shape (K, r, c)
            Ends that each fold predicts; K is 1 for split calibration.
        codes : ndarray of shape (r,)
            Groups.
        weight_new : ndarray of shape (r,) or None
            None stands for ones.

        Returns
        -------
        ends : ndarray of shape (r, c)
        """
        ends = np.empty(values.shape[1:])
        weight = np.ones(len(codes)) if weight_new is None else weight_new
        for group in np.unique(codes).tolist():
            rows = np.flatnonzero(codes == group)
            for end, (sign, share) in enumerate(
                zip(self.signs, self.shares, strict=True)
            ):
                anchors = sign * values[:, rows, end]
                if np.isnan(share):
                    ends[rows, end] = sign * np.median(anchors, axis=0)
                    continue
                if self.method == "jackknife-minmax":
                    anchors = anchors.max(axis=0, keepdims=True)
                cell = self.cells[group][end]
                bounds = cell.bounds(anchors, cell.needed(share, weight[rows]))
                ends[rows, end] = sign * bounds
        return ends
