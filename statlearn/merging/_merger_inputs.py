"""What is passed to ModelMerger: models of one kind, and tables of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import check_scoring

from statlearn.merging._state import Array

# Keywords of a score, X and y and maybe weights, for each table.
Tables = list[dict[str, Any]]

# What models must have in common beside the shapes of their weights.
_COMMON = {
    "list of classes": "classes_",
    "activation": "activation",
    "output activation": "out_activation_",
    "number of features": "n_features_in_",
    "list of feature names": "feature_names_in_",
}


class AnyModel:
    """Stands for the models before `fit`: what each of them can do, and no more."""

    predict = score = None


def listed_models(models: Any, caller: str) -> list[Any]:
    """Return the models as a list with something in it."""
    if isinstance(models, Mapping) or not isinstance(models, Sequence):
        raise TypeError(
            f"The 'models' of {caller} must be a list of models. Got "
            f"{type(models).__name__}; put them into a list, also if it is one."
        )
    if not models:
        raise ValueError(
            f"{caller} needs at least one model. Got an empty list; pass models."
        )
    return list(models)


def thawed(model: Any) -> Any:
    """Return the fitted model inside of a frozen one."""
    while isinstance(model, FrozenEstimator):
        model = model.estimator
    return model


def common_template(models: list[Any], base: Any) -> Any:
    """Return the model that gives all but the weights, after a look at all kinds."""
    first = models[0]
    template = base if isinstance(first, Mapping) and base is not None else first
    others = [(f"model {position}", model) for position, model in enumerate(models)]
    if base is not None and not isinstance(base, Mapping):
        others.append(("the base", base))
    for who, other in others:
        if isinstance(other, Mapping) and isinstance(first, Mapping):
            continue
        if type(other) is not type(template):
            raise TypeError(
                "ModelMerger needs models of one class. Got "
                f"{type(template).__name__} and, as {who}, {type(other).__name__}; "
                "pass models that were tuned from one base."
            )
    compare_models([*models, base], "ModelMerger")
    return template


def compare_models(models: Sequence[Any], caller: str) -> None:
    """Refuse estimators that mean different things by their weights.

    Parameters
    ----------
    models : sequence
        Models and, at the end, their base. Only estimators say what they mean.
    caller : str
        For messages.
    """
    names = [f"model {position}" for position in range(len(models) - 1)]
    told = [
        (who, thawed(model))
        for who, model in zip([*names, "the base"], models, strict=True)
        if isinstance(thawed(model), BaseEstimator)
    ]
    for who, other in told[1:]:
        for what, name in _COMMON.items():
            expected, found = _told(told[0][1], name), _told(other, name)
            if expected != found:
                raise ValueError(
                    f"{caller} needs models with one {what}. Got {expected!r} and, "
                    f"in {who}, {found!r}; tune them from one base, on rows of all "
                    "classes and with the same columns."
                )


def _told(model: Any, name: str) -> Any:
    """Return an attribute as something that can be compared and shown."""
    value = getattr(model, name, None)
    return value.tolist() if isinstance(value, np.ndarray) else value


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
