"""Steps that everything which follows a path of penalties has in common."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from statlearn.ordinal._problem import Fit, Problem, alpha_grid
from statlearn.utils._validation import as_numbers

Array = NDArray[np.float64]


def descending_alphas(
    alpha_max: float, alphas: ArrayLike | None, n_alphas: int, eps: float
) -> Array:
    """Return given alphas in descending order, or a grid below alpha_max."""
    if alphas is None:
        return alpha_grid(alpha_max, n_alphas, eps)
    given = np.sort(as_numbers(alphas).ravel())[::-1]
    if not given.size or not np.isfinite(given).all() or given[-1] < 0:
        raise ValueError(
            f"The 'alphas' parameter must be a non-empty list of finite numbers >= 0. "
            f"Got {alphas!r}; pass alphas=None for a grid of n_alphas values."
        )
    return given


def path_coefficients(problem: Problem, fits: list[Fit]) -> tuple[Array, Array]:
    """Return intercepts (n_alphas, m) and slopes (n_alphas, m, p) of a path."""
    expanded = [problem.expand(fit.intercept, fit.coef) for fit in fits]
    intercepts, coefs = zip(*expanded, strict=True)
    return np.array(intercepts), np.array(coefs)


def run_path(
    estimator: BaseEstimator, problem: Problem, alphas: Array, ctx: Any
) -> list[Fit]:
    """Fit all alphas, one callback task for each."""
    fits = []
    for fit in problem.path(alphas):
        step = ctx.subcontext(task_name="alpha")
        step.call_on_fit_task_begin(estimator=estimator)
        fits.append(fit)
        step.call_on_fit_task_end(estimator=estimator)
    return fits
