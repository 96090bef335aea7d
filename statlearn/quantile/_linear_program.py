"""Weights of all levels together as one sparse linear program, solved by HiGHS.

Slower than the interior point method by far, and the only way to keep the combined
quantiles of every row in order: that couples the levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog

from statlearn.quantile._constraint import Constraint
from statlearn.quantile._interior_point import PinballFit

Array = NDArray[np.float64]

_INFEASIBLE = 2  # among the states of linprog


def solve_linear_program(
    X: Array,
    y: Array,
    level: Array,
    weight: Array,
    *,
    constraint: Constraint,
    noncrossing: bool,
    tol: float,
) -> PinballFit:
    """Minimise the summed weighted pinball loss of B problems by HiGHS.

    The variables are the coefficients of all problems and the two parts u - v of all
    residuals: B (c + 2 N) of them under B N equations, and (B - 1) N inequalities if
    the fits of each row have to increase from problem to problem.

    Parameters
    ----------
    X : ndarray of shape (B, N, c)
    y, weight : ndarray of shape (N,)
    level : ndarray of shape (B,) or (B, N)
    constraint : Constraint
    noncrossing : bool
    tol : float
        Of the duality gap, relative to the objective.

    Returns
    -------
    fit : PinballFit
        Coefficients (B, c) and dual variables (B, N); the rest concerns the sum.

    Raises
    ------
    ValueError
        If no coefficients keep the fits in order.
    RuntimeError
        If HiGHS fails.
    """
    program = _Program.of(X, y, level, weight, constraint, noncrossing)
    result = program.solve()
    n_problems, _, c = X.shape
    coef = result.x[: n_problems * c].reshape(n_problems, c)
    inner = coef[:, constraint.n_free :]
    if constraint.nonneg:
        np.maximum(inner, 0.0, out=inner)
    if constraint.sum_to_one:
        inner /= inner.sum(axis=1, keepdims=True)
    objective = program.objective(coef)
    d, bound, missed = program.bound(result)
    gap = max(objective - bound + float((np.abs(coef) * missed).sum()), 0.0)
    unit = program.unit
    return PinballFit(
        coef,
        np.array(objective * unit),
        np.array(gap * unit),
        np.array(result.nit),
        d,
        np.array(gap <= max(tol * objective, 1e-10 * float(weight.sum()))),
    )


@dataclass(frozen=True, slots=True)
class _Program:
    """B problems as one linear program, in units of the target.

    Attributes
    ----------
    unit : float
    y : ndarray of shape (B, N)
    up, down : ndarray of shape (B, N)
        Costs of residuals above and below zero.
    rows : sparse array of shape (B N, B c)
        Block diagonal X.
    equal : sparse array, right : ndarray
        Equations of all variables.
    steps : sparse array of shape ((B - 1) N, B c) or None
        What must not be above zero for fits in order.
    least : ndarray of shape (B c,)
        Lower limits of the coefficients.
    constraint : Constraint
    """

    unit: float
    y: Array
    up: Array
    down: Array
    rows: Any
    equal: Any
    right: Array
    steps: Any
    least: Array
    constraint: Constraint

    @classmethod
    def of(
        cls,
        X: Array,
        y: Array,
        level: Array,
        weight: Array,
        constraint: Constraint,
        noncrossing: bool,
    ) -> _Program:
        """Return the program of the problems."""
        n_problems, n, c = X.shape
        up = weight * np.broadcast_to(level.reshape(n_problems, -1), (n_problems, n))
        unit = float(np.abs(y - X.mean(axis=2)).mean()) or 1.0
        target = np.broadcast_to(y / unit, (n_problems, n))
        rows = sparse.block_diag([*(X / unit)], format="csr")
        eye = sparse.eye_array(n_problems * n, format="csr")
        equal, right = sparse.hstack([rows, eye, -eye], format="csr"), target.ravel()
        if constraint.sum_to_one:
            summed = (np.arange(c) >= constraint.n_free)[None].astype(float)
            sums = sparse.block_diag([summed] * n_problems)
            empty = sparse.csr_array((n_problems, 2 * n_problems * n))
            sums = sparse.hstack([sums, empty], format="csr")
            equal = sparse.vstack([equal, sums], format="csr")
            right = np.concatenate([right, np.ones(n_problems)])
        least = np.full((n_problems, c), -np.inf)
        if constraint.nonneg:
            least[:, constraint.n_free :] = 0.0
        ordered = noncrossing and n_problems > 1
        steps = rows[:-n] - rows[n:] if ordered else None
        down = weight - up
        return cls(
            unit, target, up, down, rows, equal, right, steps, least.ravel(), constraint
        )

    def solve(self) -> Any:
        """Return what HiGHS found, or say why there is nothing."""
        n_parts = 2 * self.y.size
        order = None
        if self.steps is not None:
            empty = sparse.csr_array((self.steps.shape[0], n_parts))
            order = sparse.hstack([self.steps, empty], format="csr")
        least = np.r_[self.least, np.zeros(n_parts)]
        result = linprog(
            np.r_[np.zeros(len(self.least)), self.up.ravel(), self.down.ravel()],
            A_ub=order,
            b_ub=None if order is None else np.zeros(order.shape[0]),
            A_eq=self.equal,
            b_eq=self.right,
            bounds=np.c_[least, np.full(len(least), np.inf)],
            method="highs",
            options={
                "primal_feasibility_tolerance": 1e-10,
                "dual_feasibility_tolerance": 1e-10,
            },
        )
        if result.status == _INFEASIBLE and order is not None:
            raise ValueError(
                f"Noncrossing weights were expected to exist. Got none that keep the "
                f"quantiles of all {self.y.shape[1]} rows in order: those of the "
                f"models cross; sort them first, or allow an intercept or another "
                f"constraint."
            )
        if result.x is None:
            raise RuntimeError(
                f"HiGHS was expected to solve the linear program of the weights. Got "
                f"status {result.status}: {result.message} Scale the predictions, or "
                f"use another solver."
            )
        return result

    def objective(self, coef: Array) -> float:
        """Return the summed loss of coefficients (B, c)."""
        e = self.y - (self.rows @ coef.ravel()).reshape(self.y.shape)
        return float(
            (self.up * np.maximum(e, 0.0) + self.down * np.maximum(-e, 0.0)).sum()
        )

    def bound(self, result: Any) -> tuple[Array, float, Array]:
        """Return dual variables (B, N), their bound, and what they miss by (B, c).

        They are moved into their boxes first, so that the bound holds.
        """
        n_problems, n = self.y.shape
        nonneg, n_free = self.constraint.nonneg, self.constraint.n_free
        marginal = result.eqlin.marginals
        d = np.clip(
            marginal[: n_problems * n].reshape(n_problems, n), -self.down, self.up
        )
        pull = self.rows.T @ d.ravel()
        if self.steps is not None:
            pull += self.steps.T @ np.minimum(result.ineqlin.marginals, 0.0)
        pull = pull.reshape(n_problems, -1)
        bound, inner = float((d * self.y).sum()), pull[:, n_free:]
        if self.constraint.sum_to_one:
            nu = -inner.max(axis=1) if nonneg else marginal[n_problems * n :]
            bound, inner = bound + float(nu.sum()), inner + nu[:, None]
        missed = np.abs(pull)
        missed[:, n_free:] = np.maximum(inner, 0.0) if nonneg else np.abs(inner)
        return d, bound, missed
