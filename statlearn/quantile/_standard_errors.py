"""Covariance of linear quantile regression, by kernel density or by bootstrap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.special import ndtri

from statlearn.quantile._constraint import FREE
from statlearn.quantile._interior_point import solve_pinball_batch

Array = NDArray[np.float64]

# A normal distribution has this many standard deviations between its quartiles.
_IQR_OF_NORMAL = 1.34
# Of the coefficients of a resample; their spread is far larger.
_BOOTSTRAP_TOL = 1e-6
# Counts that differ by less are the same.
_SAME_COUNT = 1e-9


def _density(scores: Array) -> Array:
    return np.exp(-0.5 * scores**2) / np.sqrt(2.0 * np.pi)


def _inside(scores: Array) -> Array:
    return np.maximum(1.0 - scores**2, 0.0)


KERNELS: dict[str, Callable[[Array], Array]] = {
    "epanechnikov": lambda scores: 0.75 * _inside(scores),
    "biweight": lambda scores: 0.9375 * _inside(scores) ** 2,
    "gaussian": _density,
}


def level_bandwidth(n_rows: float, level: float, rule: str) -> float:
    """Return the half width around a level at which quantiles are compared.

    Parameters
    ----------
    n_rows : float
        Number of rows, or the total of their counts.
    level : float
    rule : {"hall-sheather", "bofinger"}
        The first aims at intervals of 95 % for the quantile, the second at the mean
        squared error of the density.

    Returns
    -------
    width : float
        Halved until both ends lie in (0, 1).
    """
    score = ndtri(level)
    ratio = _density(score) / (2.0 * score**2 + 1.0)
    if rule == "hall-sheather":
        peak = 1.5 * _density(score) * ratio
        width = n_rows ** (-1 / 3) * ndtri(0.975) ** (2 / 3) * peak ** (1 / 3)
    else:
        width = n_rows ** (-1 / 5) * (4.5 * _density(score) ** 2 * ratio**2) ** (1 / 5)
    while not 0.0 < level - width < level + width < 1.0:
        width /= 2.0
    return float(width)


def residual_bandwidth(
    residuals: Array, level: float, weight: Array, rule: str
) -> float:
    """Return the kernel's half width, in the unit of the residuals (n,).

    That of the level, turned into residuals as if these were normal.
    """
    total = weight.sum()
    width = level_bandwidth(total, level, rule)
    centred = residuals - weight @ residuals / total
    deviation = np.sqrt(weight @ centred**2 / max(total - 1.0, 1.0))
    low, high = _quartiles(residuals, weight)
    spread = min(deviation, (high - low) / _IQR_OF_NORMAL)
    return float(spread * (ndtri(level + width) - ndtri(level - width)))


def kernel_covariance(
    X: Array,
    residuals: Array,
    level: float,
    weight: Array,
    *,
    kind: str,
    bandwidth: str,
    kernel: str = "epanechnikov",
) -> Array:
    """Return the covariance (k, k) of the coefficients at one level.

    Parameters
    ----------
    X : ndarray of shape (n, k)
        Of full column rank.
    residuals, weight : ndarray of shape (n,)
        Weights count rows.
    level : float
    kind : {"kernel", "robust", "iid"}
        Powell's sandwich with a density at every row; one density for all rows and the
        squares of the scores; one density, and scores that do not depend on the row.
    bandwidth : {"hall-sheather", "bofinger"}
    kernel : {"epanechnikov", "biweight", "gaussian"}, default="epanechnikov"

    Returns
    -------
    covariance : ndarray of shape (k, k)
        nan where no residuals are near zero, or all of them are zero.
    """
    missing = np.full((X.shape[1], X.shape[1]), np.nan)
    width = residual_bandwidth(residuals, level, weight, bandwidth)
    if not width > 0.0:
        return missing
    density = KERNELS[kernel](residuals / width) / width
    if kind != "kernel":
        density = np.full(len(X), weight @ density / weight.sum())
    score = np.full(len(X), level * (1.0 - level))
    if kind == "robust":
        # Rows on the fit are on neither side, and have the expected square.
        sides = [residuals > 0.0, residuals < 0.0]
        score = np.select(sides, [level**2, (1.0 - level) ** 2], level * (1.0 - level))
    try:
        factor = linalg.cho_factor((X.T * (weight * density)) @ X)
    except linalg.LinAlgError:
        return missing
    half = linalg.cho_solve(factor, X.T * np.sqrt(weight * score))
    return half @ half.T


def bootstrap_covariance(
    X: Array,
    y: Array,
    levels: Array,
    weight: Array,
    *,
    n_bootstrap: int,
    generator: np.random.Generator,
) -> Array:
    """Return covariances (q, k, k) from rows drawn with replacement, x and y together.

    Parameters
    ----------
    X : ndarray of shape (n, k)
    y, weight : ndarray of shape (n,)
        A resample has as many rows as the counts add up to, rounded.
    levels : ndarray of shape (q,)
    n_bootstrap : int
    generator : numpy.random.Generator

    Returns
    -------
    covariances : ndarray of shape (q, k, k)
    """
    share = weight / weight.sum()
    n_draws = max(round(float(weight.sum())), 1)
    drawn = np.empty((n_bootstrap, len(levels), X.shape[1]))
    for trial in range(n_bootstrap):
        counts = generator.multinomial(n_draws, share).astype(np.float64)
        kept = counts > 0.0
        drawn[trial] = solve_pinball_batch(
            X[kept],
            y[kept],
            levels,
            counts[kept],
            constraint=FREE,
            tol=_BOOTSTRAP_TOL,
        ).coef
    drawn -= drawn.mean(axis=0)
    return np.einsum("bqi,bqj->qij", drawn, drawn) / (n_bootstrap - 1)


def _quartiles(values: Array, weight: Array) -> Array:
    """Return the quartiles (2,) of values (n,), each as often as it counts.

    For whole counts these are the quartiles of NumPy of the repeated values.
    """
    order = np.argsort(values)
    values, reached = values[order], np.cumsum(weight[order])

    def at(place: Array) -> Array:
        found = np.searchsorted(reached, place + _SAME_COUNT, side="right")
        return values[np.minimum(found, len(values) - 1)]

    last = max(reached[-1] - 1.0, 0.0)
    position = last * np.array([0.25, 0.75])
    below = np.floor(position + _SAME_COUNT)
    share = np.maximum(position - below, 0.0)
    return (1.0 - share) * at(below) + share * at(np.minimum(below + 1.0, last))
