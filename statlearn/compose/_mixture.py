r"""Weights of the parts of a mixture with the largest likelihood.

Minimises

.. math:: f(x) = \sum_j x_j - \frac{1}{m} \sum_i \log (A x)_i, \qquad x \ge 0,

whose solution sums to one, so that it maximises the likelihood over the simplex. The
gradient is :math:`g = 1 - A^\top (1/w)/m` with :math:`w = A x`, the Hessian
:math:`(A/w)^\top (A/w)/m`. Optimal is :math:`x \ge 0, g \ge 0, x_j g_j = 0`. A
primal-dual interior method copes with the nearly dependent columns of wide kernels,
where fixed-point iterations take thousands of steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Array = NDArray[np.float64]

_MAX_STEPS = 200
_EM_STEPS = 5


def mixture_weights(A: Array, *, tol: float = 1e-9) -> tuple[Array, float]:
    """Return the weights of largest likelihood, and how far they are from optimal.

    Parameters
    ----------
    A : ndarray of shape (m, b)
        Non-negative densities of m rows under b parts, with a positive one in each row
        and column. Factors of rows do not matter.
    tol : float, default=1e-9
        Bound on violations of the optimality conditions.

    Returns
    -------
    x : ndarray of shape (b,)
        Non-negative, sums to one.
    kkt : float
        Largest of ``-g_j`` and ``|x_j g_j|``.
    """
    A = A / A.max(axis=1, keepdims=True)
    m, b = A.shape
    x = np.full(b, 1.0 / b)
    for _ in range(_EM_STEPS):
        x *= (1.0 / (A @ x)) @ A / m
    # Parts that the first steps nearly close come back only from a positive weight.
    x = 0.9 * x + 0.1 / b
    w = A @ x
    gradient = 1.0 - (1.0 / w) @ A / m
    z = np.maximum(gradient, 0.1)
    best, least = x / x.sum(), np.inf
    for _ in range(_MAX_STEPS):
        found, kkt = _optimality(A, x)
        if kkt < least:
            best, least = found, kkt
        if least <= tol:
            break
        scaled = A / w[:, None]
        hessian = scaled.T @ scaled / m
        barrier = 0.1 * float(x @ z) / b
        dx = _direction(hessian, z / x, barrier / x - gradient)
        dz = (barrier - z * dx) / x - z
        step = _line_search(A, x, w, dx, barrier, float(dx @ (gradient - barrier / x)))
        if step == 0.0:
            break
        x = x + step * dx
        z = z + _longest(z, dz) * dz
        w = A @ x
        gradient = 1.0 - (1.0 / w) @ A / m
    return best, least


def _optimality(A: Array, x: Array) -> tuple[Array, float]:
    """Return the weights scaled to sum one, and their violation of optimality."""
    x = x / x.sum()
    gradient = 1.0 - (1.0 / (A @ x)) @ A / len(A)
    return x, float(max(-gradient.min(), np.abs(x * gradient).max()))


def _direction(hessian: Array, diagonal: Array, right: Array) -> Array:
    """Solve (hessian + diag) dx = right, scaled to a unit diagonal first."""
    matrix = hessian.copy()
    matrix.flat[:: len(matrix) + 1] += diagonal
    scale = 1.0 / np.sqrt(matrix.diagonal())
    matrix *= scale
    matrix *= scale[:, None]
    matrix.flat[:: len(matrix) + 1] += 1e-14  # rounding, on a scale of one
    return scale * cho_solve(cho_factor(matrix, overwrite_a=True), scale * right)


def _longest(x: Array, dx: Array) -> float:
    """Return the longest step, at most one, that stays inside."""
    shrinking = dx < 0.0
    room = (x[shrinking] / -dx[shrinking]).min(initial=np.inf)
    return float(min(1.0, 0.995 * room))


def _line_search(
    A: Array, x: Array, w: Array, dx: Array, barrier: float, slope: float
) -> float:
    """Return a step that lowers the objective with its barrier, 0 if none does."""
    dw, step = A @ dx, _longest(x, dx)
    for _ in range(40):
        moved = np.log1p(step * dw / w).mean()
        change = step * dx.sum() - moved
        change -= barrier * np.log1p(step * dx / x).sum()
        if change <= 1e-4 * step * slope + 1e-15:
            return step
        step *= 0.5
    return 0.0
