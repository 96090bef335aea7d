"""Fitting under the constraint that boundaries do not cross at any training row.

The constraints ``eta[k](x_i) <= eta[k+1](x_i)`` are linear in the coefficients. Few of
them bind, so they enter by an augmented Lagrangian on the rows that violate them: for
fixed multipliers `mu` and stiffness `rho` each guarded row adds the smooth convex term
``rho/2 * max(0, gap + mu/rho)^2`` with ``gap = eta[k] - eta[k+1]``. Such a term has the
form of a likelihood piece, so the same solver minimises the sum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from statlearn.ordinal._curvature import Piece
from statlearn.ordinal._design import Matrix, linear_predictors
from statlearn.ordinal._families import Terms
from statlearn.ordinal._likelihood import Likelihood, boundary_slopes
from statlearn.ordinal._problem import Fit, Problem
from statlearn.ordinal._solver import ProximalNewton, Solution

Array = NDArray[np.float64]

_MAX_ROUNDS = 60
# Boundaries are kept this far apart, and may miss that by half, so that the constraint
# itself holds exactly in floating point.
_MARGIN = 1e-9
_STIFFER = 10.0


@dataclass
class Guards:
    """Guarded rows of one pair of boundaries, with their multipliers."""

    rows: NDArray[np.intp]  # positions in the sorted design
    multiplier: Array

    def terms(
        self, eta: Array, *, rho: float, curvature: bool, surrogate: bool = False
    ) -> Terms:
        """Return the augmented Lagrangian terms of ``eta`` (2, n)."""
        push = np.maximum(eta[0] - eta[1] + _MARGIN + self.multiplier / rho, 0.0)
        bend = np.where(push > 0.0, rho, 0.0)
        return Terms(
            0.5 * rho * push**2,
            rho * np.stack((push, -push)),
            ((0, 0), (0, 1), (1, 1)),
            (bend, -bend, bend),
        )


def fit_without_crossing(problem: Problem, alpha: float, fit: Fit) -> Fit:
    """Return the constrained optimum at alpha, starting from the unconstrained one."""
    stacked = _stack(problem.design.block)
    m = problem.likelihood.m
    guards = [Guards(np.zeros(0, np.intp), np.zeros(0)) for _ in range(m - 1)]
    solution, rho, before, n_iter = fit.solution, 1.0, np.inf, fit.solution.n_iter
    converged = False
    for _ in range(_MAX_ROUNDS):
        gaps = _gaps(stacked, solution.theta)
        worst = float(gaps.max(initial=-np.inf))
        if worst <= -0.5 * _MARGIN or not guards:
            converged = solution.converged
            break
        if worst + _MARGIN > 0.25 * before:
            rho *= _STIFFER
        before = worst + _MARGIN
        guards = [
            _grow(guard, gap, rho) for guard, gap in zip(guards, gaps, strict=True)
        ]
        solution = _inner_solve(problem, stacked, guards, rho, alpha, solution.theta)
        n_iter += solution.n_iter
    loss, _ = problem.likelihood.value(
        problem.likelihood.predictors(solution.theta, problem.design.block)
    )
    objective = loss + problem.penalty.value(solution.theta, alpha)
    final = replace(
        solution, loss=loss, objective=objective, n_iter=n_iter, converged=converged
    )
    return problem.describe(final)


def _stack(blocks: list[Matrix]) -> Matrix:
    if sparse.issparse(blocks[0]):
        return sparse.vstack(blocks, format="csr")
    return np.concatenate(blocks)


def _gaps(stacked: Matrix, theta: Array) -> Array:
    """Return ``eta[k] - eta[k+1]`` (m - 1, n); positive where boundaries cross."""
    return -np.diff(linear_predictors(stacked, boundary_slopes(theta)), axis=0)


def _grow(guard: Guards, gap: Array, rho: float) -> Guards:
    """Update the multipliers at the current gaps and guard newly violated rows."""
    updated = np.maximum(guard.multiplier + rho * (gap[guard.rows] + _MARGIN), 0.0)
    fresh = np.setdiff1d(np.flatnonzero(gap > -_MARGIN), guard.rows)
    return Guards(
        np.concatenate((guard.rows, fresh)),
        np.concatenate((updated, np.zeros(len(fresh)))),
    )


def _inner_solve(
    problem: Problem,
    stacked: Matrix,
    guards: list[Guards],
    rho: float,
    alpha: float,
    theta: Array,
) -> Solution:
    pieces = list(problem.likelihood.pieces)
    view = list(problem.design.block)
    for k, guard in enumerate(guards):
        if not len(guard.rows):
            continue
        terms = _bind(guard, rho)
        pieces.append(Piece(np.ones(len(guard.rows)), range(k, k + 2), terms))
        rows = stacked[guard.rows]
        view.append(rows.tocsc() if sparse.issparse(rows) else rows)
    likelihood = Likelihood(
        pieces, problem.likelihood.m, convex=problem.likelihood.convex
    )
    solver = ProximalNewton(
        likelihood,
        view,
        problem.penalty,
        theta,
        tol=0.0,
        max_iter=problem.solver.max_iter,
    )
    # A gap of the margin's size must be visible as a violation.
    solver.set_tolerance(min(problem.solver.tol, 0.1 * _MARGIN * rho))
    return solver.solve(alpha, alpha)


def _bind(guard: Guards, rho: float):  # type: ignore[no-untyped-def]
    def terms(eta: Array, *, curvature: bool, surrogate: bool = False) -> Terms:
        return guard.terms(eta, rho=rho, curvature=curvature, surrogate=surrogate)

    return terms
