"""Weighted pinball loss by a quasi-Newton method on smoothed versions of it.

Moreau's envelope replaces the kink of the loss by a parabola of half-width ``eps``.
Its slope at a residual lies in the box of the dual variables, so that the weights come
with a bound as those of the interior point method do, only a wider one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize as scipy_minimize
from scipy.special import softmax

from statlearn.quantile._barrier import Answer, Block, bounds
from statlearn.quantile._constraint import Constraint

Array = NDArray[np.float64]

# Half-widths in units of the target; each solve starts from the one before.
_WIDTHS = (1e-1, 1e-2, 1e-3, 1e-4)
# Weights that start or end at zero have no logarithm.
_LEAST = 1e-12


def minimize_smoothed(
    block: Block, constraint: Constraint, start: Array, *, tol: float, max_iter: int
) -> Answer:
    """Solve B problems approximately: gaps of 1e-4 to 1e-7 of the loss are usual.

    Weights that are not negative and sum to one are a softmax; without the sum they
    have bounds.

    Parameters
    ----------
    block : Block
    constraint : Constraint
    start : ndarray of shape (B, c)
    tol : float
        Relative gap at which the half-widths shrink no further.
    max_iter : int
        Of the quasi-Newton method, for each half-width.

    Returns
    -------
    answer : Answer
        The weights of the smallest gap.
    """
    found = []
    for b in range(len(start)):
        part = block.take(np.array([b]))
        found.append(_one(part, constraint, start[b : b + 1], tol, max_iter))
    return Answer(
        *(
            np.concatenate([getattr(f, name) for f in found])
            for name in Answer.__slots__
        )
    )


def _one(
    block: Block, constraint: Constraint, start: Array, tol: float, max_iter: int
) -> Answer:
    k, c = constraint.n_free, start.shape[1]
    limits = (
        None if constraint.sum_to_one else [(None, None)] * k + [(0.0, None)] * (c - k)
    )
    x = start[0].copy()
    if constraint.sum_to_one:
        x[k:] = np.log(np.maximum(x[k:], _LEAST))
    best, n_iter = _seen(block, constraint, x, _WIDTHS[0]), 0
    for eps in _WIDTHS:
        result = scipy_minimize(
            _smoothed,
            x,
            args=(block, constraint, eps),
            jac=True,
            method="L-BFGS-B",
            bounds=limits,
            options={"maxiter": max_iter, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 20},
        )
        x, n_iter = result.x, n_iter + int(result.nit)
        now = _seen(block, constraint, x, eps)
        best = now if now.gap[0] < best.gap[0] else best
        if best.gap[0] <= tol * best.primal[0]:
            break
    best.n_iter[0] = n_iter
    return best


def _seen(block: Block, constraint: Constraint, x: Array, eps: float) -> Answer:
    """Return the weights of parameters x, with what the smoothed slopes prove."""
    w = _weights(x, constraint)
    e = block.y - block.fitted(w)
    d = _off_free(block, constraint, _slope(block, e, eps))
    primal, gap = bounds(block, constraint, w, d, e, block.pull(d))
    return Answer(w, d, primal, gap, np.zeros(1, np.intp))


def _off_free(block: Block, constraint: Constraint, d: Array) -> Array:
    """Make dual variables (1, N) orthogonal to the free columns, inside their box."""
    if not constraint.n_free:
        return d
    # Orthogonal, of mean squares one or zero.
    basis = block.columns[0, : constraint.n_free]
    d = d - (d @ basis.T / d.shape[1]) @ basis
    share = np.maximum(d / block.up, -d / block.down).max()
    return d / max(share, 1.0)


def _weights(x: Array, constraint: Constraint) -> Array:
    if not constraint.sum_to_one:
        return x[None]
    return np.r_[x[: constraint.n_free], softmax(x[constraint.n_free :])][None]


def _slope(block: Block, e: Array, eps: float) -> Array:
    """Return the slope of the smoothed loss, (1, N), of rows of any weight."""
    weight = block.up + block.down
    return np.clip(e * (weight / eps), -block.down, block.up)


def _smoothed(
    x: Array, block: Block, constraint: Constraint, eps: float
) -> tuple[float, Array]:
    """Return the mean smoothed loss and its gradient."""
    k, n = constraint.n_free, block.up.shape[1]
    w = _weights(x, constraint)
    e = block.y - block.fitted(w)
    d = _slope(block, e, eps)
    weight = block.up + block.down
    value = np.vecdot(d, e) - 0.5 * eps * np.vecdot(d, d / weight)
    gradient = -block.pull(d)[0]
    if constraint.sum_to_one:
        inner, share = gradient[k:], w[0, k:]
        gradient[k:] = share * (inner - share @ inner)
    return float(value[0]) / n, gradient / n
