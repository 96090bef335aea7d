"""Covariance of maximum-likelihood coefficients, and what the data leave undetermined.

The fit works on differences of standardised slopes; users read thresholds and slopes of
raw columns. The two are linear functions of each other, so a covariance is a root
``R`` (w, r) with ``cov = R R'`` that is multiplied by the linear map once.

Where columns are collinear or classes separated, the information has directions without
curvature. They are kept apart as `loose`: a linear function of the coefficients has a
standard error exactly if it does not move along them, and ``inf`` otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from statlearn.ordinal._fusion import boundary_names
from statlearn.ordinal._identifiability import (
    LARGE_PREDICTOR,
    has_vanished,
    null_directions,
    null_information,
)
from statlearn.ordinal._problem import Problem

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Beyond this size each matrix takes more than 70 MB, and inverting one many seconds.
MAX_PARAMETERS = 3000
# Curvature above this share of a rough null curvature needs no closer look.
_CLEARLY = 1e-3
# A function that has this share of its length along a loose direction moves with it.
_MOVES = 1e-3


@dataclass(frozen=True, slots=True)
class Covariance:
    """Covariance of parameters, with the directions that the data leave open.

    Attributes
    ----------
    root : (w, r)
        ``root @ root.T`` is the covariance across the loose directions.
    loose : (w, q)
        Directions without information, of length one in units of `size`.
    size : (w,)
        Natural size of each parameter.
    """

    root: Array
    loose: Array
    size: Array

    def moved(self, jacobian: Array | None = None) -> Mask:
        """Tell which linear functions (k, w) are not determined by the data."""
        if jacobian is None:
            return _longest(self.loose) > _MOVES * self.size
        length = _lengths(jacobian * self.size)
        return _longest(jacobian @ self.loose) > _MOVES * length

    def matrix(self) -> Array:
        """Return the covariance (w, w); undetermined rows have inf on the diagonal."""
        with np.errstate(over="ignore"):
            out = self.root @ self.root.T
        open_ = self.moved()
        out[open_] = out[:, open_] = 0.0
        out[open_, open_] = np.inf
        return out

    def standard_errors(self, jacobian: Array | None = None) -> Array:
        """Return standard errors (k,) of linear functions (k, w), or of parameters."""
        root = self.root if jacobian is None else jacobian @ self.root
        return np.where(self.moved(jacobian), np.inf, _lengths(root))

    def through(self, jacobian: Array, size: Array) -> Covariance:
        """Return the covariance of linear functions (k, w) whose map is injective."""
        loose = jacobian @ self.loose
        norm = np.sqrt(((loose / size[:, None]) ** 2).sum(axis=0))
        return Covariance(jacobian @ self.root, loose / norm, size)


def _lengths(rows: Array) -> Array:
    """Return the lengths (k,) of rows (k, r), whose squares may leave the range."""
    peak = _longest(rows)
    safe = np.where(peak > 0.0, peak, 1.0)
    return safe * np.sqrt(((rows / safe[:, None]) ** 2).sum(axis=1))


def _longest(components: Array) -> Array:
    return np.abs(components).max(axis=1, initial=0.0)


# -- from information to covariance -----------------------------------------------


def clear_covariance(information: Array, reference: Array) -> Covariance | None:
    """Invert an information (w, w) whose every direction is clearly determined.

    Parameters
    ----------
    information : (w, w)
    reference : (w,)
        Curvature that each coefficient would have without effects, roughly.

    Returns
    -------
    covariance : Covariance or None
        None if some direction has so little curvature that it needs a closer look.
    """
    unit = np.sqrt(reference)
    scaled = information / np.outer(unit, unit)
    try:
        # Succeeds exactly if the smallest eigenvalue is above the shift.
        linalg.cholesky(scaled - _CLEARLY * np.eye(len(unit)))
    except (linalg.LinAlgError, ValueError):  # not positive definite, or not finite
        return None
    lower = linalg.cholesky(scaled, lower=True)
    inverse, _ = linalg.lapack.dtrtri(lower, lower=1)
    return Covariance(inverse.T / unit[:, None], np.zeros((len(unit), 0)), 1.0 / unit)


def split_covariance(
    information: Array, at_null: Array, tol: float, *, separable: bool = True
) -> tuple[Covariance, int]:
    """Invert an information on the directions that the data determine.

    Parameters
    ----------
    information, at_null : (w, w)
        Curvature at the fit and at the model without effects. Directions without
        curvature in the second are collinear; those that have lost it in the first are
        separated.
    tol : float
        Relative tolerance of the fit.
    separable : bool
        Whether lost curvature can mean separation: it cannot where linear predictors
        are small.

    Returns
    -------
    covariance : Covariance
    rank : int
        Number of directions that are not collinear.
    """
    unit, dependent, basis = null_directions(at_null)
    left, turn = linalg.eigh(basis.T @ information @ basis)
    lost = has_vanished(left, tol) if separable else left < 0.0
    turned = basis @ turn
    loose = np.column_stack((dependent / unit[:, None], turned[:, lost]))
    length = np.sqrt(((loose * unit[:, None]) ** 2).sum(axis=0))
    root = turned[:, ~lost] / np.sqrt(left[~lost])
    return Covariance(root, loose / length, 1.0 / unit), basis.shape[1]


def intercept_curvature(problem: Problem) -> Array:
    """Return the null curvature (m,) of each difference of intercepts.

    Without effects all rows of a class are alike, so one row for each class will do.
    """
    m = problem.likelihood.m
    total = np.zeros((m, m))
    eta = np.cumsum(problem.null_intercepts)[:, None]
    for piece in problem.likelihood.pieces:
        start = piece.touched.start
        terms = piece.terms(eta[start : piece.touched.stop], surrogate=True)
        mass = piece.weight.sum()
        for (k, j), bend in zip(terms.pairs, terms.curvature, strict=True):
            total[start + k, start + j] += mass * bend[0]
    # Only pairs above the diagonal are listed, and each stands for two.
    total += np.triu(total, 1).T
    return np.array([total[k:, k:].sum() for k in range(m)])


@dataclass(frozen=True, slots=True)
class Information:
    """What a fit tells about its free differences.

    Attributes
    ----------
    covariance : Covariance
        From the observed information, with the ridge's if there is one.
    n_parameters : float
        Number of coefficients that the data can tell apart; with a ridge the trace of
        ``(H + P)^-1 H``.
    clear : bool
        Whether every direction is determined beyond doubt.
    """

    covariance: Covariance
    n_parameters: float
    clear: bool


def fitted_information(problem: Problem, ridge: Array | None) -> Information | None:
    """Return the information at the fit of the solver of a problem.

    Parameters
    ----------
    problem : Problem
        Just solved.
    ridge : (w,) array or None
        Diagonal of the penalty; None for maximum likelihood.

    Returns
    -------
    information : Information or None
        None for too many coefficients.
    """
    mask, solver = problem.penalty.free, problem.solver
    if mask.sum() > MAX_PARAMETERS:
        return None
    observed = problem.likelihood.hessian(solver.etas, problem.design.block, mask)
    reference = np.broadcast_to(intercept_curvature(problem)[:, None], mask.shape)[mask]
    if ridge is not None:
        observed = observed + np.diag(ridge)
        reference = reference + ridge
    n_parameters = float(mask.sum())
    found = clear_covariance(observed, reference)
    clear = found is not None
    if found is None:
        at_null = observed if ridge is not None else null_information(problem)
        large = max(np.abs(eta).max(initial=0.0) for eta in solver.etas)
        found, rank = split_covariance(
            observed,
            at_null,
            problem.tol,
            separable=large >= LARGE_PREDICTOR,
        )
        n_parameters = float(rank)
    if ridge is not None:
        n_parameters -= float(ridge @ (found.root**2).sum(axis=1))
    # A unit of weight is one observation.
    root = found.root / np.sqrt(problem.design.total_weight)
    return Information(Covariance(root, found.loose, found.size), n_parameters, clear)


# -- from fitted coordinates to the user's ------------------------------------------


@dataclass(frozen=True, slots=True)
class Layout:
    """Order of the parameters: thresholds, then slopes column by column.

    Attributes
    ----------
    column : (n_params,) int array
        Column of X of each parameter, -1 for thresholds.
    boundary : (n_params,) int array
        Boundary of each parameter in the user's order, -1 for all of them.
    """

    column: NDArray[np.intp]
    boundary: NDArray[np.intp]

    @classmethod
    def of(cls, parallel: Mask, m: int) -> Layout:
        """Lay out one slope for each parallel column, `m` for each other one."""
        column, boundary = [np.full(m, -1)], [np.arange(m)]
        for j, equal in enumerate(parallel | (m == 1)):
            column.append(np.full(1 if equal else m, j))
            boundary.append(np.array([-1]) if equal else np.arange(m))
        return cls(np.concatenate(column), np.concatenate(boundary))

    def read(self, intercept: Array, coef: Array) -> Array:
        """Return the parameters of intercepts (m,) and slopes (m, p)."""
        # Index -1 takes the intercept's place: it is moved to the last column.
        table = np.column_stack((coef, intercept))
        return table[np.maximum(self.boundary, 0), self.column]

    def names(
        self, feature_names: NDArray[np.str_], classes: NDArray[np.generic]
    ) -> NDArray[np.str_]:
        """Return a name for each parameter."""
        places = boundary_names(classes)
        out = []
        for j, k in zip(self.column, self.boundary, strict=True):
            if j < 0:
                out.append(places[k])
            else:
                out.append(feature_names[j] + (f" ({places[k]})" if k >= 0 else ""))
        return np.array(out)

    def collect(self, jacobian: Array) -> Array:
        """Return derivatives (k, n_params) of those in boundaries, (k, m, 1 + p)."""
        out = np.empty((len(jacobian), len(self.column)))
        equal = self.boundary < 0
        out[:, ~equal] = jacobian[:, self.boundary[~equal], self.column[~equal] + 1]
        out[:, equal] = jacobian[:, :, self.column[equal] + 1].sum(axis=1)
        return out


def free_pattern(parallel: Mask, m: int, reverse: bool) -> Mask:
    """Return which differences (m, p) may move, in the user's boundary order."""
    free = np.tile(~parallel, (m, 1))
    free[-1 if reverse else 0] = True
    return free


