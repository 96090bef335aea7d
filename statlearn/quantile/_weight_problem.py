"""The linear programs behind the weights of quantile models, one for each group."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from statlearn.quantile._column_generation import solve_many_columns
from statlearn.quantile._constraint import Constraint
from statlearn.quantile._interior_point import PinballFit, solve_pinball_batch
from statlearn.quantile._linear_program import solve_linear_program

Array = NDArray[np.float64]
Index = NDArray[np.intp]

# Entries of the columns that are solved together: a cache of some megabytes.
_TOGETHER = 1_000_000
# Columns with which column generation begins, from the level before.
_INHERITED = 12


@dataclass(frozen=True, slots=True)
class FoundWeights:
    """Optimal weights (q, m) or (q, m, q), intercepts (q,) and how they were found.

    Attributes
    ----------
    gap : float
        Of the sum over rows and levels of weighted pinball loss.
    converged : bool
    """

    weights: Array
    intercept: Array
    gap: float
    n_iter: int
    converged: bool


@dataclass(frozen=True, slots=True)
class WeightProblem:
    """Weighted pinball loss of combined quantiles, and what the weights obey.

    Attributes
    ----------
    stack : ndarray of shape (n, m, q)
    y, weight : ndarray of shape (n,)
        Weights are positive.
    levels : ndarray of shape (q,)
    constraint : Constraint
        Its free coefficient, if any, is an intercept.
    solver : {"auto", "interior-point", "lbfgs", "highs"}
    tol : float
    max_iter : int
    """

    stack: Array
    y: Array
    weight: Array
    levels: Array
    constraint: Constraint
    solver: str
    tol: float
    max_iter: int

    def solve_groups(self, groups: Index) -> FoundWeights:
        """Return weights (q, m) that are the same within each group of levels (q,)."""
        if len(np.unique(groups)) == len(groups):
            return self._collect(np.arange(len(groups)), self._solve_levels())
        fits = [
            self._solve_rows(np.flatnonzero(groups == group))
            for group in range(groups.max() + 1)
        ]
        return self._collect(groups, fits)

    def solve_fine(self) -> FoundWeights:
        """Return weights (q, m, q): for each level, of every model at every level."""
        generated = self.constraint.nonneg and self.constraint.sum_to_one
        if generated and self.solver in ("auto", "interior-point"):
            fits = self._generate_columns()
        else:
            X = self._with_ones(self.stack.reshape(len(self.stack), -1).T).T
            fits = [
                self._solve(X, self.levels[batch]) for batch in self._batches(X.size)
            ]
        found = self._collect(np.arange(len(self.levels)), fits)
        shape = (len(self.levels), *self.stack.shape[1:])
        return FoundWeights(
            found.weights.reshape(shape),
            found.intercept,
            found.gap,
            found.n_iter,
            found.converged,
        )

    def solve_in_order(self) -> FoundWeights:
        """Return weights (q, m) with which no row has quantiles that cross."""
        X = self._columns(np.arange(len(self.levels))).transpose(0, 2, 1)
        fit = self._highs(X, self.levels, noncrossing=True)
        return self._collect(np.arange(len(self.levels)), [fit])

    def _solve_levels(self) -> list[PinballFit]:
        n_entries = self.stack[:, :, 0].size
        return [
            self._solve(self._columns(batch).transpose(0, 2, 1), self.levels[batch])
            for batch in self._batches(n_entries)
        ]

    def _batches(self, n_entries: int) -> list[Index]:
        """Return the levels in parts, each with columns of so many entries."""
        n_levels = len(self.levels)
        size = max(1, _TOGETHER // n_entries)
        return np.array_split(np.arange(n_levels), -(-n_levels // size))

    def _columns(self, picked: Index) -> Array:
        """Return the columns of some levels, (len(picked), c, n)."""
        columns = self.stack[:, :, picked].transpose(2, 1, 0)
        return np.stack([self._with_ones(part) for part in columns])

    def _with_ones(self, columns: Array) -> Array:
        ones = np.ones((self.constraint.n_free, columns.shape[1]))
        return np.concatenate([ones, columns])

    def _solve_rows(self, picked: Index) -> PinballFit:
        """Return the fit of one vector of weights to the rows of some levels."""
        n, m, _ = self.stack.shape
        columns = self.stack[:, :, picked].transpose(1, 2, 0).reshape(m, -1)
        level = np.repeat(self.levels[picked], n)[None]
        repeated = replace(
            self,
            y=np.tile(self.y, len(picked)),
            weight=np.tile(self.weight, len(picked)),
        )
        return repeated._solve(self._with_ones(columns).T, level)

    def _solve(self, X: Array, level: Array) -> PinballFit:
        """Return fits of B levels (B,), or of one problem with levels (1, N)."""
        if self.solver == "highs":
            X = np.broadcast_to(X, (len(level), *X.shape[-2:]))
            return self._highs(X, level, noncrossing=False)
        return solve_pinball_batch(
            X,
            self.y,
            level,
            self.weight,
            constraint=self.constraint,
            tol=self.tol,
            max_iter=self.max_iter,
            smoothed=self.solver == "lbfgs",
        )

    def _highs(self, X: Array, level: Array, *, noncrossing: bool) -> PinballFit:
        return solve_linear_program(
            X,
            self.y,
            level,
            self.weight,
            constraint=self.constraint,
            noncrossing=noncrossing,
            tol=self.tol,
        )

    def _generate_columns(self) -> list[PinballFit]:
        n, m, q = self.stack.shape
        centre = np.median(self.y)
        columns = np.ascontiguousarray(self.stack.reshape(n, -1).T)
        columns -= centre
        own, before = q * np.arange(m), np.zeros(0, np.intp)
        fits = []
        for k, level in enumerate(self.levels):
            fit = solve_many_columns(
                columns,
                self.y - centre,
                float(level),
                self.weight,
                np.concatenate([own + k, before]),
                intercept=self.constraint.n_free > 0,
                tol=self.tol,
                max_iter=self.max_iter,
            )
            fits.append(fit)
            # The next level begins with the main columns of this one, a level higher.
            share = fit.coef[self.constraint.n_free :]
            main = np.argsort(-share)[:_INHERITED]
            before = main[share[main] > 0.0]
            before += before % q < q - 1
        return fits

    def _collect(self, groups: Index, fits: list[PinballFit]) -> FoundWeights:
        coef = np.concatenate([np.atleast_2d(fit.coef) for fit in fits])[groups]
        return FoundWeights(
            coef[:, self.constraint.n_free :],
            coef[:, 0].copy() if self.constraint.n_free else np.zeros(len(coef)),
            float(sum(np.sum(fit.duality_gap) for fit in fits)),
            int(sum(np.sum(fit.n_iter) for fit in fits)),
            all(bool(np.all(fit.converged)) for fit in fits),
        )
