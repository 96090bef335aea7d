"""Coefficients from which the searches for a high-breakdown fit start.

Fits of random rows, as many as there are columns (a start is good if none of its rows
is an outlier), and a few starts that are not random.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from statlearn.linear_model._search_rows import ROUNDING, SearchRows, smallest_mass

Array = NDArray[np.float64]
Index = NDArray[np.intp]

# A row whose part outside the span of other rows is below this share of its length is
# dependent on them: the fit through them would be rounding.
_DEPENDENT = 1e-8
_TINY = np.finfo(np.float64).tiny


def starts(
    rows: SearchRows, n_starts: int, generator: np.random.Generator
) -> Iterator[Array]:
    """Yield blocks (k, p) of coefficients from which a search starts."""
    yield _trimmed_by_sensitivity(rows)
    yield _trimmed_by_distance(rows)
    for subset in _elemental_subsets(rows, n_starts, generator):
        fits = _exact_fits(rows, subset)
        if len(fits):
            yield fits


def _elemental_subsets(
    rows: SearchRows, n_starts: int, generator: np.random.Generator
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
    rows: SearchRows,
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


def _exact_fits(rows: SearchRows, subset: Index) -> Array:
    """Return coefficients (m, p) of the planes through subsets (k, p) that have one."""
    design = rows.Q[subset]
    good = ~_dependent(design).any(axis=1)
    response = rows.y[subset[good]]
    fits = np.linalg.solve(design[good], response[..., None])[..., 0]
    return np.asarray(fits, dtype=np.float64)


# -- starts that are not random --------------------------------------------------


def _trimmed_by_sensitivity(rows: SearchRows) -> Array:
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


def _trimmed_by_distance(rows: SearchRows) -> Array:
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
    spread[spread <= ROUNDING * size] = 0.0
    return centred / np.where(spread > 0.0, spread, 1.0), spread
