"""What the searches for a high-breakdown fit share: starts, subsamples, batched steps.

The objectives of these fits have many local minima, so a search starts from many
coefficients at once: fits of random rows, as many as there are columns (a start is good
if none of its rows is an outlier), and a few starts that are not random. All starts
move together. The Gram matrix of weighted least squares is linear in the weights, so
those of all starts are one product of their weights with the products of the columns of
the design, which are formed once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_EPS = np.finfo(np.float64).eps
# A row whose part outside the span of other rows is below this share of its length is
# dependent on them: the fit through them would be rounding.
_DEPENDENT = 1e-8
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
_TINY = np.finfo(np.float64).tiny
# Rows of each column in the pool that completes dependent subsets.
_POOL = 10
# A subsample whose Gram matrix has an eigenvalue below this share of what it has on
# all rows hardly knows some column.
_THIN = 0.05
# From more rows on, a search sees a sample of them; all rows come in later.
_MANY_ROWS = 4000
_SEARCH_ROWS = 2000
# Residuals below this many roundings of their terms are zero.
_ROUNDINGS = 64.0


class Rows:
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
        return _ROUNDINGS * _EPS * (self._middle + np.abs(coef) @ self._reach)

    def off_plane(self, residuals: Array, coef: Array) -> NDArray[np.bool_]:
        """Say where the residuals (n,) of coefficients (p,) are no rounding."""
        size = np.abs(coef) @ self._reach
        return np.abs(residuals) > _ROUNDINGS * _EPS * (np.abs(self.y) + size)

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


def check_mass(rows: Rows) -> None:
    """Raise if rows do not leave a degree of freedom."""
    p = rows.Q.shape[1]
    if rows.mass <= p:
        raise ValueError(
            f"The 'base' weights of a high-breakdown fit must sum to more than the "
            f"{p} columns of the design. Got {rows.mass:g}; add rows, or drop columns."
        )


def search_rows(rows: Rows, generator: np.random.Generator) -> Rows:
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
        return Rows(rows.Q[chosen], rows.y[chosen], None)
    mass = np.ones(n) if rows.base is None else rows.base
    leverage = mass * np.einsum("ij,ij->i", rows.Q, rows.Q)
    chance = mass / rows.mass + leverage / leverage.sum()
    cumulated = np.cumsum(chance)
    chosen = np.searchsorted(cumulated, at * cumulated[-1], side="right")
    chosen, times = np.unique(np.minimum(chosen, n - 1), return_counts=True)
    base = times * mass[chosen] / chance[chosen]
    return Rows(rows.Q[chosen], rows.y[chosen], base * (size / base.sum()))


def _mean_outer(Q: Array, base: Array | None) -> Array:
    if base is None:
        return Q.T @ Q / len(Q)
    return (Q * base[:, None]).T @ Q / base.sum()


# -- starts ----------------------------------------------------------------------


def starts(
    rows: Rows, n_starts: int, generator: np.random.Generator
) -> Iterator[Array]:
    """Yield blocks (k, p) of coefficients from which a search starts."""
    yield _trimmed_by_sensitivity(rows)
    yield _trimmed_by_distance(rows)
    for subset in _subsets(rows, n_starts, generator):
        fits = _exact_fits(rows, subset)
        if len(fits):
            yield fits


def _subsets(
    rows: Rows, n_starts: int, generator: np.random.Generator
) -> Iterator[Index]:
    """Yield blocks (k, p) of row numbers that span the space, if that can be."""
    n, p = rows.Q.shape
    if comb(n, p) <= n_starts:
        every = np.array(list(combinations(range(n), p)), dtype=np.intp)
        every = every.reshape(-1, p)
        for start in range(0, len(every), rows.block):
            yield every[start : start + rows.block]
        return
    drawn = rows.draw(generator.random((n_starts, p)))
    for start in range(0, n_starts, rows.block):
        subset = drawn[start : start + rows.block]
        dependent = _dependent(rows.Q[subset])
        short = np.flatnonzero(dependent.any(axis=1))
        if len(short):
            subset[short] = _completed(rows, subset[short], dependent[short], generator)
        yield subset


def _dependent(design: Array) -> NDArray[np.bool_]:
    """Say which rows are in the span of those before them; (k, p, p) gives (k, p)."""
    triangle = np.linalg.qr(np.swapaxes(design, 1, 2), mode="r")
    outside = np.abs(np.diagonal(triangle, axis1=1, axis2=2))
    return outside <= _DEPENDENT * np.linalg.norm(design, axis=2)


def _completed(
    rows: Rows,
    subset: Index,
    dependent: NDArray[np.bool_],
    generator: np.random.Generator,
) -> Index:
    """Exchange the dependent rows of subsets (k, p) for rows outside their span.

    Indicators of rare classes make most subsets dependent, however often they are
    drawn. So the new rows come from a pool in which every direction of the design is
    frequent, and are drawn by their squared distance from the span, one at a time.
    Where all distances are zero (the design is singular), a row stays dependent.
    """
    p = subset.shape[1]
    pool = rows.pool(generator)
    design = rows.Q[pool]
    length = np.einsum("ij,ij->i", design, design)
    subset = np.take_along_axis(subset, np.argsort(dependent, axis=1), axis=1)
    count = p - dependent.sum(axis=1)
    known = np.arange(p) < count[:, None]
    # Orthonormal columns that span the independent rows, (k, p, p), zeros after them.
    span = np.linalg.qr(np.swapaxes(rows.Q[subset] * known[:, :, None], 1, 2))[0]
    span *= known[:, None, :]
    distance = np.array([length - np.sum((design @ V) ** 2, axis=1) for V in span])
    for t in range(int(count.min()), p):
        short = np.flatnonzero(count <= t)
        far = np.where(distance[short] > _DEPENDENT * length, distance[short], 0.0)
        share = np.cumsum(far, axis=1)
        target = generator.random(len(short)) * share[:, -1]
        at = np.minimum(np.sum(share <= target[:, None], axis=1), len(pool) - 1)
        subset[short, t] = pool[at]
        new = design[at][:, :, None]
        for _ in range(2):
            new = new - span[short] @ (np.swapaxes(span[short], 1, 2) @ new)
        norm = np.linalg.norm(new, axis=1, keepdims=True)
        new = np.where(share[:, -1:, None] > 0.0, new / np.maximum(norm, _TINY), 0.0)
        span[short, :, t] = new[..., 0]
        distance[short] -= (new[..., 0] @ design.T) ** 2
    return subset


def _exact_fits(rows: Rows, subset: Index) -> Array:
    """Return coefficients (m, p) of the planes through subsets (k, p) that have one."""
    design = rows.Q[subset]
    good = ~_dependent(design).any(axis=1)
    response = rows.y[subset[good]]
    fits = np.linalg.solve(design[good], response[..., None])[..., 0]
    return np.asarray(fits, dtype=np.float64)


def _trimmed_by_sensitivity(rows: Rows) -> Array:
    """Return least squares, and least squares without the rows that can move it most.

    Peña and Yohai (1999): the change of all fitted values when a row is left out has
    p principal components; outliers that mask each other stand out at an end of one.
    For each component the lower, the upper and the middle half of the rows are fitted.

    Shapes: (3 p + 1, p).
    """
    n, p = rows.Q.shape
    weight = np.ones((1, n))
    ols = rows.least_squares(weight, np.zeros((1, p)))
    gram = rows.normal_equations(weight[0], rows.y)[0]
    values, vectors = np.linalg.eigh(gram)
    kept = values > _DEPENDENT * values[-1]
    white = rows.Q @ (vectors[:, kept] / np.sqrt(values[kept]))
    leverage = np.minimum(np.einsum("ij,ij->i", white, white), 1.0)
    error = rows.residuals(ols)[0]
    # A row that its own fit goes through would change all others without bound.
    change = error / np.maximum(1.0 - leverage, 1e-6)
    top = np.abs(change).max()
    if top == 0.0:
        return ols
    pull = white * (change / top)[:, None]
    base = None if rows.base is None else rows.base[:, None]
    moments = pull.T @ (pull if base is None else pull * base)
    component = (white @ np.linalg.eigh(moments)[1]).T
    halves = np.concatenate((component, -component, np.abs(component)))
    weight = smallest_mass(halves, rows.base, np.ceil(0.5 * rows.mass))
    trimmed = rows.least_squares(weight, np.repeat(ols, len(weight), axis=0))
    return np.concatenate((ols, trimmed))


def _trimmed_by_distance(rows: Rows) -> Array:
    """Return least squares on the half of the rows that is least far from the centre.

    Hubert, Rousseeuw and Verdonck (2012): directions in which to measure come from a
    correlation of something bounded, here ranks, squashed columns and spatial signs;
    along each the centre is the median and the unit the median absolute deviation.
    Distances are those of the predictors alone and of predictors and response.

    Shapes: (k, p), k at most 6.
    """
    n, p = rows.Q.shape
    # Rows in proportion to their weights: only the fits need the weights themselves.
    copies = np.arange(n)
    if rows.base is not None:
        copies = rows.draw((np.arange(n) + 0.5) / n)
    halves = []
    for table in (rows.Q, np.column_stack((rows.Q, rows.y))):
        centred, spread = _standardised(table, copies)
        centred = centred[:, spread > 0.0]
        if not centred.shape[1]:
            continue
        ranks = rankdata(centred, axis=0) - 0.5 * (n + 1.0)
        norm = np.linalg.norm(centred, axis=1, keepdims=True)
        signs = centred / np.maximum(norm, _TINY)
        for bounded in (ranks, np.tanh(centred), signs):
            seen = bounded[copies]
            axes = np.linalg.eigh(seen.T @ seen)[1]
            distance, spread = _standardised(centred @ axes, copies)
            distance = np.minimum(np.abs(distance), 1e100) ** 2
            halves.append(distance[:, spread > 0.0].sum(axis=1))
    if not halves:
        return np.zeros((0, p))
    weight = smallest_mass(np.array(halves), rows.base, np.ceil(0.5 * rows.mass))
    return rows.least_squares(weight, np.zeros((len(halves), p)))


def _standardised(table: Array, copies: Index) -> tuple[Array, Array]:
    """Return columns (n, m) less their medians, in units of their MADs; those (m,)."""
    centred = table - np.median(table[copies], axis=0)
    spread = np.median(np.abs(centred[copies]), axis=0)
    # A spread of rounding is that of a constant column.
    size = np.abs(table[copies]).max(axis=0)
    spread[spread <= _ROUNDINGS * _EPS * size] = 0.0
    return centred / np.where(spread > 0.0, spread, 1.0), spread


# -- selection -------------------------------------------------------------------


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


class Best:
    """The candidates of smallest objective so far, best first.

    Parameters
    ----------
    size : int
        How many are kept.

    Attributes
    ----------
    coef : (k, p) array
    value : (k,) array
        Objectives, ascending.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.coef: Array = np.zeros((0, 0))
        self.value: Array = np.zeros(0)

    @property
    def bound(self) -> float:
        """What a new candidate has to beat; infinity while there is room."""
        return float(self.value[-1]) if len(self.value) == self.size else np.inf

    def distinct(self, radius: Array) -> Best:
        """Return those that have no better one within their radius (k,)."""
        chosen: list[int] = []
        for k, coef in enumerate(self.coef):
            gaps = np.linalg.norm(self.coef[chosen] - coef, axis=1)
            if not (gaps <= radius[k]).any():
                chosen.append(k)
        found = Best(self.size)
        found.coef, found.value = self.coef[chosen], self.value[chosen]
        return found

    def shortened(self, size: int) -> Best:
        """Return the first of them."""
        found = Best(size)
        found.coef, found.value = self.coef[:size], self.value[:size]
        return found

    def add(self, coef: Array, value: Array) -> None:
        """Add candidates (k, p) with their objectives (k,)."""
        if len(self.value):
            coef = np.concatenate((self.coef, coef))
            value = np.concatenate((self.value, value))
        order = np.argsort(value, kind="stable")[: self.size]
        self.coef, self.value = coef[order], value[order]
