"""What is passed to ModelMerger beside the models: rows, scales, a score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring

from statlearn.merging._state._entry import Array

# Keywords of a score, X and y and maybe weights, for each table.
Tables = list[dict[str, Any]]


class AnyModel:
    """Stands for the models before `fit`: what each of them can do, and no more."""

    predict = score = None


def tables_of(X: Any, y: Any, sample_weight: Any, n_models: int) -> Tables:
    """Return rows, targets and weights as keywords of a score, one dict a table."""
    if X is None:
        if y is not None:
            raise ValueError(
                "The 'y' of ModelMerger are targets of the rows X. Got X=None; pass "
                "the rows too."
            )
        return []
    several = isinstance(X, (list, tuple)) and all(map(_is_table, X))
    given = {"X": X, "y": y, "sample_weight": sample_weight}
    if not several:
        return [_table(X, y, sample_weight)]
    for name, value in given.items():
        if value is not None and len(value) != n_models:
            raise ValueError(
                f"The '{name}' of ModelMerger must have an entry for each of the "
                f"{n_models} models if X is a list of tables. Got {len(value)}; pass "
                "one table for all, or one for each model."
            )
    return [
        _table(*(None if value is None else value[task] for value in given.values()))
        for task in range(n_models)
    ]


def _table(X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
    """Return keywords of a score; many scores take no weights."""
    weight = {} if sample_weight is None else {"sample_weight": sample_weight}
    return {"X": X, "y": y, **weight}


def _is_table(value: Any) -> bool:
    """Tell rows and columns from one row of numbers."""
    return len(getattr(value, "shape", None) or np.shape(value)) > 1


def candidate_scales(scales: Any) -> Array:
    """Return the scales of the search, (n_scales,)."""
    if scales is None:
        return np.arange(1, 17) / 10
    values = np.asarray(scales, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(
            "The 'scales' of ModelMerger must be a list of finite numbers. Got "
            f"{scales!r}; pass for example [0.2, 0.4, 0.6, 0.8, 1.0]."
        )
    return values


def scorer_of(template: Any, scoring: Any) -> Callable[..., float]:
    """Return the score of models like this one, ``score(model, X, y)``."""
    if isinstance(template, BaseEstimator):
        scorer: Callable[..., float] = check_scoring(template, scoring)
    elif callable(scoring):
        scorer = scoring
    else:
        raise TypeError(
            "The 'scoring' of ModelMerger must be a function scoring(model, X, y) for "
            f"models of type {type(template).__name__}. Got {scoring!r}; pass a "
            "function of which more is better, or a number as 'scale'."
        )
    # Scorers of scikit-learn take the rows by position only.
    return lambda model, X, y, **weight: scorer(model, X, y, **weight)
