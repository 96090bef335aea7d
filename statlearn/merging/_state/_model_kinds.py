"""Models that can stand for one another: lists of them, of one kind and one meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

# What models must have in common beside the shapes of their weights.
_COMMON = {
    "list of classes": "classes_",
    "activation": "activation",
    "output activation": "out_activation_",
    "number of features": "n_features_in_",
    "list of feature names": "feature_names_in_",
}


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
    compare_models(models, "ModelMerger", base=base)
    return template


def compare_models(
    models: Sequence[Any],
    caller: str,
    *,
    base: Any = None,
    advice: str = "tune them from one base, on rows of all classes and with the same "
    "columns",
) -> None:
    """Refuse estimators that mean different things by their weights.

    Parameters
    ----------
    models : sequence
        Models, of which only estimators say what they mean.
    caller : str
        For messages.
    base : object, default=None
        Model that they were tuned from, if there is one.
    advice : str
        What to do about models that differ.
    """
    names = [f"model {position}" for position in range(len(models))]
    told = [
        (who, thawed(model))
        for who, model in zip([*names, "the base"], [*models, base], strict=True)
        if isinstance(thawed(model), BaseEstimator)
    ]
    for who, other in told[1:]:
        for what, name in _COMMON.items():
            expected, found = _told(told[0][1], name), _told(other, name)
            if expected != found:
                raise ValueError(
                    f"{caller} needs models with one {what}. Got {expected!r} and, "
                    f"in {who}, {found!r}; {advice}."
                )


def _told(model: Any, name: str) -> Any:
    """Return an attribute as something that can be compared and shown."""
    value = getattr(model, name, None)
    return value.tolist() if isinstance(value, np.ndarray) else value
