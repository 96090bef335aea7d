"""Do the data determine unpenalised coefficients? Separation and collinearity.

Two ways to fail leave different traces. A *collinear* direction has no curvature
anywhere, also not at the intercept-only model. Along a *separated* direction the
likelihood keeps rising to a limit: there was curvature at the intercept-only model, and
it has vanished at the fit, which stopped at coefficients that are merely large.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from statlearn.exceptions import CollinearityWarning, SeparationWarning
from statlearn.ordinal._fusion import boundary_names
from statlearn.ordinal._likelihood import boundary_slopes
from statlearn.ordinal._problem import Problem
from statlearn.ordinal._solver import Solution
from statlearn.utils._warn import warn

Array = NDArray[np.float64]

# No curvature relative to the diagonal: linearly dependent columns.
_DEPENDENT = 1e-10
# Share of the null curvature that is left where a direction is separated.
_VANISHED = 1e-5
# Linear predictors below this size cannot hide a separated direction.
LARGE_PREDICTOR = 8.0
# An eigenvalue problem of this size takes seconds; beyond it nothing is checked.
LIMIT = 3000
_NAMED = 0.1


class NullDirections(NamedTuple):
    """Directions with and without curvature at the intercept-only model."""

    unit: Array  # (w,) root of the curvature of each coefficient
    dependent: Array  # (w, d) directions without curvature, in units of `unit`
    basis: Array  # (w, r) the others, of curvature one


def null_directions(at_null: Array) -> NullDirections:
    """Split the coefficients by their null curvature (w, w)."""
    unit = np.sqrt(np.maximum(np.diag(at_null), np.finfo(float).tiny))
    values, vectors = linalg.eigh(at_null / np.outer(unit, unit))
    flat = values < _DEPENDENT * values.max(initial=0.0)
    basis = (vectors / unit[:, None])[:, ~flat] / np.sqrt(values[~flat])
    return NullDirections(unit, vectors[:, flat], basis)


def has_vanished(left: Array, tol: float) -> NDArray[np.bool_]:
    """Tell where so little of the null curvature is left that it means separation."""
    return left < max(_VANISHED, 10.0 * tol)


def null_information(problem: Problem) -> Array:
    """Return the mean curvature of the free coefficients without effects."""
    theta = np.zeros_like(problem.penalty.weight)
    theta[:, 0] = problem.null_intercepts
    return _hessian(problem, theta)


def warn_if_not_identified(
    problem: Problem,
    solution: Solution,
    feature_names: NDArray[np.str_],
    classes: NDArray[Any],
    caller: str,
) -> None:
    """Warn about collinear columns and separated directions of an unpenalised fit."""
    mask = problem.penalty.free
    if mask.sum() > LIMIT:
        return
    directions = null_directions(null_information(problem))
    if directions.dependent.size:
        columns = _named_columns(directions.dependent, mask)
        warn(
            f"{caller} expected columns that are linearly independent next to every "
            f"boundary. Got a linear dependence that involves "
            f"{_listed(feature_names[columns])}; drop a column or use a penalty. "
            f"Predictions are unaffected, single coefficients are arbitrary.",
            CollinearityWarning,
        )
    etas = problem.likelihood.predictors(solution.theta, problem.design.block)
    if max(np.abs(eta).max(initial=0.0) for eta in etas) < LARGE_PREDICTOR:
        return
    basis = directions.basis
    left, turn = linalg.eigh(basis.T @ _hessian(problem, solution.theta) @ basis)
    vanished = has_vanished(left, problem.tol)
    if vanished.any():
        culprits = _separated_names(
            problem, basis @ turn[:, vanished], feature_names, classes
        )
        warn(
            f"{caller} expected overlapping classes. Got classes separated by "
            f"{culprits}, whose maximum-likelihood coefficients are infinite and were "
            f"stopped at large values; use a penalty, pool classes, or drop the "
            f"feature.",
            SeparationWarning,
        )


def _hessian(problem: Problem, theta: Array) -> Array:
    view = problem.design.block
    etas = problem.likelihood.predictors(theta, view)
    return problem.likelihood.hessian(etas, view, problem.penalty.free, surrogate=True)


def _named_columns(vectors: Array, mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the features that take part in some directions over the mask."""
    size = np.zeros(mask.shape)
    size[mask] = (vectors**2).sum(axis=1)
    by_column = size[:, 1:].max(axis=0)
    return np.flatnonzero(by_column > _NAMED * by_column.max())


def _separated_names(
    problem: Problem,
    directions: Array,
    feature_names: NDArray[np.str_],
    classes: NDArray[Any],
) -> str:
    """Name features, and the boundaries at which they separate."""
    mask = problem.penalty.free
    theta = np.zeros((directions.shape[1], *mask.shape))
    theta[:, mask] = directions.T
    size = (boundary_slopes(theta) ** 2).sum(axis=0)[:, 1:]
    size = size[::-1] if problem.model.reverse else size
    large = size > _NAMED * size.max()
    if not large.any():
        return "the intercepts alone"
    boundaries = boundary_names(classes[problem.present])
    parts = []
    for j in np.flatnonzero(large.any(axis=0)):
        where = [boundaries[k] for k in np.flatnonzero(large[:, j])]
        everywhere = len(where) == len(boundaries)
        place = "" if everywhere else f" (at {', '.join(where)})"
        parts.append(f"'{feature_names[j]}'{place}")
    return ", ".join(parts)


def _listed(names: NDArray[np.str_]) -> str:
    return ", ".join(f"'{name}'" for name in names)
