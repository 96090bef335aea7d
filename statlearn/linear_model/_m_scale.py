"""Scales of residuals that outliers cannot move far: M-scale and proposal 2.

API: ``m_scale(residuals, base, c=, b=, degrees=)`` solves for the M-scale of one or
many columns of residuals, ``proposal2_step(residuals, base, scale, k=, degrees=)``
makes one update of Huber's proposal 2.

With the bisquare rho and ``v = max(1 - (r / (c s))^2, 0)`` everything is a power of v:
rho = 1 - v^3, the derivative of rho along log s is -6 (v^2 - v^3), and the weight of a
least-squares step is v^2. So no function but multiplication is ever evaluated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_EPS = np.finfo(np.float64).eps
_MAX_ITER = 200


def m_scale(
    residuals: Array,
    base: Array | None = None,
    *,
    c: float,
    b: float,
    degrees: float,
    start: Any = None,
    rtol: float = 1e-12,
) -> Any:
    """Solve ``sum base * rho(residuals / s) = b * degrees`` for the scale s.

    Here ``rho(u) = 1 - (1 - (u / c)^2)^3``, and 1 for ``abs(u) >= c``. The left side
    falls from the mass of the residuals that are not zero to 0 as s grows, so there is
    one solution if that mass exceeds ``b * degrees``; otherwise the scale is 0.

    Parameters
    ----------
    residuals : (n,) or (n, k) array
        Residuals; k columns are solved at once.
    base : (n,) positive array, default=None
        How often each row counts; None is once.
    c, b : float
        Constants that belong together: 1.547645 and 0.5, 2.937015 and 0.25, 5.182361
        and 0.1 make s the standard deviation of normal residuals.
    degrees : float
        What the sum is divided by: the mass of the rows, less the number of fitted
        coefficients if there are any.
    start : float or (k,) array, default=None
        Where to begin. None begins at the quantile of ``abs(residuals)`` beyond which
        the mass ``b * degrees`` lies, as multiple of that of a normal deviation.
    rtol : float, default=1e-12
        Relative error of the result.

    Returns
    -------
    scale : float or (k,) array
        Exactly 0 where the mass of non-zero residuals is at most ``b * degrees``.
    """
    size = np.abs(residuals)
    if size.ndim == 1:
        first = None if start is None else np.array([start], dtype=np.float64)
        return float(row_scales(size[None], base, c, b, degrees, first, rtol)[0])
    first = None if start is None else np.array(start, dtype=np.float64)
    size = np.ascontiguousarray(size.T)
    return row_scales(size, base, c, b, degrees, first, rtol)


def proposal2_step(
    residuals: Array, base: Array | None, scale: float, *, k: float, degrees: float
) -> float:
    """Return the next scale of Huber's proposal 2.

    The squares of residuals beyond ``k * scale`` count as ``(k * scale)^2``, and the
    expectation of such a square under the standard normal makes up for it.

    Parameters
    ----------
    residuals : (n,) array
    base : (n,) positive array or None
    scale : float
        The scale so far, e.g. the MAD.
    k : float
        Tuning constant of the Huber loss, in scales.
    degrees : float
        Mass of the rows less the number of coefficients.

    Returns
    -------
    scale : float
    """
    inside = 2.0 * float(ndtr(k)) - 1.0
    density = float(np.exp(-0.5 * k * k) / np.sqrt(2.0 * np.pi))
    expected = inside + k * k * (1.0 - inside) - 2.0 * k * density
    # In units of the bound, so that no square of a large residual is formed.
    bound = k * scale
    if bound == 0.0:
        return 0.0
    share = np.minimum(np.abs(residuals) / bound, 1.0)
    share *= share
    total = share.sum() if base is None else base @ share
    return bound * float(np.sqrt(total / (degrees * expected)))


def row_scales(
    size: Array,
    base: Array | None,
    c: float,
    b: float,
    degrees: float,
    start: Array | None = None,
    rtol: float = 1e-12,
) -> Array:
    """Return the M-scales of absolute residuals, one for each of the k rows.

    Shapes: size (k, n) C-order, base (n,), start (k,), result (k,).
    """
    goal = b * degrees
    total = float(size.shape[1]) if base is None else float(base.sum())
    mass = _mass(size > 0.0, base)
    # A sum of weights that equals the goal may miss it by rounding.
    solvable = np.flatnonzero(mass > goal + 8.0 * _EPS * total)
    scale = np.zeros(len(size))
    if not len(solvable):
        return scale
    if len(solvable) < len(size):
        size = size[solvable]
        start = None if start is None else start[solvable]
    if start is None or not _is_near(start, size, base, goal):
        # Beyond it lies as much mass as rho may count, so s is at least unit / c.
        unit = upper_quantiles(size, base, goal)
        guess = np.full(len(size), -np.log(float(ndtri(1.0 - 0.5 * b))))
        low = np.full(len(size), -np.log(c))
    else:
        unit = start
        guess, low = np.zeros(len(size)), np.full(len(size), -np.inf)
    with np.errstate(over="ignore"):
        squares = (size / (c * unit)[:, None]) ** 2
    log_scale = _solve(squares, base, total, goal, np.maximum(guess, low), low, rtol)
    scale[solvable] = unit * np.exp(log_scale)
    return scale


def _mass(rows: NDArray[np.bool_], base: Array | None) -> Array:
    return np.count_nonzero(rows, axis=1) if base is None else rows @ base


def _is_near(start: Array, size: Array, base: Array | None, goal: float) -> bool:
    """Say whether scales (k,) are of the order of the solution, all of them."""
    return bool(
        (_mass(size > 0.1 * start[:, None], base) > goal).all()
        and (_mass(size > 10.0 * start[:, None], base) < goal).all()
    )


def upper_quantiles(size: Array, base: Array | None, mass: float) -> Array:
    """Return the largest number of each row beyond or at which `mass` lies.

    Shapes: size (k, n), base (n,), result (k,).
    """
    n = size.shape[1]
    if base is None:
        at = min(max(int(np.floor(n - mass)), 0), n - 1)
        return np.partition(size, at, axis=1)[:, at]
    order = np.argsort(size, axis=1)
    above = np.cumsum(base[order[:, ::-1]], axis=1)
    slack = 8.0 * _EPS * above[:, -1:]
    # The first place, from the largest number down, where the mass is reached.
    at = n - 1 - np.argmax(above >= np.minimum(mass, above[:, -1:]) - slack, axis=1)
    rows = np.arange(len(size))
    return size[rows, order[rows, at]]


def deficits(squares: Array, factor: Array, out: Array | None = None) -> Array:
    """Return ``v = max(1 - squares * factor, 0)``; shapes (k, n), (k,), (k, n)."""
    out = np.multiply(squares, -factor[:, None], out=out)
    out += 1.0
    return np.maximum(out, 0.0, out=out)


def power_sums(deficit: Array, base: Array | None) -> tuple[Array, Array]:
    """Return the sums of v^2 and of v^3 under the base weights, each (k,)."""
    square = deficit * deficit
    if base is None:
        return square.sum(axis=1), np.einsum("kn,kn->k", square, deficit)
    second = square @ base
    square *= deficit
    return second, square @ base


def log_newton(second: Array, third: Array, total: float, goal: float) -> Array:
    """Return the Newton step along log s for the log of the sum of rho.

    In these coordinates the sum is a straight line of slope -2 for large s. Where no
    residual is left inside the bounds, the step is minus infinity or not a number.
    """
    rho = total - third
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(rho / goal) * rho / (6.0 * (second - third))


def _solve(
    squares: Array,
    base: Array | None,
    total: float,
    goal: float,
    x: Array,
    low: Array,
    rtol: float,
) -> Array:
    """Return the roots (k,) in x = log s, where v = 1 - squares * exp(-2 x)."""
    high = np.full(len(x), np.inf)
    before = np.ones(len(x))
    todo = np.arange(len(x))
    part, buffer = squares, np.empty_like(squares)
    for _ in range(_MAX_ITER):
        v = deficits(part, np.exp(-2.0 * x[todo]), out=buffer[: len(todo)])
        second, third = power_sums(v, base)
        below = total - third >= goal
        low[todo] = np.where(below, x[todo], low[todo])
        high[todo] = np.where(below, high[todo], x[todo])
        step = log_newton(second, third, total, goal)
        moved, newton = _safeguard(x[todo], step, low[todo], high[todo])
        x[todo] = moved
        # Steps of Newton's method shrink quadratically: this bounds the next one.
        size = np.abs(step)
        ahead = size**2 * np.maximum(1.0, size / before[todo] ** 2)
        ahead = np.where(newton, ahead, np.inf)
        narrow = high[todo] - low[todo] <= rtol
        going = ~((newton & (size <= rtol)) | (ahead <= 0.1 * rtol) | narrow)
        before[todo] = np.where(newton, np.maximum(size, 1e-100), 1.0)
        if not going.any():
            break
        if not going.all():
            todo, part = todo[going], part[going]
    return x


def _safeguard(
    x: Array, step: Array, low: Array, high: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Return the next points, and where they are those of Newton's method."""
    moved = x + step
    newton = (moved >= low) & (moved <= high) & (np.abs(step) <= 3.0)
    with np.errstate(invalid="ignore"):
        middle = 0.5 * (low + high)
    other = np.where(
        np.isinf(high),
        x + 1.0,
        np.where(np.isinf(low), x - 1.0, middle),
    )
    return np.where(newton, moved, other), newton