def parameter_covariance(
    problem: Problem, found: Covariance, layout: Layout
) -> Covariance:
    """Carry a covariance of free differences over to the parameters of a layout.

    A column without variation is no free coefficient; its slope is a loose direction
    of its own.
    """
    jacobian = _parameter_map(problem, layout)
    size = _lengths(jacobian * found.size)
    fixed = size == 0.0
    out = found.through(jacobian, np.where(fixed, 1.0, size))
    idle = np.eye(len(size))[:, fixed]
    return Covariance(out.root, np.column_stack((out.loose, idle)), out.size)


def _parameter_map(problem: Problem, layout: Layout) -> Array:
    """Return the derivative (n_params, w) of parameters in the free differences."""
    mask, design, model = problem.penalty.free, problem.design, problem.model
    m = len(mask)
    level, column = np.nonzero(mask)
    # A difference at one level raises that boundary and all later ones.
    raised = (np.arange(m)[:, None] >= level).astype(np.float64)
    if model.reverse:
        raised = -raised[::-1]
    center = np.concatenate(([-1.0], design.center / design.scale))
    scale = np.concatenate(([1.0], design.scale))
    out = np.zeros((len(layout.column), len(level)))
    threshold = layout.column < 0
    out[threshold] = -raised * center[column]
    own = layout.column[:, None] + 1 == column
    place = np.maximum(layout.boundary, 0)
    slopes = np.where(own, raised[place] / scale[column], 0.0)
    out[~threshold] = slopes[~threshold]
    return out
