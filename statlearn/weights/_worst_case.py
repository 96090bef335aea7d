"""Densities that put weight where the loss is large, as far as a budget allows.

Arrays in, densities against the base measure out; the rules that call them are in
`_distributionally_robust.py`, `_exponential_tilt.py` and `_selection.py`. Balls are
solved on the losses divided by their range and counted from the largest one, s in
[-1, 0]: so the shift and the unit of a loss do not matter, and differences among the
largest losses keep their digits.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, copysign, exp, inf, isfinite, log, log1p, sqrt

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)
# Losses that differ by less than this, relative to their size, differ by rounding.
_SAME = 16 * _EPS
# Cells of the histogram that stands in for many rows.
_CELLS = 8192
_MANY = 1 << 15
_BLOCK = 1 << 14


def mean(values: Array, share: Array | None) -> float:
    """Return the mean under shares that sum to one, or equal shares."""
    return float(values.mean() if share is None else share @ values)


def from_top(losses: Array) -> Array | None:
    """Return (loss - largest) / range, None if losses are equal up to rounding."""
    low, high = float(losses.min()), float(losses.max())
    if not isfinite(high - low):
        losses, low, high = 0.5 * losses, 0.5 * low, 0.5 * high
    if high - low <= _SAME * max(abs(low), abs(high)):
        return None
    scaled = losses - high
    scaled /= high - low
    return scaled


def exponent_of(losses: Array, temperature: float) -> tuple[Array, float]:
    """Return (loss - peak) / temperature, at most zero, and the peak."""
    low, high = float(losses.min()), float(losses.max())
    peak, unit = (high if temperature > 0.0 else low), 1.0
    if not isfinite(high - low):
        losses, unit = 0.5 * losses, 0.5
    # Subtract first: the difference of two close losses is exact, quotients are not.
    exponent = losses - unit * peak
    with np.errstate(over="ignore"):
        exponent /= temperature
        exponent *= 1.0 / unit
    return exponent, peak


def tilt_density(losses: Array, temperature: float) -> Array:
    """Return exp(loss / temperature), at most one."""
    exponent, _ = exponent_of(losses, temperature)
    return np.exp(exponent, out=exponent)


def log_mean_exp(losses: Array, temperature: float, base: Array | None) -> float:
    """Return temperature * log(mean(exp(loss / temperature)))."""
    share = None if base is None else base / base.sum()
    if not isfinite(temperature):
        return mean(losses, share)
    exponent, peak = exponent_of(losses, temperature)
    # The mean of exp is in (0, 1]; near one only its distance from one has digits.
    missing = mean(np.expm1(exponent), share)
    if missing > -0.5:
        return peak + temperature * log1p(missing)
    return peak + temperature * log(mean(np.exp(exponent), share))


# ------------------------------------------------------------------------ KL ball
def kl_ball_density(losses: Array, rho: float, base: Array | None) -> Array:
    """Return the density of largest mean loss with KL(density) <= rho."""
    s = from_top(losses)
    if s is None or rho == 0.0:
        return np.ones(len(losses))
    share = None if base is None else base / base.sum()
    top = (s >= -_SAME).astype(np.float64)
    if rho >= -log(mean(top, share)) * (1.0 - _SAME):
        return top
    s *= _tilt_of_ball(s, share, rho)
    return np.exp(s, out=s)


def _tilt_of_ball(s: Array, share: Array | None, rho: float) -> float:
    """Return t with KL(density exp(t s)) = rho."""
    center = mean(s, share)
    start = _tilt_on_cells(s, share, rho) if len(s) > _MANY else 0.0
    if start < 1e-5:
        u = s - center
        variance, third = mean(u * u, share), mean(u * u * u, share)
        start = sqrt(2.0 * rho / variance) if variance > 0.0 else 1.0
        if start < 1e-6:
            # KL = variance t^2 / 2 + third t^3 / 3 + ..., whose terms would drown in
            # the rounding of the sums below.
            return start * (1.0 - start * third / (3.0 * variance))
    return _solve_tilt(lambda t: _kl_and_derivatives(s, share, center, t), rho, start)


def _kl_and_derivatives(
    s: Array, share: Array | None, center: float, t: float
) -> tuple[float, float, float]:
    """Return KL of the density exp(t s) over its mean, two derivatives by log t."""
    # About the mean, KL is of the order of t^2 in each of its parts; for large t the
    # exponential would overflow there, and those below -1000 are zero.
    about_mean = t < 50.0
    sums = np.zeros(4)
    for begin in range(0, len(s), _BLOCK):  # a block stays in the cache
        rows = slice(begin, begin + _BLOCK)
        y = s[rows] - center if about_mean else s[rows].copy()
        y *= t
        d = np.expm1(y) if about_mean else np.exp(y.clip(-1e3, out=y))
        if share is not None:
            d *= share[rows]
        total = d.sum()
        if about_mean:
            d += 1.0 if share is None else share[rows]
        square = y * y
        sums += total, d @ y, d @ square, d @ np.multiply(square, y, out=square)
    if share is None:
        sums /= len(s)
    log_norm = log1p(sums[0]) if about_mean else log(sums[0])
    norm = 1.0 + sums[0] if about_mean else sums[0]
    first, second, third = map(float, sums[1:] / norm)
    slope = second - first * first
    third += first * (2.0 * first * first - 3.0 * second)
    return first - log_norm, slope, 2.0 * slope + third


def _tilt_on_cells(s: Array, share: Array | None, rho: float) -> float:
    """Return a first guess from a histogram, about 1e-6 off on smooth losses."""
    mass = np.bincount(_cell_of(s), weights=share)
    mass = mass / mass.sum()
    if rho >= -log(mass[0]):
        return float(_CELLS)
    grid = np.flatnonzero(mass) / -(_CELLS - 1.0)
    return _tilt_of_ball(grid, mass[mass > 0.0], rho)


def _cell_of(s: Array) -> NDArray[np.intp]:
    """Return the cell of each row, from 0 at the top; order and ties are kept."""
    cell = s * (1.0 - _CELLS)
    cell += 0.5
    return cell.astype(np.intp)


def _solve_tilt(
    kl_at: Callable[[float], tuple[float, float, float]], rho: float, t: float
) -> float:
    """Solve log KL = log rho over log t by Halley steps in a bracket."""
    # The variance of a density on [-1, 0] is at most 1/4, so KL is at most t^2 / 8.
    low, high = sqrt(8.0 * rho) * (1.0 - _SAME), inf
    longest, before = 3.0, inf
    for _ in range(200):
        kl, slope, bend = kl_at(t)
        low, high = (t, high) if kl < rho else (low, t)
        step = copysign(inf, rho - kl)
        if kl > 0.0 and slope > 0.0:
            miss, slope, bend = log(rho / kl), slope / kl, bend / kl
            bend -= slope * slope
            # Bounded: the correction of Newton's step is for steps that are short.
            step = miss / slope
            step /= max(0.5, min(2.0, 1.0 + 0.5 * step * bend / slope))
        if abs(step) <= 3e-5:  # its cube is what is left after the step
            return t * exp(step)
        if high == inf:
            longest = min(2.0 * longest, 600.0)  # any power of ten is possible
        step = max(-longest, min(longest, step))
        guess = min(t * exp(step), 1e300)
        if high < inf and not (abs(step) < 0.5 * before and low < guess < high):
            guess = sqrt(low) * sqrt(high)
        if not low < guess < high:
            break
        before, t = abs(log(guess / t)), guess
    return t


# ---------------------------------------------------------------------- chi2 ball
def chi2_ball_density(losses: Array, rho: float, base: Array | None) -> Array:
    """Return the density of largest mean loss with mean((density - 1)^2) <= rho."""
    s = from_top(losses)
    if s is None or rho == 0.0:
        return np.ones(len(losses))
    share = None if base is None else base / base.sum()
    top = (s >= -_SAME).astype(np.float64)
    if rho >= (1.0 / mean(top, share) - 1.0) * (1.0 - _SAME):
        return top
    center, slope = _line_of_ball(s, share, rho)
    if slope == inf:
        return top
    s -= center
    s *= slope
    s += 1.0
    return np.maximum(s, 0.0, out=s)


def _line_of_ball(s: Array, share: Array | None, rho: float) -> tuple[float, float]:
    """Return (center, slope): the density is 1 + slope * (s - center) where positive.

    On a given set of rows of mass m and loss variance v the multipliers have a closed
    form, slope^2 = (m rho - (1 - m)) / v. Starting from all rows, those with a negative
    density leave. None of them is in the solution, for the threshold of a larger set is
    never above that of the solution; so the sets shrink to it, in a few rounds.
    """
    if len(s) > _MANY:
        part = slice(None, None, len(s) // _CELLS)
        some = None if share is None else share[part] / share[part].sum()
        center, slope = _shrink(s[part], some, 1.0, rho)
        floor = center - 1.1 / slope
        if slope < inf and floor > -1.0:
            kept = s > floor
            inner = None if share is None else share[kept]
            line = _shrink(s[kept], inner, mean(kept.astype(np.float64), share), rho)
            # A start below the solution is one that its own threshold is not below.
            if line[1] < inf and line[0] - 1.0 / line[1] >= floor:
                return line
    return _shrink(s, share, 1.0, rho)


def _shrink(
    active: Array, share: Array | None, mass: float, rho: float
) -> tuple[float, float]:
    """Return the line on the rows that stay of a set of a given mass."""
    n = len(active) / mass
    while True:
        inner = None if share is None else share / share.sum()
        center = mean(active, inner)
        variance = mean(np.square(active - center), inner)
        excess = mass * rho - (1.0 - mass)
        if excess <= 0.0 or variance == 0.0:
            return center, inf
        slope = sqrt(excess / variance)
        if slope * (float(active.min()) - center) >= -1.0:
            return center, slope
        kept = slope * (active - center) > -1.0
        active = active[kept]
        share = None if share is None else share[kept]
        mass = len(active) / n if share is None else float(share.sum())


# --------------------------------------------------------------------------- tail
def tail_density(losses: Array, fraction: float, base: Array | None) -> Array:
    """Return the density of the given fraction of the mass, the largest losses.

    Rows at the boundary share what is left, each the same part of its base weight.
    """
    n = len(losses)
    mass = fraction * (n if base is None else float(base.sum()))
    # A product such as 0.3 * 10 may exceed a whole number of rows by rounding.
    slack = 8.0 * _EPS * mass
    if base is None:
        place = n - max(ceil(mass - slack), 1)
        edge = float(np.partition(losses, place)[place])
    else:
        edge = _weighted_edge(losses, mass - slack, base)
    at_edge = losses == edge
    density = (losses > edge).astype(np.float64)
    left = mass - float(density.sum() if base is None else base @ density)
    width = float(at_edge.sum() if base is None else base @ at_edge.astype(np.float64))
    density[at_edge] = 1.0 if left + slack >= width else max(left, 0.0) / width
    return density


def _weighted_edge(losses: Array, mass: float, base: Array) -> float:
    """Return the largest loss at or above which at least the given mass lies."""
    above = 0.0
    if len(losses) > _MANY:
        # Sort only the rows near the edge, if a sample tells where that is.
        low, high = _edge_in_sample(losses, mass / float(base.sum()), base)
        beyond = float(base @ (losses > high).astype(np.float64))
        rows = np.flatnonzero((losses >= low) & (losses <= high))
        if beyond < mass <= beyond + float(base[rows].sum()):
            above, losses, base = beyond, losses[rows], base[rows]
    order = np.argsort(losses)[::-1]
    reached = above + np.cumsum(base[order])
    hit = min(int(np.searchsorted(reached, mass)), len(order) - 1)
    return float(losses[order[hit]])


def _edge_in_sample(losses: Array, goal: float, base: Array) -> tuple[float, float]:
    """Return losses that the edge of a share of the mass probably lies between."""
    part = slice(None, None, len(losses) // _CELLS)
    order = np.argsort(losses[part])[::-1]
    some, reached = losses[part][order], np.cumsum(base[part][order])
    first, last = np.searchsorted(reached / reached[-1], (goal - 0.03, goal + 0.03))
    return (
        float(some[last]) if last < len(some) else -inf,
        float(some[first]) if first > 0 else inf,
    )
