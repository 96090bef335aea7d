"""From rows to an ensemble: evidence about models, then weights for all and by fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.quantile._combiner import Combiner, Recipe, Stack, fit_combiner
from statlearn.quantile._cross_fitting import (
    CrossFit,
    NestedCrossFit,
    cross_fit,
    nested_cross_fit,
    read_folds,
)
from statlearn.quantile._fit_rows import FitRows
from statlearn.quantile._forecasts import Forecasts
from statlearn.utils._sklearn import take_rows

Array = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What m models predict for rows that they have not seen.

    Attributes
    ----------
    rows : ndarray of shape (n_covered,)
        Positions among the rows of the fit.
    stack : Stack
        Of these rows.
    inner : list of K Stack
        Of the rows outside of fold k, by models that have not seen it either; empty
        unless asked for.
    estimators : list of m estimators
        Fitted to all rows; empty for given forecasts or without refitting.
    fold_estimators : list of K lists of m estimators
        Empty unless they are needed.
    """

    rows: Rows
    stack: Stack
    inner: list[Stack]
    estimators: list[Any]
    fold_estimators: list[list[Any]]


def cross_fit_models(
    models: Sequence[tuple[str, Any]],
    rows: FitRows,
    recipe: Recipe,
    cv: Any,
    *,
    nested: bool,
    refit: bool,
    random_state: Any,
    n_jobs: int | None,
    caller: str,
) -> Evidence:
    """Fit models out of fold, twice over if `nested`."""
    folds = read_folds(cv, rows.X, rows.y, rows.groups, caller)
    options = {
        "sample_weight": rows.weight,
        "random_state": random_state,
        "n_jobs": n_jobs,
    }
    fit: CrossFit
    if nested:
        fit = nested_cross_fit(models, rows.X, rows.y, recipe.levels, folds, **options)
    else:
        fit = cross_fit(
            models,
            rows.X,
            rows.y,
            recipe.levels,
            folds,
            keep=not refit,
            refit=refit,
            **options,
        )
    _require_finite(fit.stack, models)
    stack = _stack(fit.stack, rows.take(folds.covered), folds.fold, recipe)
    inner = []
    if isinstance(fit, NestedCrossFit):
        for k, predicted in enumerate(fit.inner):
            outside = fit.outside(k)
            held = rows.take(folds.covered[outside])
            inner.append(_stack(predicted, held, folds.fold[outside], recipe))
    return Evidence(
        folds.covered,
        stack,
        inner,
        fit.estimators if refit else [],
        fit.fold_estimators,
    )


def _require_finite(stack: Array, models: Sequence[tuple[str, Any]]) -> None:
    """Raise if a model predicts infinite quantiles in a stack (n, m, q)."""
    rows = np.isinf(stack).any(axis=2).sum(axis=0)
    if rows.any():
        raise ValueError(
            f"The model {models[int(rows.argmax())][0]!r} must predict finite "
            f"quantiles to be combined with others. Got infinite ones in {rows.max()} "
            f"of {len(stack)} rows; leave out the outer levels, or calibrate the "
            f"combination by calibration= and not its models."
        )


def evidence_of_forecasts(
    rows: FitRows, recipe: Recipe, cv: Any, *, nested: bool, caller: str
) -> Evidence:
    """Return given forecasts as evidence; folds only serve what is learnt from them."""
    fold = np.full(len(rows.y), -1, np.intp)
    if nested or isinstance(recipe.shrinkage, str):
        folds = read_folds(cv, rows.X.P[:, 0], rows.y, rows.groups, caller)
        fold[folds.covered] = folds.fold
    stack = _stack(rows.X.P, rows, fold, recipe)
    inner = []
    if nested:
        inner = [
            stack.take(np.flatnonzero(fold != k)) for k in range(int(fold.max()) + 1)
        ]
    return Evidence(np.arange(len(rows.y)), stack, inner, [], [])


def _stack(Q: Array, rows: FitRows, fold: Rows, recipe: Recipe) -> Stack:
    features = rows.X.X if isinstance(rows.X, Forecasts) else rows.X
    weight = np.ones(len(rows.y)) if rows.weight is None else rows.weight
    return Stack(
        Q, rows.y, weight, fold, features if recipe.local is not None else None
    )


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Learnt weights of all rows, and of the rows outside of each fold.

    Attributes
    ----------
    combiner : Combiner
    fold_combiners : list of K Combiner
        Empty unless evidence was nested.
    """

    combiner: Combiner
    fold_combiners: list[Combiner]

    @classmethod
    def of(cls, recipe: Recipe, evidence: Evidence) -> Ensemble:
        """Learn from evidence."""
        return cls(
            fit_combiner(recipe, evidence.stack),
            [fit_combiner(recipe, stack) for stack in evidence.inner],
        )

    def held_out_grid(self, stack: Stack) -> Array:
        """Return the grid (n, q) of each row by the weights without its fold.

        NaN for rows that were in no fold.
        """
        n, _, q = stack.Q.shape
        grid = np.full((n, q), np.nan)
        for k, combiner in enumerate(self.fold_combiners):
            rows = np.flatnonzero(stack.fold == k)
            features = None if stack.X is None else take_rows(stack.X, rows)
            grid[rows] = combiner.combine(stack.Q[rows], features)
        return grid
