"""Least trimmed squares by concentration (Rousseeuw and Van Driessen, 2006).

API: ``fast_lts(Q, y, base, h=, n_starts=, n_steps=, n_best=, random_state=)`` returns
an `LTSFit` with coefficients in the basis Q.

Least trimmed squares has the coefficients whose h smallest squared residuals have the
smallest sum. A concentration step fits least squares to the h rows of smallest squared
residual; it never raises the sum, and ends at a local minimum after finitely many. With
base weights h is a mass, and the row at the boundary counts in part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from statlearn.linear_model._search_candidates import Best
from statlearn.linear_model._search_rows import (
    SearchRows,
    check_mass,
    search_rows,
    smallest_mass,
)
from statlearn.linear_model._search_starts import starts
from statlearn.utils._rng import as_generator

Array = NDArray[np.float64]

# So many candidates make so many steps more before the best go on.
_N_SEMIFINAL = 50
_SEMIFINAL_STEPS = 8
# Candidates of a sample that are taken to its local minima.
_N_SAMPLE_BEST = 20
_MAX_ITER = 500
# Longest move, in concentration steps.
_LONGEST = 8.0
# On many rows a basin has many minima whose sums are all but equal. Candidates that
# come within this many root mean squares of a known minimum are not followed.
_SAME = 0.02
# A step that lowers the sum by less than this share has lowered it by rounding.
_STILL = 1e-14
# Squared residuals that differ by less than this share are equal: the same row at
# another place of an array can get another last digit.
_TIED = 1e-12


@dataclass(frozen=True, slots=True)
class LTSFit:
    """A least trimmed squares fit, before any reweighting.

    Attributes
    ----------
    coef : ndarray of shape (p,)
        Coefficients in the basis of the design.
    objective : float
        Sum of the smallest squared residuals whose mass is h.
    scale : float
        Root of their mean, times the factor that makes it the standard deviation of
        normal residuals; there is no factor for small samples.
    kept : ndarray of shape (n,)
        Share of each row within [0, 1] that is among the h; rows of the same residual
        at the boundary have the same share. If the scale is 0, every row on the plane
        has 1, also when these are more than h.
    n_iter : int
        Concentration steps of the last stage from the start that won.
    """

    coef: Array
    objective: float
    scale: float
    kept: Array
    n_iter: int


def fast_lts(
    Q: Array,
    y: Array,
    base: Array | None = None,
    *,
    h: float | None = None,
    n_starts: int = 500,
    n_steps: int = 2,
    n_best: int = 10,
    random_state: Any = None,
) -> LTSFit:
    """Return the coefficients with the smallest sum of the h smallest squares.

    Parameters
    ----------
    Q : (n, p) array
        Design in an orthonormal basis; other columns do, if they are well conditioned.
    y : (n,) array
    base : (n,) positive array, default=None
        How often each row counts; None is once.
    h : float, default=None
        Mass of the rows to keep. None is ``floor((W + p + 1) / 2)``, W the sum of the
        base weights, which tolerates the largest share of outliers.
    n_starts : int, default=500
        Number of random subsets of p rows. If there are no more subsets than that, all
        of them are tried, once each.
    n_steps : int, default=2
        Concentration steps from each start before the best are chosen.
    n_best : int, default=10
        Candidates that are taken to their minimum on all rows.
    random_state : Generator, int or None

    Returns
    -------
    fit : LTSFit
    """
    generator = as_generator(random_state)
    rows = SearchRows(Q, y, base)
    p = Q.shape[1]
    check_mass(rows)
    h = float((rows.mass + p + 1.0) // 2.0) if h is None else float(h)
    h = min(h, rows.mass)
    if not h > 0.0:
        raise ValueError(
            f"The 'h' parameter of least trimmed squares must be a positive mass of "
            f"rows, above the number of columns. Got {h:g}; pass more, or None."
        )
    sample = search_rows(rows, generator)
    kept = n_best if sample is rows else max(n_best, _N_SAMPLE_BEST)
    share = h * sample.mass / rows.mass
    best = _search(sample, share, n_starts, n_steps, kept, generator)
    if sample is not rows:
        best = _carried_over(best, sample, share, rows, h, n_best)
    minima = _minima(rows, h, best, same=0.0 if sample is rows else _SAME)
    coef, _, n_iter = min(minima, key=lambda found: found[1])
    return _fit(rows, h, coef, n_iter)


# -- search ----------------------------------------------------------------------


def _search(
    rows: SearchRows,
    h: float,
    n_starts: int,
    n_steps: int,
    n_best: int,
    generator: np.random.Generator,
) -> Best:
    """Return the best of all starts after a few steps from each."""
    best = Best(max(n_best, _N_SEMIFINAL))
    for coef in starts(rows, n_starts, generator):
        _advance(rows, h, coef, n_steps, best)
    # Two steps tell little about where many more lead.
    longer = Best(best.size)
    _advance(rows, h, best.coef, _SEMIFINAL_STEPS, longer)
    # Of the same sum there is one.
    return longer.distinct(1e-8 * np.sqrt(longer.value / h)).shortened(n_best)


def _advance(rows: SearchRows, h: float, coef: Array, n_steps: int, best: Best) -> None:
    """Add candidates (k, p) to the best after some concentration steps."""
    for at in range(0, len(coef), rows.block):
        part = coef[at : at + rows.block]
        for _ in range(n_steps):
            kept = smallest_mass(rows.squares(part), rows.base, h)
            part = rows.least_squares(kept, part)
        best.add(part, trimmed_sums(rows.squares(part), rows.base, h))


def _carried_over(
    best: Best,
    sample: SearchRows,
    share: float,
    rows: SearchRows,
    h: float,
    n_best: int,
) -> Best:
    """Return the best on all rows among the minima on a sample."""
    carried = Best(n_best)
    for coef, _, _ in _minima(sample, share, best):
        squares = rows.squares(coef[None])
        carried.add(coef[None], trimmed_sums(squares, rows.base, h))
    return carried


def trimmed_sums(squares: Array, base: Array | None, h: float) -> Array:
    """Return the sums (k,) of the smallest squares (k, n) whose mass is h."""
    n = squares.shape[1]
    if base is not None:
        return np.sum(smallest_mass(squares, base, h) * base * squares, axis=1)
    whole = min(int(h), n)
    if whole == n:
        return squares.sum(axis=1)
    parted = np.partition(squares, whole, axis=1)
    return parted[:, :whole].sum(axis=1) + (h - whole) * parted[:, whole]


# -- local minima ----------------------------------------------------------------


def _minima(
    rows: SearchRows, h: float, best: Best, same: float = 0.0
) -> list[tuple[Array, float, int]]:
    """Return local minima as coefficients, objective and number of steps.

    Candidates that come nearer than `same` root mean squares to one of them are left.
    """
    minima: list[tuple[Array, float, int]] = []
    for coef in best.coef:
        found = _concentrated(rows, h, coef, minima, same)
        if found is not None:
            minima.append(found)
    return minima


def _concentrated(
    rows: SearchRows,
    h: float,
    coef: Array,
    known: list[tuple[Array, float, int]],
    same: float,
) -> tuple[Array, float, int] | None:
    """Concentrate until nothing changes, or return None at a known minimum.

    For normal errors a concentration step covers a seventh of the way to the minimum,
    so longer moves in its direction are tried while they lower the sum.
    """
    before, stretch = np.inf, 1.0
    last, step = coef, np.zeros_like(coef)
    for n_iter in range(_MAX_ITER):
        coef = last + stretch * step
        squares = rows.squares(coef[None])
        kept = smallest_mass(squares, rows.base, h)[0]
        weighted = kept if rows.base is None else kept * rows.base
        objective = float(weighted @ squares[0])
        if objective >= before * (1.0 - _STILL):
            if stretch == 1.0:
                return last, before, n_iter
            stretch = 1.0
            continue
        if any(abs(objective - value) <= _TIED * value for _, value, _ in known):
            return None
        near = same * np.sqrt(objective / h)
        if any(np.linalg.norm(coef - other) < near for other, _, _ in known):
            return None
        last, before = coef, objective
        step = rows.step(kept, kept * rows.residuals(coef[None])[0])
        stretch = min(2.0 * stretch, _LONGEST)
    return last, before, _MAX_ITER


def _fit(rows: SearchRows, h: float, coef: Array, n_iter: int) -> LTSFit:
    residuals = rows.residuals(coef[None])[0]
    off = rows.off_plane(residuals, coef)
    if rows.total(~off) >= h * (1.0 - 1e-12):
        return LTSFit(coef, 0.0, 0.0, (~off).astype(np.float64), n_iter)
    squares = rows.squares(coef[None])[0]
    objective = float(trimmed_sums(squares[None], rows.base, h)[0])
    kept = _shared(squares, rows, h)
    scale = np.sqrt(objective / h) / consistency(h / rows.mass)
    return LTSFit(coef, objective, float(scale), kept, n_iter)


def _shared(squares: Array, rows: SearchRows, h: float) -> Array:
    """Return the kept share (n,) of each row, equal for equal squares."""
    kept = smallest_mass(squares[None], rows.base, h)[0]
    edge = squares[kept > 0.0].max()
    tied = np.abs(squares - edge) <= _TIED * edge
    mass = np.ones(len(squares)) if rows.base is None else rows.base
    kept[tied] = (kept[tied] @ mass[tied]) / mass[tied].sum()
    return kept


def consistency(share: float) -> float:
    """Return the root mean square of the smallest share of normal deviations."""
    if share >= 1.0:
        return 1.0
    q = float(ndtri(0.5 * (1.0 + share)))
    density = np.exp(-0.5 * q * q) / np.sqrt(2.0 * np.pi)
    return float(np.sqrt(1.0 - 2.0 / share * q * density))
