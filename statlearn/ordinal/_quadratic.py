"""Minimise a convex quadratic plus a weighted L1 norm by an active-set Newton method.

This is the model that each proximal Newton step solves. Coordinate descent in Python
would loop over coordinates; here every iteration is one linear solve on the active set
with signs held fixed, and near the solution of the outer problem the first solve is
usually the last. Small Hessians are explicit and factorised, large ones are operators
and solved by preconditioned conjugate gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_MAX_ROUNDS = 200
_MAX_CG = 500
# A pivot below this share of its diagonal entry is rounding.
_SINGULAR = 1e-14
_INEXACT = 0.2


class Hessian(Protocol):
    """What the method needs of a positive semi-definite (w, w) matrix."""

    def times(self, index: Index, move: Array) -> Array:
        """Return the product with a vector that is zero outside `index`, (w,)."""

    def solve(self, index: Index, right: Array, tol: float) -> Array:
        """Solve on a subset of rows and columns to a residual of `tol`."""

    def plus_diagonal(self, shift: Array, relative: float) -> Hessian:
        """Return it with ``shift + relative * diagonal`` added to its diagonal."""


@dataclass
class ExplicitHessian:
    """A matrix in memory, solved by Cholesky factorisation."""

    matrix: Array

    def times(self, index: Index, move: Array) -> Array:
        """Return the product with a vector that is zero outside `index`."""
        # Rows instead of columns, by symmetry: they are contiguous.
        return move @ self.matrix[index]

    def solve(self, index: Index, right: Array, tol: float) -> Array:
        """Solve exactly; raise `LinAlgError` if that is impossible.

        Of the many solutions that dependent columns leave, the shortest is returned:
        rounding must not choose among them.
        """
        part = self._part(index)
        diagonal = part.diagonal().copy()
        # LAPACK itself: on small systems the wrappers take longer than the solve. It
        # counts along columns, so that it can overwrite the transpose.
        factor, info = linalg.lapack.dpotrf(part.T, clean=False, overwrite_a=True)
        if info or (np.diag(factor) ** 2 <= _SINGULAR * diagonal).any():
            return _shortest_solution(self._part(index), right, tol)
        return linalg.lapack.dpotrs(factor, right)[0]

    def _part(self, index: Index) -> Array:
        # One lookup in the flat matrix is faster than one by rows and columns.
        return self.matrix.ravel().take(index[:, None] * len(self.matrix) + index)

    def plus_diagonal(self, shift: Array, relative: float) -> ExplicitHessian:
        """Return the matrix with a larger diagonal."""
        if not (relative or shift.any()):
            return self
        added = shift + relative * np.abs(np.diag(self.matrix))
        return ExplicitHessian(self.matrix + np.diag(added))


def _shortest_solution(matrix: Array, right: Array, tol: float) -> Array:
    """Solve a singular system; raise `LinAlgError` if indefinite or unsolvable."""
    if not np.isfinite(matrix).all():
        raise linalg.LinAlgError("the Hessian is not finite")
    values, vectors = linalg.eigh(matrix, check_finite=False)
    limit = _SINGULAR * len(values) * values[-1]
    if values[0] < -limit:
        raise linalg.LinAlgError("the Hessian is not positive semi-definite")
    kept = values > limit
    x = vectors[:, kept] @ ((vectors[:, kept].T @ right) / values[kept])
    if np.abs(matrix @ x - right).max(initial=0.0) > tol:
        raise linalg.LinAlgError("the singular system has no solution")
    return x


@dataclass
class ImplicitHessian:
    """A product with vectors (w,), and the diagonal as preconditioner."""

    product: Callable[[Array], Array]
    diagonal: Array

    def times(self, index: Index, move: Array) -> Array:
        """Return the product with a vector that is zero outside `index`."""
        full = np.zeros_like(self.diagonal)
        full[index] = move
        return self.product(full)

    def solve(self, index: Index, right: Array, tol: float) -> Array:
        """Solve by preconditioned conjugate gradients."""
        scale = self.diagonal[index]
        if (scale < 0.0).any():
            raise linalg.LinAlgError("the Hessian is not positive definite")
        scale = np.maximum(scale, np.finfo(np.float64).eps * scale.max(initial=1e-300))
        x, residual = np.zeros_like(right), right.copy()
        direction = residual / scale
        power = residual @ direction
        for _ in range(_MAX_CG):
            if np.abs(residual).max(initial=0.0) <= tol:
                break
            image = self.times(index, direction)[index]
            curvature = direction @ image
            if curvature <= 0.0:
                raise linalg.LinAlgError("the Hessian is not positive definite")
            step = power / curvature
            x += step * direction
            residual -= step * image
            preconditioned = residual / scale
            before, power = power, residual @ preconditioned
            direction = preconditioned + (power / before) * direction
        return x

    def plus_diagonal(self, shift: Array, relative: float) -> ImplicitHessian:
        """Return the operator with a larger diagonal."""
        if not (relative or shift.any()):
            return self
        added = shift + relative * self.diagonal
        return ImplicitHessian(
            lambda vector: self.product(vector) + added * vector, self.diagonal + added
        )


def minimize_quadratic_l1(
    hessian: Hessian, gradient: Array, start: Array, l1: Array, tol: float
) -> Array:
    """Minimise ``g'(x - x0) + (x - x0)'H(x - x0)/2 + sum(l1 * |x|)`` over x.

    Parameters
    ----------
    hessian : Hessian
        Of shape (w, w).
    gradient, start, l1 : (w,)
        `l1` is zero for unpenalised entries.
    tol : float
        Largest violation of the optimality conditions that is accepted.

    Returns
    -------
    x : (w,)

    Raises
    ------
    scipy.linalg.LinAlgError
        If the Hessian is not positive definite on an active set.
    """
    free = l1 == 0.0
    if free.all():
        return start + hessian.solve(np.arange(len(start)), -gradient, 0.1 * tol)
    x, slope = start.copy(), gradient.copy()
    sign = np.sign(x)
    for _ in range(_MAX_ROUNDS):
        active = free | (x != 0.0)
        excess = np.where(active, 0.0, np.abs(slope) - l1)
        entering = excess > tol
        residual = np.where(active, slope + l1 * sign, 0.0)
        violation = max(excess.max(initial=0.0), np.abs(residual).max(initial=0.0))
        if violation <= tol:
            break
        sign[entering] = -np.sign(slope[entering])
        worst = np.argmax(excess)
        # The active set still changes while the violation is large, so an iterative
        # solve of each of its versions need not be exact.
        accuracy = max(0.1 * tol, _INEXACT * violation)
        x, slope = _signed_step(
            hessian, x, slope, l1, sign, active, entering, worst, accuracy
        )
        sign = np.where(x != 0.0, np.sign(x), 0.0)
    return x


def _signed_step(
    hessian: Hessian,
    x: Array,
    slope: Array,
    l1: Array,
    sign: Array,
    active: NDArray[np.bool_],
    entering: NDArray[np.bool_],
    worst: np.intp,
    tol: float,
) -> tuple[Array, Array]:
    """Take one Newton step on active and entering entries, keeping their signs."""
    chosen = active | entering
    alone = False
    while True:
        index = np.flatnonzero(chosen)
        if not len(index):
            return x, slope
        pull = -(slope[index] + l1[index] * sign[index])
        step = hessian.solve(index, pull, tol)
        flips = (l1[index] > 0.0) & ((x[index] + step) * sign[index] < 0.0)
        stuck = index[flips & (x[index] == 0.0)]
        if not len(stuck):
            return _clip_or_stop(hessian, x, slope, l1, index, step, flips)
        # An entry that would leave zero on the wrong side has to stay there. The worst
        # violator alone always moves the right way from a solved active set.
        chosen[stuck] = False
        if not alone and not (chosen & entering).any():
            chosen[worst] = alone = True


def _clip_or_stop(
    hessian: Hessian,
    x: Array,
    slope: Array,
    l1: Array,
    index: NDArray[np.intp],
    step: Array,
    flips: NDArray[np.bool_],
) -> tuple[Array, Array]:
    """Set all flipping entries to zero if that descends, else stop at the first."""
    move = step.copy()
    if flips.any():
        move[flips] = -x[index][flips]
    new_slope = slope + hessian.times(index, move)
    if not flips.any():
        return _moved(x, index, move), new_slope
    gain = 0.5 * (slope[index] + new_slope[index]) @ move
    gain += l1[index] @ (np.abs(x[index] + move) - np.abs(x[index]))
    if gain < 0.0:
        return _moved(x, index, move), new_slope
    ratio = np.full(len(index), np.inf)
    ratio[flips] = -x[index][flips] / step[flips]
    first = np.argmin(ratio)
    move = ratio[first] * step
    out = _moved(x, index, move)
    out[index[first]] = 0.0
    return out, slope + hessian.times(index, out[index] - x[index])


def _moved(x: Array, index: NDArray[np.intp], move: Array) -> Array:
    out = x.copy()
    out[index] += move
    return out
