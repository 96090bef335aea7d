"""S-estimators by a search from many starts (Salibian-Barrera and Yohai, 2006).

API: ``fast_s(Q, y, base, n_starts=, n_refine=, n_best=, random_state=)`` returns an
`SFit` with coefficients in the basis Q.

An S-estimate has the coefficients whose residuals have the smallest M-scale. Each step
of weighted least squares with the weights of the current scale reduces that scale. The
search makes a few steps from each start, with a scale that is one Newton step from the
last one instead of solved for; keeps the best; and takes these to their local minimum,
where Newton's method for the coefficients takes over from least squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from statlearn.linear_model._m_scale import (
    deficits,
    log_newton,
    power_sums,
    row_scales,
    upper_quantiles,
)
from statlearn.linear_model._search_candidates import Best
from statlearn.linear_model._search_rows import SearchRows, check_mass, search_rows
from statlearn.linear_model._search_starts import starts
from statlearn.utils._rng import as_generator

Array = NDArray[np.float64]

_EPS = np.finfo(np.float64).eps
# So many candidates make so many steps more; of those that end within this many scales
# of each other the best goes on.
_N_SEMIFINAL = 30
_SEMIFINAL_STEPS = 8
_ALIKE = 0.02
# Candidates of the sample that are taken to its local minima.
_N_SAMPLE_BEST = 20
# The first scale of a candidate comes from so many rows at most.
_PILOT_ROWS = 400
_MAX_ITER = 500
_TOL = 1e-10
# Minima that are nearer to each other, in scales, are one.
_SAME = 1e-4
# From steps of this many scales on, Newton's method takes over from least squares.
_NEWTON_REACH = 0.1


@dataclass(frozen=True, slots=True)
class SFit:
    """An S-estimate.

    Attributes
    ----------
    coef : ndarray of shape (p,)
        Coefficients in the basis of the design.
    scale : float
        M-scale of the residuals, exactly 0 if the rows off a plane have no more mass
        than `b` times the degrees of freedom.
    weights : ndarray of shape (n,)
        Weight of each row within [0, 1], without its base weight: those of the bisquare
        at this scale; 1 on the plane and 0 off it if the scale is 0.
    n_iter : int
        Steps of the last stage from the start that won.
    converged : bool
        Whether that stage ended before its limit of steps.
    """

    coef: Array
    scale: float
    weights: Array
    n_iter: int
    converged: bool


@dataclass(frozen=True, slots=True)
class _Loss:
    """Constants of the M-scale: ``sum base * rho(r / s) = goal``."""

    c: float
    b: float
    total: float
    goal: float

    @staticmethod
    def on(rows: SearchRows, c: float, b: float) -> _Loss:
        """Return the constants with the degrees of freedom of some rows."""
        return _Loss(c, b, rows.mass, b * (rows.mass - rows.Q.shape[1]))

    def scales(self, residuals: Array, rows: SearchRows, start: Array | None) -> Array:
        """Return the M-scales (k,) of residuals (k, n)."""
        degrees = self.goal / self.b
        return row_scales(np.abs(residuals), rows.base, self.c, self.b, degrees, start)


def fast_s(
    Q: Array,
    y: Array,
    base: Array | None = None,
    *,
    n_starts: int = 500,
    n_refine: int = 2,
    n_best: int = 5,
    c: float = 1.54764,
    b: float = 0.5,
    random_state: Any = None,
) -> SFit:
    """Return the coefficients whose residuals have the smallest M-scale.

    Parameters
    ----------
    Q : (n, p) array
        Design in an orthonormal basis; other columns do, if they are well conditioned.
    y : (n,) array
    base : (n,) positive array, default=None
        How often each row counts, None is once. The degrees of freedom of the scale
        are their sum less p.
    n_starts : int, default=500
        Number of random subsets of p rows. If there are no more subsets than that, all
        of them are tried, once each.
    n_refine : int, default=2
        Steps from each start before the best are chosen.
    n_best : int, default=5
        Candidates that are taken to their minimum on all rows.
    c, b : float
        Constants of the M-scale, see `m_scale`; a share b of outliers is tolerated.
    random_state : Generator, int or None

    Returns
    -------
    fit : SFit
    """
    generator = as_generator(random_state)
    rows = SearchRows(Q, y, base)
    check_mass(rows)
    sample = search_rows(rows, generator)
    loss = _Loss.on(sample, c, b)
    kept = n_best if sample is rows else max(n_best, _N_SAMPLE_BEST)
    best = _search(sample, loss, n_starts, n_refine, kept, generator)
    if sample is not rows:
        best = _carried_over(best, sample, loss, rows, _Loss.on(rows, c, b), n_best)
        loss = _Loss.on(rows, c, b)
    minima = _minima(rows, loss, best)
    return min(minima, key=lambda fit: fit.scale)


# -- search ----------------------------------------------------------------------


def _search(
    rows: SearchRows,
    loss: _Loss,
    n_starts: int,
    n_refine: int,
    n_best: int,
    generator: np.random.Generator,
) -> Best:
    """Return the best of all starts after a few steps from each."""
    best = Best(max(n_best, _N_SEMIFINAL))
    pilot = _pilot(rows, generator)
    for coef in starts(rows, n_starts, generator):
        for at in range(0, len(coef), rows.block):
            part = coef[at : at + rows.block]
            part, scale, residuals = _refined(rows, loss, pilot, part, n_refine)
            _keep_best(rows, loss, best, part, scale, residuals)
            if len(best.value) and best.value[0] == 0.0:
                return best
    # Two steps tell little about where many more lead.
    longer = Best(best.size)
    for at in range(0, len(best.coef), rows.block):
        part = best.coef[at : at + rows.block]
        part, scale, residuals = _refined(rows, loss, pilot, part, _SEMIFINAL_STEPS)
        _keep_best(rows, loss, longer, part, scale, residuals)
    return longer.distinct(_ALIKE * longer.value).shortened(n_best)


def _pilot(rows: SearchRows, generator: np.random.Generator) -> SearchRows:
    """Return the rows that show a first scale: all, or a sample of equal weights."""
    n = len(rows.y)
    if n <= _PILOT_ROWS:
        return rows
    chosen = rows.draw((np.arange(_PILOT_ROWS) + generator.random(1)) / _PILOT_ROWS)
    return SearchRows(rows.Q[chosen], rows.y[chosen], None)


def _refined(
    rows: SearchRows, loss: _Loss, pilot: SearchRows, coef: Array, n_refine: int
) -> tuple[Array, Array, Array]:
    """Make some steps of least squares from each of the coefficients (k, p).

    Returns coefficients, approximate scales (k,) and residuals (k, n).
    """
    size = np.abs(pilot.residuals(coef))
    share = loss.goal / loss.total
    scale = upper_quantiles(size, pilot.base, share * pilot.mass)
    scale /= float(ndtri(1.0 - 0.5 * loss.b))
    floor = rows.rounding(coef)
    for _ in range(n_refine):
        squares = rows.squares(coef)
        scale = np.maximum(_nearer(squares, rows, loss, scale), floor)
        weight = deficits(squares, (loss.c * scale) ** -2.0, out=squares)
        weight *= weight
        coef = rows.least_squares(weight, coef)
    return coef, scale, rows.residuals(coef)


def _nearer(squares: Array, rows: SearchRows, loss: _Loss, scale: Array) -> Array:
    """Return scales (k,) one Newton step on."""
    smallest = np.finfo(np.float64).tiny ** 0.25
    scale = np.maximum(scale, smallest)
    v = deficits(squares, (loss.c * scale) ** -2.0)
    step = log_newton(*power_sums(v, rows.base), loss.total, loss.goal)
    # Far from the solution the step is too long, or is none.
    step = np.clip(np.nan_to_num(step, nan=1.0), -1.0, 1.0)
    return scale * np.exp(step)


def _keep_best(
    rows: SearchRows,
    loss: _Loss,
    best: Best,
    coef: Array,
    scale: Array,
    residuals: Array,
) -> None:
    """Add those candidates to the best whose scales are among the smallest."""
    if np.isfinite(best.bound):
        # The scale is below the bound if rho sums to less than the goal at the bound,
        # which takes one pass over the residuals; the scale itself takes five.
        factor = np.full(len(coef), (loss.c * best.bound) ** -2.0)
        third = power_sums(deficits(rows.squares(coef), factor), rows.base)[1]
        better = np.flatnonzero(loss.total - third < loss.goal)
        if not len(better):
            return
        coef, scale, residuals = coef[better], scale[better], residuals[better]
    tiny = scale <= 2.0 * rows.rounding(coef)
    for k in np.flatnonzero(tiny):
        residuals[k, ~rows.off_plane(residuals[k], coef[k])] = 0.0
    best.add(coef, loss.scales(residuals, rows, None if tiny.any() else scale))


def _carried_over(
    best: Best,
    sample: SearchRows,
    on_sample: _Loss,
    rows: SearchRows,
    loss: _Loss,
    n_best: int,
) -> Best:
    """Return the best on all rows among the minima on a sample."""
    minima = _minima(sample, on_sample, best)
    coef = np.array([fit.coef for fit in minima])
    start = np.array([fit.scale for fit in minima])
    carried = Best(n_best)
    for k in range(len(coef)):
        residuals = rows.residuals(coef[k : k + 1])
        residuals[0, ~rows.off_plane(residuals[0], coef[k])] = 0.0
        scale = loss.scales(residuals, rows, start[k : k + 1])
        carried.add(coef[k : k + 1], scale)
    return carried


# -- local minima ----------------------------------------------------------------


def _minima(rows: SearchRows, loss: _Loss, best: Best) -> list[SFit]:
    """Return the different local minima that the best candidates lead to."""
    minima: list[SFit] = []
    for coef, scale in zip(best.coef, best.value, strict=True):
        fit = _descended(rows, loss, coef, float(scale), minima)
        if fit is not None:
            minima.append(fit)
            if fit.scale == 0.0:
                break
    return minima


def _descended(
    rows: SearchRows, loss: _Loss, coef: Array, scale: float, known: list[SFit]
) -> SFit | None:
    """Go down to a local minimum, or return None on the way to a known one.

    Least squares with the weights of the scale lowers the scale. Near a minimum
    Newton's method is faster: it solves ``sum base * psi(r / s) x = 0`` with s fixed,
    since the scale has no slope there. If it raises the scale, it is undone.
    """
    newton, held, before = False, 0, np.inf
    fallback = coef
    for n_iter in range(_MAX_ITER):
        residuals = rows.residuals(coef[None])
        off = rows.off_plane(residuals[0], coef)
        if rows.total(off) <= loss.goal:
            return _exact(rows, coef, off, n_iter)
        start = np.array([scale]) if scale > 0.0 else None
        scale = float(loss.scales(residuals, rows, start)[0])
        if newton and scale > before * (1.0 + 1e-13):
            # Back to where least squares is sure to go down.
            coef, scale, newton, held = fallback, before, False, 5
            residuals = rows.residuals(coef[None])
        if any(np.linalg.norm(coef - m.coef) <= _SAME * m.scale for m in known):
            return None
        v = deficits(rows.squares(coef[None]), np.array([(loss.c * scale) ** -2.0]))[0]
        # Slope of psi for Newton's method, else the weight of least squares.
        slope = v * (5.0 * v - 4.0) if newton else v * v
        step = rows.step(slope, v * v * residuals[0])
        size = float(np.linalg.norm(step))
        if size <= _TOL * scale + 4.0 * _EPS * float(np.linalg.norm(coef)):
            return SFit(coef, scale, v * v, n_iter, True)
        fallback, before = coef, scale
        coef = coef + step
        held = max(held - 1, 0)
        newton = held == 0 and size <= _NEWTON_REACH * scale
    return SFit(fallback, before, v * v, n_iter + 1, False)


def _exact(rows: SearchRows, coef: Array, off: NDArray[np.bool_], n_iter: int) -> SFit:
    """Return a plane with so many rows on it that the scale is zero."""
    on = (~off).astype(np.float64)
    residuals = rows.residuals(coef[None])[0]
    refitted = coef + rows.step(on, on * residuals)
    off_now = rows.off_plane(rows.residuals(refitted[None])[0], refitted)
    if rows.total(off_now) <= rows.total(off):
        coef, on = refitted, (~off_now).astype(np.float64)
    return SFit(coef, 0.0, on, n_iter, True)
