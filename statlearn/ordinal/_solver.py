"""Proximal Newton method with working sets for the penalised ordinal likelihood.

The objective in difference coordinates `theta` (m, 1 + p) is::

    NLL(theta) + alpha * sum(weight * (a |theta| + (1 - a) theta^2 / 2))

The method follows a descending path of `alpha`. For each value it works on the entries
that the sequential strong rule cannot discard, takes Newton steps whose quadratic model
is solved exactly, and then checks the optimality conditions of *all* entries with one
full gradient. A Hessian serves as long as it makes the violation fall at least fourfold
a step, corrected after each by what the gradients tell; it is also computed on more
entries than needed now, so that it can serve the next values of `alpha`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.linalg import blas

from statlearn.ordinal._design import Matrix, take_columns
from statlearn.ordinal._likelihood import Likelihood
from statlearn.ordinal._quadratic import (
    ExplicitHessian,
    Hessian,
    ImplicitHessian,
    minimize_quadratic_l1,
)
from statlearn.utils._sklearn import blas_threads_for

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_SUFFICIENT_DECREASE = 1e-4
_MAX_HALVINGS = 40
_REUSE_FACTOR = 0.25
# A Hessian may be computed on this many entries in advance of their being needed.
_AHEAD_LIMIT = 1200
# Columns with one slope for all boundaries are not worth Gram matrices of their own
# up to this share of those with several.
_FEW_SHARED = 0.25
# With this share of the columns in play a copy of them is not worth its memory.
_NEARLY_ALL = 0.7
_ROUNDING = 64 * np.finfo(np.float64).eps


@dataclass
class Penalty:
    """Elastic net on differences: weights (m, 1 + p), zero for intercepts.

    `free` marks the entries that may move at all; the others stay zero (differences of
    proportional columns, columns without variation).
    """

    weight: Array
    l1_ratio: float
    free: Mask

    def l1(self, alpha: float) -> Array:
        """Return the absolute-value coefficients (m, 1 + p)."""
        if np.isinf(alpha):
            return np.where(self.weight > 0.0, np.inf, 0.0)
        return alpha * self.l1_ratio * self.weight

    def l2(self, alpha: float) -> Array:
        """Return the square coefficients (m, 1 + p)."""
        if np.isinf(alpha):
            return np.zeros_like(self.weight)
        return alpha * (1.0 - self.l1_ratio) * self.weight

    def value(self, theta: Array, alpha: float) -> float:
        """Return the penalty; infinite alpha admits only zero."""
        if alpha == 0.0 or np.isinf(alpha):
            return 0.0
        return float(
            (self.l1(alpha) * np.abs(theta)).sum()
            + 0.5 * (self.l2(alpha) * theta**2).sum()
        )

    def alpha_max(self, gradient: Array) -> float:
        """Return the smallest alpha at which every penalised entry is zero.

        The gradient is that of the fit with all of them at zero. A ridge penalty has
        no such value; like the reference we then use an L1 share of one percent.
        """
        penalised = self.free & (self.weight > 0.0)
        if not penalised.any():
            return 0.0
        share = max(self.l1_ratio, 0.01)
        return float(
            (np.abs(gradient[penalised]) / self.weight[penalised]).max() / share
        )


@dataclass
class Solution:
    """State of the solver at one alpha."""

    theta: Array  # (m, 1 + p) differences
    loss: float  # mean negative log-likelihood
    objective: float
    kkt: float  # largest violation of the optimality conditions
    n_iter: int
    converged: bool


class ProximalNewton:
    """Warm-started solver over decreasing values of alpha.

    Parameters
    ----------
    likelihood : Likelihood
    view : list of matrices
        All columns of each piece of the likelihood.
    penalty : Penalty
    theta : (m, 1 + p)
        Start inside the domain of the likelihood.
    tol : float
        Absolute bound on violations of the optimality conditions.
    max_iter : int
        Newton steps for each alpha.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        view: list[Matrix],
        penalty: Penalty,
        theta: Array,
        *,
        tol: float,
        max_iter: int,
    ) -> None:
        self.likelihood = likelihood
        self.view = view
        self.penalty = penalty
        self.theta = theta.copy()
        self.tol = tol
        self.max_iter = max_iter
        self.n_hessians = 0
        self._hessian: Hessian | None = None
        self._mask = np.zeros_like(penalty.free)
        self._columns = np.zeros(0, dtype=np.intp)
        self._compact: list[Matrix] = []
        self.refresh()

    def refresh(self) -> None:
        """Recompute what depends on theta or on the likelihood from scratch."""
        self.etas = self.likelihood.predictors(self.theta, self.view)
        self.loss, self._rows = self.likelihood.value(self.etas)
        self._moved = True
        self._update_full_gradient()

    def _update_full_gradient(self) -> None:
        if self._moved:
            self.full_gradient = self.likelihood.gradient(
                self._rows, self.view, self.penalty.free
            )
            self._moved = False

    def set_tolerance(self, tol: float) -> None:
        """Set the absolute tolerance, not below what rounding allows."""
        self.tol = max(tol, _ROUNDING)

    # -- optimality -------------------------------------------------------------

    def violation(self, gradient: Array, alpha: float) -> Array:
        """Return the violation of the optimality conditions, entry by entry."""
        l1 = self.penalty.l1(alpha)
        smooth = gradient + self.penalty.l2(alpha) * self.theta
        at_zero = (self.theta == 0.0) & (l1 > 0.0)
        finite = np.where(np.isinf(l1), 0.0, l1)
        out = np.where(
            at_zero,
            np.maximum(np.abs(smooth) - l1, 0.0),
            np.abs(smooth + finite * np.sign(self.theta)),
        )
        return np.where(self.penalty.free, out, 0.0)

    # -- one alpha --------------------------------------------------------------

    def solve(self, alpha: float, previous: float) -> Solution:
        """Minimise at alpha, starting from the solution at `previous` >= alpha."""
        n_elements = sum(matrix.shape[0] * matrix.shape[1] for matrix in self.view)
        with blas_threads_for(n_elements):
            return self._solve(alpha, previous)

    def _solve(self, alpha: float, previous: float) -> Solution:
        self._restrict(self._candidates(alpha, previous), alpha)
        n_iter, converged = 0, False
        while n_iter <= self.max_iter:
            steps, inner = self._newton(alpha, self.max_iter - n_iter)
            n_iter += steps
            self._update_full_gradient()
            violation = self.violation(self.full_gradient, alpha)
            kkt = float(violation.max(initial=0.0))
            converged = kkt <= self.tol
            if converged or not inner:
                break
            newcomers = (violation > self.tol) & ~self._mask
            if not newcomers.any():
                break
            self._restrict(self._mask | newcomers, alpha)
        objective = self.loss + self.penalty.value(self.theta, alpha)
        return Solution(self.theta.copy(), self.loss, objective, kkt, n_iter, converged)

    def _candidates(self, alpha: float, previous: float) -> Mask:
        """Return the entries that the sequential strong rule keeps."""
        free, share = self.penalty.free, self.penalty.l1_ratio
        if np.isinf(alpha):
            return free & (self.penalty.weight == 0.0)
        if np.isinf(previous):
            previous = self.penalty.alpha_max(self.full_gradient)
        threshold = (2.0 * alpha - previous) * share * self.penalty.weight
        magnitude = np.abs(self.full_gradient)
        always = (self.theta != 0.0) | (self.penalty.l1(alpha) == 0.0)
        return free & (always | (magnitude >= threshold))

    def _restrict(self, wanted: Mask, alpha: float) -> None:
        """Make the working set contain `wanted`, and look ahead if that is cheap."""
        if self._hessian is not None and not (wanted & ~self._mask).any():
            return
        if not np.isinf(alpha):
            ahead = np.abs(self.full_gradient) >= (
                0.5 * alpha * self.penalty.l1_ratio * self.penalty.weight
            )
            # A column with slopes of its own at some boundary costs as much as one
            # with slopes at all of them, and so do a few with one slope for all.
            split = (wanted | ahead)[1:].any(axis=0)
            shared = (wanted | ahead)[0] & ~split
            if shared.sum() <= _FEW_SHARED * split.sum():
                split |= shared
            ahead |= split
            ahead &= self.penalty.free
            if (wanted | ahead).sum() <= _AHEAD_LIMIT:
                wanted = wanted | ahead
        wanted = wanted | (self._mask & (self.theta != 0.0))
        self._mask = wanted
        self._hessian = None
        columns = np.flatnonzero(wanted.any(axis=0))
        if len(columns) > _NEARLY_ALL * wanted.shape[1]:
            columns = np.arange(wanted.shape[1])
        if len(columns) != len(self._columns) or (columns != self._columns).any():
            self._columns = columns
            self._compact = []  # the old copy goes before the new one comes
            self._compact = self._select(columns)

    def _select(self, columns: NDArray[np.intp]) -> list[Matrix]:
        if len(columns) == self.theta.shape[1]:
            return self.view
        return [take_columns(matrix, columns) for matrix in self.view]

    # -- Newton steps on the working set -----------------------------------------

    def _newton(self, alpha: float, budget: int) -> tuple[int, bool]:
        """Take Newton steps until the working set is optimal.

        Returns the number of steps and whether the tolerance was reached.
        """
        before, last = np.inf, None
        for n_steps in range(budget + 1):
            gradient = self._working_gradient()
            kkt = self._working_violation(gradient, alpha)
            if kkt > max(_REUSE_FACTOR * before, self.tol) or isinstance(
                self._hessian, ImplicitHessian
            ):
                self._hessian = None
            if last is not None:
                self._learn(gradient - last[0], self.theta[self._mask] - last[1])
            last = gradient, self.theta[self._mask]
            if kkt <= self.tol:
                return n_steps, True
            if n_steps == budget:
                break
            before = kkt
            if not self._step(gradient, alpha, kkt):
                return n_steps + 1, False
        return budget, False

    def _learn(self, change: Array, move: Array) -> None:
        """Correct the Hessian in store by the curvature along the last step (BFGS)."""
        if not isinstance(self._hessian, ExplicitHessian):
            return
        matrix = self._hessian.matrix
        image = matrix @ move
        curvature, expected = change @ move, image @ move
        if min(curvature, expected) <= 1e-10 * max(curvature, expected):
            return
        # In place: two temporaries of the Hessian's size would cost more than the step.
        update = matrix.T
        blas.dger(1.0 / curvature, change, change, a=update, overwrite_a=1)
        blas.dger(-1.0 / expected, image, image, a=update, overwrite_a=1)

    def _working_gradient(self) -> Array:
        if self._compact is self.view:
            self._update_full_gradient()
        if not self._moved:
            return self.full_gradient[self._mask]
        mask = self._mask[:, self._columns]
        return self.likelihood.gradient(self._rows, self._compact, mask)[mask]

    def _working_violation(self, gradient: Array, alpha: float) -> float:
        full = np.zeros_like(self.theta)
        full[self._mask] = gradient
        return float(self.violation(full, alpha)[self._mask].max(initial=0.0))

    def _step(self, gradient: Array, alpha: float, kkt: float) -> bool:
        """Take one step; retry with a fresh, then with a convex Hessian."""
        attempts: list[bool | None] = [] if self._hessian is None else [None]
        attempts += [False] if self.likelihood.convex else [False, True]
        for surrogate in attempts:
            hessian = self._hessian_of(surrogate)
            direction = self._direction(hessian, gradient, alpha, kkt)
            if direction is not None and self._line_search(direction, gradient, alpha):
                return True
        return False

    def _hessian_of(self, surrogate: bool | None) -> Hessian:
        """Return the Hessian in store (None), or a new one, exact or surrogate."""
        if surrogate is not None or self._hessian is None:
            self._hessian = self.likelihood.hessian_model(
                self.etas,
                self._compact,
                self._mask[:, self._columns],
                surrogate=bool(surrogate),
            )
            self.n_hessians += 1
        return self._hessian

    def _direction(
        self, hessian: Hessian, gradient: Array, alpha: float, kkt: float
    ) -> Array | None:
        """Return the step to the minimum of the quadratic model, or None."""
        l1, l2 = self.penalty.l1(alpha)[self._mask], self.penalty.l2(alpha)[self._mask]
        theta = self.theta[self._mask]
        implicit = isinstance(hessian, ImplicitHessian)
        tol = max(0.1 * kkt, 0.3 * self.tol) if implicit else min(1e-3 * kkt, self.tol)
        # Exactly collinear columns make the model singular; a relative ridge this small
        # leaves the solution of every other problem unchanged.
        for ridge in (0.0, 1e-12, 1e-9, 1e-6) if self.likelihood.convex else (0.0,):
            try:
                target = minimize_quadratic_l1(
                    hessian.plus_diagonal(l2, ridge),
                    gradient + l2 * theta,
                    theta,
                    l1,
                    tol,
                )
            except linalg.LinAlgError:
                continue
            if np.isfinite(target).all():
                return target - theta
        return None

    def _line_search(self, direction: Array, gradient: Array, alpha: float) -> bool:
        """Backtrack to sufficient decrease of the objective; move if found."""
        l1, l2 = self.penalty.l1(alpha)[self._mask], self.penalty.l2(alpha)[self._mask]
        theta = self.theta[self._mask]
        delta = np.zeros((self.theta.shape[0], len(self._columns)))
        delta[self._mask[:, self._columns]] = direction
        shift = self.likelihood.predictors(delta, self._compact)

        def penalty(values: Array) -> float:
            return float(l1 @ np.abs(values) + 0.5 * l2 @ values**2)

        base = self.loss + penalty(theta)
        slope = float(
            (gradient + l2 * theta) @ direction
            + l1 @ (np.abs(theta + direction) - np.abs(theta))
        )
        if slope > 0.0:
            return False
        # Below this the objective cannot resolve the step; the gradient still can.
        invisible = -slope <= _ROUNDING * (1.0 + abs(base))
        step = 1.0
        for _ in range(_MAX_HALVINGS):
            etas = [
                eta + (s if step == 1.0 else step * s)
                for eta, s in zip(self.etas, shift, strict=True)
            ]
            loss, rows = self.likelihood.value(etas)
            candidate = loss + penalty(theta + step * direction)
            enough = candidate <= base + _SUFFICIENT_DECREASE * step * slope
            if np.isfinite(candidate) and (enough or invisible):
                self.theta[self._mask] = theta + step * direction
                self.etas, self.loss, self._rows = etas, loss, rows
                self._moved = True
                return True
            step *= 0.5
        return False
