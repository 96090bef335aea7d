"""From data to coefficients: the one engine behind every ordinal estimator.

`pose` sorts and scales the data, drops classes without weight, builds likelihood and
penalty and fits the null model; `Problem.path` then yields fits in the user's
coordinates (raw columns, boundaries from low to high).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from statlearn.ordinal._design import Design, Matrix, build_design
from statlearn.ordinal._families import OrdinalModel
from statlearn.ordinal._likelihood import (
    Likelihood,
    boundary_slopes,
    class_pieces,
    differences,
)
from statlearn.ordinal._solver import Penalty, ProximalNewton, Solution

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Above this many coefficients a single fit walks down a short path to its alpha,
# because almost all of them will be screened out on the way.
_DIRECT_LIMIT = 2000
_STRIDE = 0.4


@dataclass(frozen=True)
class PenaltySpec:
    """The penalty as the user states it.

    Attributes
    ----------
    l1_ratio : float
        Share of the absolute value; the rest is a ridge.
    first : float
        Weight of the first slope vector relative to the differences.
    factor : (p,) array or None
        Weight of each feature; zero leaves it unpenalised.
    """

    l1_ratio: float = 1.0
    first: float = 1.0
    factor: Array | None = None


@dataclass(frozen=True)
class Fit:
    """One fitted coefficient set in the user's coordinates.

    Attributes
    ----------
    intercept : (m,)
    coef : (m, p)
    diff_coef : (m, p)
        Penalised vectors, each at its boundary: the anchor's slopes and differences of
        neighbours.
    solution : Solution
    """

    intercept: Array
    coef: Array
    diff_coef: Array
    solution: Solution


@dataclass
class Problem:
    """A posed fitting problem with its warm solver.

    Attributes
    ----------
    model : OrdinalModel
    design : Design
    likelihood : Likelihood
    penalty : Penalty
    present : (K',) int array
        Classes with positive weight, in the user's numbering.
    n_classes : int
        Number of classes K of the user.
    solver : ProximalNewton
    alpha_max : float
        Smallest alpha at which no penalised coefficient is left.
    null : Solution
        Fit of the unpenalised coefficients alone.
    null_loss : float
        Mean negative log-likelihood of intercepts alone.
    tol : float
        Relative tolerance.
    null_intercepts : (m,) array
        Differences of the intercepts that reproduce the class frequencies.
    scale : float
        Largest gradient entry of the intercept-only fit, which `tol` is relative to.
    """

    model: OrdinalModel
    design: Design
    likelihood: Likelihood
    penalty: Penalty
    present: NDArray[np.intp]
    n_classes: int
    solver: ProximalNewton
    tol: float
    null_loss: float
    null_intercepts: Array
    scale: float
    null: Solution = field(init=False)
    alpha_max: float = field(init=False)

    def __post_init__(self) -> None:
        self.null = self.solver.solve(np.inf, np.inf)
        self.alpha_max = self.penalty.alpha_max(self.solver.full_gradient)

    def path(self, alphas: Iterable[float]) -> Iterator[Fit]:
        """Yield fits at descending alphas, each started at the one before."""
        previous = np.inf
        for alpha in alphas:
            solution = self.solver.solve(float(alpha), previous)
            yield self.describe(solution)
            previous = float(alpha)

    def fit_at(self, alpha: float) -> Fit:
        """Fit at one alpha."""
        waypoints: list[float] = []
        if self.penalty.free.sum() > _DIRECT_LIMIT and 0.0 < alpha < self.alpha_max:
            n_steps = int(np.log(alpha / self.alpha_max) / np.log(_STRIDE))
            waypoints = list(self.alpha_max * _STRIDE ** np.arange(1, n_steps + 1))
        tight, self.solver.tol = self.solver.tol, 1e-3 * self.scale
        previous = np.inf
        for waypoint in waypoints:
            self.solver.solve(waypoint, previous)
            previous = waypoint
        self.solver.tol = tight
        return self.describe(self.solver.solve(alpha, previous))

    def restart(self, intercept: Array, coef: Array) -> None:
        """Start from other coefficients, unless the data rule them out."""
        beta = self.design.from_raw(self.orient(intercept), self.orient(coef))
        theta = np.where(self.penalty.free, differences(beta), 0.0)
        etas = self.likelihood.predictors(theta, self.design.block)
        if np.isfinite(self.likelihood.value(etas)[0]):
            self.solver.theta = theta
            self.solver.refresh()

    def orient(self, boundaries: Array) -> Array:
        """Swap between the user's boundary order and that of the fit."""
        return self.model.orient(boundaries)

    def describe(self, solution: Solution) -> Fit:
        """Translate a solution to raw columns and the user's boundary order."""
        intercept, coef = self.design.to_raw(boundary_slopes(solution.theta))
        _, diff_coef = self.design.to_raw(solution.theta)
        return Fit(
            self.orient(intercept),
            self.orient(coef),
            self.orient(diff_coef),
            solution,
        )

    def expand(self, intercept: Array, coef: Array) -> tuple[Array, Array]:
        """Give boundaries of classes without weight the limit of their coefficients."""
        if len(self.present) == self.n_classes:
            return intercept, coef
        rows, limits = self._absent_boundaries()
        out_intercept = np.where(limits == 0.0, self.orient(intercept)[rows], limits)
        out_coef = self.orient(coef)[rows]
        if not self.model.can_cross:
            out_coef = np.where((limits == 0.0)[:, None], out_coef, 0.0)
        return self.orient(out_intercept), self.orient(out_coef)

    def expand_differences(self, diff_coef: Array) -> Array:
        """Give boundaries of classes without weight a difference of zero."""
        if len(self.present) == self.n_classes:
            return diff_coef
        rows, limits = self._absent_boundaries()
        if self.model.can_cross:
            repeated = np.diff(rows, prepend=-1) == 0
        else:
            repeated = limits != 0.0
        out = self.orient(diff_coef)[rows]
        return self.orient(np.where(repeated[:, None], 0.0, out))

    def _absent_boundaries(self) -> tuple[NDArray[np.intp], Array]:
        """Return, in fit order, each boundary's row in the reduced fit and its limit.

        The limit is zero for a finite boundary. In the cumulative family a boundary
        next to an absent class coincides with its neighbour, or is infinite beyond the
        outermost class; in the others it is a choice between two groups of which one
        is empty.
        """
        classes = self.present
        if self.model.reverse:
            classes = self.n_classes - 1 - classes[::-1]
        boundary = np.arange(self.n_classes - 1)
        n_below = np.searchsorted(classes, boundary, side="right")
        rows = np.clip(n_below - 1, 0, len(classes) - 2)
        limits = np.zeros(self.n_classes - 1)
        absent = n_below == 0 if self.model.can_cross else ~np.isin(boundary, classes)
        limits[absent] = -np.inf
        limits[n_below == len(classes)] = np.inf
        return rows, -limits if self.model.family.rises_with_class else limits


def merge_boundaries(pattern: Mask, present: NDArray[np.intp], reverse: bool) -> Mask:
    """Return which differences may be non-zero among the classes present.

    Parameters
    ----------
    pattern : (K - 1, p) boolean array
        For all classes, in the user's order.
    present : (K',) increasing class positions
    reverse : bool
        Whether differences count from the last boundary.

    Returns
    -------
    merged : (K' - 1, p) boolean array
        A difference between two boundaries that are kept is non-zero if any of those
        that it spans is.
    """
    if reverse:
        mirrored = merge_boundaries(pattern[::-1], len(pattern) - present[::-1], False)
        return mirrored[::-1]
    starts = np.concatenate(([0], present[:-2] + 1))
    return np.logical_or.reduceat(pattern[: present[-2] + 1], starts, axis=0)


def pose(
    X: Matrix,
    codes: NDArray[np.intp],
    weight: Array,
    n_classes: int,
    model: OrdinalModel,
    penalty: PenaltySpec,
    *,
    standardize: bool = True,
    free: Mask | None = None,
    tol: float = 1e-7,
    max_iter: int = 200,
) -> Problem:
    """Build a `Problem` from rows of positive weight.

    Parameters
    ----------
    X : (n, p) array or sparse matrix
    codes : (n,) integers in ``0..n_classes-1``
    weight : (n,) positive
    n_classes : int
    model : OrdinalModel
    penalty : PenaltySpec
    standardize : bool
        Whether the penalty acts on slopes of columns of unit variance.
    free : (m, p) boolean array, optional
        Differences that may differ from zero, in the user's boundary order and over
        the classes present; by default all.
    tol, max_iter : float, int
        Tolerance relative to the null gradient, and Newton steps for each alpha.
    """
    present = np.unique(codes)
    reduced = np.searchsorted(present, codes)
    n_present = len(present)
    if model.reverse:
        reduced = n_present - 1 - reduced
    design = build_design(X, reduced, weight, n_present, standardize)
    m = n_present - 1
    likelihood = Likelihood(
        class_pieces(design, model.family), m, convex=model.family.convex
    )
    terms = _penalty_terms(design, m, penalty, free, model)
    mass = np.array([share.sum() for share in design.weight])
    theta = np.zeros_like(terms.weight)
    theta[:, 0] = np.diff(model.family.null_intercepts(mass), prepend=0.0)
    solver = ProximalNewton(
        likelihood, design.block, terms, theta, tol=0.0, max_iter=max_iter
    )
    scale = float(np.abs(solver.full_gradient[terms.free]).max(initial=0.0))
    solver.set_tolerance(tol * scale)
    return Problem(
        model,
        design,
        likelihood,
        terms,
        present,
        n_classes,
        solver,
        tol=tol,
        null_loss=solver.loss,
        null_intercepts=theta[:, 0],
        scale=scale,
    )


def _penalty_terms(
    design: Design, m: int, spec: PenaltySpec, free: Mask | None, model: OrdinalModel
) -> Penalty:
    p = design.n_columns - 1
    weight = np.zeros((m, 1 + p))
    weight[:, 1:] = 1.0 if spec.factor is None else spec.factor
    weight[0] *= spec.first
    allowed = np.ones((m, 1 + p), dtype=bool)
    allowed[:, 1:] = ~design.constant
    if free is not None:
        allowed[:, 1:] &= free[::-1] if model.reverse else free
    return Penalty(weight, spec.l1_ratio, allowed)


def alpha_grid(alpha_max: float, n_alphas: int, eps: float) -> Array:
    """Return `n_alphas` log-spaced values from alpha_max down to eps * alpha_max."""
    if n_alphas == 1:
        return np.array([alpha_max])
    return alpha_max * np.logspace(0.0, np.log10(eps), n_alphas)
