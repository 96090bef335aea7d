"""Rows as the searches for a high-breakdown fit see them: batched fits and steps.

The objectives of these fits have many local minima, so a search moves many coefficients
together. The Gram matrix of weighted least squares is linear in the weights, so those
of all candidates are one product of their weights with the products of the columns of
the design, which are formed once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]

# A Gram matrix gets this share of its mean diagonal on the diagonal, so that it can be
# solved even if all weight lies on rows that do not span the space.
_RIDGE = 1e-13
# A direction whose share of the largest curvature is below this is undetermined.
_FLAT = 1e-11
_PRODUCTS_BYTES = 150_000_000
_BLOCK_NUMBERS = 131_072
_MAX_BLOCK = 128
# Squares are cut off here, so that a sum of them is finite.
_HUGE = 1e290
# Rows of each column in the pool that completes dependent subsets.
_POOL = 10
# A subsample whose Gram matrix has an eigenvalue below this share of what it has on
# all rows hardly knows some column.
_THIN = 0.05
# From more rows on, a search sees a sample of them; all rows come in later.
_MANY_ROWS = 4000
_SEARCH_ROWS = 2000
# Residuals below this share of their terms are rounding.
ROUNDING = 64.0 * np.finfo(np.float64).eps


class SearchRows:
    """Rows of a regression in an orthonormal basis, for many coefficients at once.

    Parameters
    ----------
    Q : (n, p) array
    y : (n,) array
    base : (n,) positive array or None
        How often each row counts; None is once.

    Attributes
    ----------
    mass : float
        Sum of the base weights.
    fits : bool
        Whether the products of columns are kept in memory.
    block : int
        Number of candidates that move together.
    """

    def __init__(self, Q: Array, y: Array, base: Array | None) -> None:
        self.Q = Q
        self.y = y
        self.base = base
        self.mass = float(len(y)) if base is None else float(base.sum())
        self._reach = np.abs(Q).max(axis=0)
        self._middle = float(np.median(np.abs(y)))
        self._cumulated = None if base is None else np.cumsum(base)
        width = Q.shape[1] * (Q.shape[1] + 3) // 2
        self._step = max(int(_PRODUCTS_BYTES // (8 * width)), 1)
        # Products that do not fit are formed again for each block of candidates.
        self.fits = self._step >= len(y)
        self.block = _MAX_BLOCK
        if self.fits:
            self.block = int(np.clip(_BLOCK_NUMBERS // len(y), 8, _MAX_BLOCK))
        self._products: Array | None = None
        self._pool: Index | None = None

    def draw(self, uniform: Array) -> Index:
        """Turn uniform numbers into row numbers, by the base weights."""
        if self._cumulated is None:
            rows = (uniform * len(self.y)).astype(np.intp)
        else:
            at = uniform * self._cumulated[-1]
            rows = np.searchsorted(self._cumulated, at, side="right")
        return np.minimum(rows, len(self.y) - 1)

    def pool(self, generator: np.random.Generator) -> Index:
        """Return row numbers in which each direction of the design is frequent."""
        if self._pool is None:
            size = _POOL * self.Q.shape[1]
            leverage = np.einsum("ij,ij->i", self.Q, self.Q)
            if self.base is not None:
                leverage *= self.base
            share = np.cumsum(leverage)
            at = (np.arange(size) + generator.random(size)) / size * share[-1]
            chosen = np.searchsorted(share, at, side="right")
            self._pool = np.unique(np.minimum(chosen, len(self.y) - 1))
        return self._pool

    def residuals(self, coef: Array) -> Array:
        """Return residuals (k, n) of coefficients (k, p)."""
        fitted = coef @ self.Q.T
        return np.subtract(self.y, fitted, out=fitted)

    def squares(self, coef: Array) -> Array:
        """Return squared residuals (k, n) that are finite."""
        residuals = self.residuals(coef)
        with np.errstate(over="ignore"):
            residuals *= residuals
        return np.minimum(residuals, _HUGE, out=residuals)

    def rounding(self, coef: Array) -> Array:
        """Return the size (k,) of residuals that are rounding, in a typical row."""
        return ROUNDING * (self._middle + np.abs(coef) @ self._reach)

    def off_plane(self, residuals: Array, coef: Array) -> NDArray[np.bool_]:
        """Say where the residuals (n,) of coefficients (p,) are no rounding."""
        size = np.abs(coef) @ self._reach
        return np.abs(residuals) > ROUNDING * (np.abs(self.y) + size)

    def total(self, rows: NDArray[np.bool_]) -> float:
        """Return the mass of the rows of a mask (n,)."""
        if self.base is None:
            return float(np.count_nonzero(rows))
        return float(self.base[rows].sum())

    def least_squares(self, weight: Array, coef: Array) -> Array:
        """Return weighted least-squares fits (k, p) for weights (k, n).

        Directions that the weights do not determine stay as in `coef` (k, p).
        """
        p = self.Q.shape[1]
        sums = np.zeros((len(weight), p * (p + 3) // 2))
        for start in range(0, len(self.y), self._step):
            part = slice(start, start + self._step)
            sums += weight[:, part] @ self._column_products(part)
        gram = np.empty((len(weight), p, p))
        upper = np.triu_indices(p)
        gram[:, upper[0], upper[1]] = sums[:, :-p]
        gram[:, upper[1], upper[0]] = sums[:, :-p]
        right = sums[:, -p:] - (gram @ coef[..., None])[..., 0]
        return coef + solve_spd(gram, right)

    def step(self, weight: Array, values: Array) -> Array:
        """Return the move (p,) that ``Q' B diag(weight) Q`` turns into ``Q' B values``.

        Weights below zero may make the matrix indefinite. Its negative eigenvalues
        count as positive, so that the move leads away from a saddle, and nothing moves
        along directions that the weights do not determine.
        """
        gram, right = self.normal_equations(weight, values)
        curvature, directions = np.linalg.eigh(gram)
        curvature = np.abs(curvature)
        sure = curvature > _FLAT * curvature.max()
        directions = directions[:, sure]
        return directions @ (right @ directions / curvature[sure])

    def normal_equations(self, weight: Array, values: Array) -> tuple[Array, Array]:
        """Return ``Q' B diag(weight) Q`` (p, p) and ``Q' B values`` (p,)."""
        if self.base is not None:
            weight, values = weight * self.base, values * self.base
        p = self.Q.shape[1]
        gram = np.zeros((p, p))
        # Parts that stay in the cache.
        step = max(_BLOCK_NUMBERS // p, 1)
        for start in range(0, len(self.y), step):
            Q = self.Q[start : start + step]
            gram += (Q * weight[start : start + step, None]).T @ Q
        return gram, values @ self.Q

    def _column_products(self, part: slice) -> Array:
        """Return base * (Q_j Q_k, then Q_j y) of some rows, (rows, p (p + 3) / 2)."""
        if self._products is not None:
            return self._products
        Q, y = self.Q[part], self.y[part]
        base = None if self.base is None else self.base[part, None]
        p = Q.shape[1]
        scaled = Q if base is None else Q * base
        products = np.empty((len(y), p * (p + 3) // 2))
        at = 0
        for j in range(p):
            np.multiply(Q[:, j:], scaled[:, j, None], out=products[:, at : at + p - j])
            at += p - j
        np.multiply(scaled, y[:, None], out=products[:, at:])
        if self.fits:
            self._products = products
        return products


def solve_spd(gram: Array, right: Array) -> Array:
    """Solve positive semi-definite systems (..., p, p), (..., p), singular ones too."""
    p = gram.shape[-1]
    ridge = _RIDGE * np.trace(gram, axis1=-2, axis2=-1) / p
    ridge = np.where(ridge > 0.0, ridge, 1.0)
    gram = gram + ridge[..., None, None] * np.eye(p)
    solution = np.linalg.solve(gram, right[..., None])[..., 0]
    return np.asarray(solution, dtype=np.float64)


def check_mass(rows: SearchRows) -> None:
    """Raise if rows do not leave a degree of freedom."""
    p = rows.Q.shape[1]
    if rows.mass <= p:
        raise ValueError(
            f"The 'base' weights of a high-breakdown fit must sum to more than the "
            f"{p} columns of the design. Got {rows.mass:g}; add rows, or drop columns."
        )


def search_rows(rows: SearchRows, generator: np.random.Generator) -> SearchRows:
    """Return the rows that a search sees: all, or a sample if there are many.

    The sample is drawn by the base weights, one row from each stratum of equal mass,
    and each of its rows counts once. If that leaves a direction of the design thin, as
    the indicator of a rare class, half of the draws go by leverage, and the rows of the
    sample count in inverse proportion to how likely they were.
    """
    n, p = rows.Q.shape
    if n <= _MANY_ROWS and rows.fits:
        return rows
    size = max(_SEARCH_ROWS, 20 * p)
    if 2 * size > n:
        return rows
    at = (np.arange(size) + generator.random(size)) / size
    chosen = rows.draw(at)
    whole = np.linalg.eigvalsh(_mean_outer(rows.Q, rows.base))[0]
    if np.linalg.eigvalsh(_mean_outer(rows.Q[chosen], None))[0] > _THIN * whole:
        return SearchRows(rows.Q[chosen], rows.y[chosen], None)
    mass = np.ones(n) if rows.base is None else rows.base
    leverage = mass * np.einsum("ij,ij->i", rows.Q, rows.Q)
    chance = mass / rows.mass + leverage / leverage.sum()
    cumulated = np.cumsum(chance)
    chosen = np.searchsorted(cumulated, at * cumulated[-1], side="right")
    chosen, times = np.unique(np.minimum(chosen, n - 1), return_counts=True)
    base = times * mass[chosen] / chance[chosen]
    return SearchRows(rows.Q[chosen], rows.y[chosen], base * (size / base.sum()))


def _mean_outer(Q: Array, base: Array | None) -> Array:
    if base is None:
        return Q.T @ Q / len(Q)
    return (Q * base[:, None]).T @ Q / base.sum()


def smallest_mass(values: Array, base: Array | None, mass: float) -> Array:
    """Return how much of each row to keep so that the smallest values have a mass.

    The row at the boundary is kept in part. Of equal values there, some are kept whole
    and some not at all: between vertices a sum that is to fall could stay.

    Shapes: values (k, n), base (n,), result (k, n) within [0, 1].
    """
    k, n = values.shape
    kept = np.zeros((k, n))
    if base is None:
        whole = min(int(mass), n)
        order = np.argpartition(values, min(whole, n - 1), axis=1)
        np.put_along_axis(kept, order[:, :whole], 1.0, axis=1)
        if whole < n and mass > whole:
            kept[np.arange(k), order[:, whole]] = mass - whole
        return kept
    order = np.argsort(values, axis=1)
    sorted_base = base[order]
    before = np.cumsum(sorted_base, axis=1) - sorted_base
    share = np.clip((mass - before) / sorted_base, 0.0, 1.0)
    np.put_along_axis(kept, order, share, axis=1)
    return kept
