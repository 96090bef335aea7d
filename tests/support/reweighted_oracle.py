"""Data and formulas for tests of reweighted linear regression, written on their own.

Nothing here imports the package: psi functions, scales and covariances are those of the
textbooks, on raw columns, with plain inverses.
"""

from __future__ import annotations

import numpy as np

LOSS_RULES = [
    "chi2ball",
    "cvar",
    "extremes",
    "focal",
    "klball",
    "kltilt",
    "linupper",
    "quadratic",
    "selfpaced",
    "trimmed",
    "uniform",
    "upper",
]
RESIDUAL_RULES = [
    "andrews",
    "bisquare",
    "cauchy",
    "fair",
    "gemanmcclure",
    "hampel",
    "huber",
    "logistic",
    "talwar",
    "welsch",
]
RULES = [*LOSS_RULES, *RESIDUAL_RULES]
PRESETS = ["lts", "mm", "s"]
WEIGHTINGS = [*RULES, *PRESETS]
# Their weights depend on the unit of y by their definition.
IN_THE_UNIT_OF_Y = ("focal", "kltilt", "selfpaced")
# Weights that jump between rows may send the iteration around in circles.
MAY_CYCLE = ("cvar",)

MAD = 1.482602218505602


def dirty(seed=0, n=60, p=3, n_outliers=5, shift=8.0):
    """Normal rows and errors, some responses moved up."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    y = 1.0 + X @ np.linspace(1.0, -2.0, p) + rng.normal(size=n)
    y[:n_outliers] += shift
    return X, y


def counts(seed, n):
    """Integer weights, about a quarter of them zero."""
    return np.random.default_rng(seed).integers(0, 4, size=n)


def with_ones(X):
    return np.column_stack((np.ones(len(X)), X))


def full_coef(model):
    return np.r_[model.intercept_, model.coef_]


def rel(a, b):
    """Largest difference, relative to the largest value."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return float(np.max(np.abs(a - b)) / np.max(np.abs(b)))


def mad(residuals, weight):
    """Median of absolute residuals of repeated rows, for integer weights."""
    return MAD * np.median(np.repeat(np.abs(residuals), weight))


def bisquare_chi(u, c=1.54764):
    return 1.0 - np.maximum(1.0 - (u / c) ** 2, 0.0) ** 3


def bisquare_chi_slope(u, c=1.54764):
    return 6.0 * u / c**2 * np.maximum(1.0 - (u / c) ** 2, 0.0) ** 2


def huber(c=1.345):
    return (
        lambda u: np.clip(u, -c, c),
        lambda u: (np.abs(u) <= c).astype(float),
    )


def bisquare(c=4.685):
    def psi(u):
        return u * np.maximum(1.0 - (u / c) ** 2, 0.0) ** 2

    def slope(u):
        v = (u / c) ** 2
        return np.where(v < 1.0, (1.0 - v) * (1.0 - 5.0 * v), 0.0)

    return psi, slope


def cauchy(c=2.3849):
    return (
        lambda u: u / (1.0 + (u / c) ** 2),
        lambda u: (1.0 - (u / c) ** 2) / (1.0 + (u / c) ** 2) ** 2,
    )


def fair(c=1.3998):
    return (
        lambda u: u / (1.0 + np.abs(u) / c),
        lambda u: 1.0 / (1.0 + np.abs(u) / c) ** 2,
    )


def logistic(c=1.205):
    return (
        lambda u: c * np.tanh(u / c),
        lambda u: 1.0 / np.cosh(u / c) ** 2,
    )


def welsch(c=2.9846):
    return (
        lambda u: u * np.exp(-((u / c) ** 2)),
        lambda u: (1.0 - 2.0 * (u / c) ** 2) * np.exp(-((u / c) ** 2)),
    )


PSI = {f.__name__: f() for f in (huber, bisquare, cauchy, fair, logistic, welsch)}


def h1(D, r, s, psi, slope, weight=None):
    """Huber's first covariance on raw columns D (n, p)."""
    weight = np.ones(len(D)) if weight is None else weight
    n, p = weight.sum(), D.shape[1]
    u = r / s
    bend = weight @ slope(u) / n
    spread = weight @ (slope(u) - bend) ** 2 / n
    k = 1.0 + p * spread / (n * bend**2)
    square = s**2 * (weight @ psi(u) ** 2) / (n - p)
    return k**2 * square / bend**2 * np.linalg.inv(D.T @ (weight[:, None] * D))


def sandwich(D, r, s, psi, slope, weight=None):
    weight = np.ones(len(D)) if weight is None else weight
    bread = np.linalg.inv(D.T @ ((weight * slope(r / s))[:, None] * D))
    meat = D.T @ ((weight * psi(r / s) ** 2)[:, None] * D)
    return s**2 * bread @ meat @ bread


def avar1(D, r, r_start, s, c=4.685061, b=0.5):
    """Croux, Dhaene and Hoorelbeke on raw columns, one row at a time."""
    n = len(D)
    psi, slope = bisquare(c)
    u, u0 = r / s, r_start / s
    chi, chi_slope = bisquare_chi(u0), bisquare_chi_slope(u0)
    A = s * np.linalg.inv(sum(slope(u[i]) * np.outer(D[i], D[i]) for i in range(n)))
    a = A @ sum(slope(u[i]) * u[i] * D[i] for i in range(n)) / np.mean(chi_slope * u0)
    z = A @ sum(psi(u[i]) * chi[i] * D[i] for i in range(n))
    meat = sum(psi(u[i]) ** 2 * np.outer(D[i], D[i]) for i in range(n))
    excess = np.mean(chi**2) - b**2
    V = n * A @ meat @ A - np.outer(a, z) - np.outer(z, a) + excess * np.outer(a, a)
    return V / n
