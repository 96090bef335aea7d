"""The models that an aggregator is given: their names, parameters and levels."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping

from statlearn.exceptions import StatlearnWarning
from statlearn.quantile._base_models import require_quantiles
from statlearn.utils._delegate import model_inside
from statlearn.utils._levels import SAME_LEVEL, find_level, read_levels
from statlearn.utils._sklearn import BaseComposition
from statlearn.utils._warn import warn

Array = NDArray[np.float64]


class HoldsNamedModels(BaseComposition):
    """Base of the estimators whose parameter ``estimators`` lists named models."""

    estimators: Any

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, those of the models by their names.

        Parameters
        ----------
        deep : bool, default=True
            Whether to look into the models.

        Returns
        -------
        params : dict
            Parameters by name.
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters, those of a model as ``name__parameter``.

        Parameters
        ----------
        **params : dict
            Parameters by name; the name of a model replaces it.

        Returns
        -------
        self : estimator
            This estimator.
        """
        return self._set_params("estimators", **params)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return what this estimator and the models ask of metadata.

        Returns
        -------
        routing : MetadataRouter
            Requests of `fit`; weights are handed on to models that ask for them.
        """
        router = MetadataRouter(owner=self).add_self_request(self)
        mapping = MethodMapping().add(caller="fit", callee="fit")
        caller, models = type(self).__name__, self.estimators
        for name, model in name_models(models, caller) if models else ():
            router.add(**{name: model}, method_mapping=mapping)
        return router


def read_models(estimators: Any, levels: Array, caller: str) -> list[tuple[str, Any]]:
    """Return pairs of a name and an estimator that gives quantiles.

    Parameters
    ----------
    estimators : list of (name, estimator), or of estimators
        The latter are named by their class, and numbered if it comes again.
    levels : ndarray of shape (q,)
        What the models are asked for.
    caller : str

    Returns
    -------
    models : list of (str, estimator)

    Raises
    ------
    TypeError
        If an entry is no estimator, or gives no quantiles.
    ValueError
        If there are none, two have the same name, or one has levels of its own that do
        not reach as far.

    Warns
    -----
    StatlearnWarning
        If a model would be interpolated between its own levels.
    """
    models = name_models(estimators, caller)
    for name, model in models:
        require_quantiles(model, name)
        _compare_levels(model, levels, name, caller)
    return models


def name_models(estimators: Any, caller: str) -> list[tuple[str, Any]]:
    """Return pairs of a name and an estimator, as :func:`read_models` reads them."""
    what = (
        f"The 'estimators' of {caller} must be a list of (name, estimator) with one or "
        f"more entries and different names."
    )
    if estimators is None or not len(estimators):
        raise ValueError(
            f"{what} Got {estimators!r}; pass quantile models, or call "
            f"fit_predictions(P, y) for forecasts that are there already."
        )
    models = [_as_pair(entry, what) for entry in estimators]
    names = [name for name, _ in models]
    for position, name in enumerate(names):
        if isinstance(estimators[position], tuple):
            if names.count(name) > 1 or not name or "__" in name:
                raise ValueError(
                    f"{what} Got {names!r}; give each model a name of its own, without "
                    f"two underscores in a row."
                )
        elif names.count(name) > 1:
            number = names[: position + 1].count(name)
            models[position] = (f"{name}-{number}", models[position][1])
    return models


def _compare_levels(model: Any, levels: Array, name: str, caller: str) -> None:
    """Raise if a model's own levels do not reach, warn if they are not the same."""
    inside, _ = model_inside(model, None, "predict_quantiles")
    own = getattr(inside, "levels", None)
    if own is None:
        return
    known = read_levels(own, type(inside).__name__)
    if levels[0] < known[0] - SAME_LEVEL or levels[-1] > known[-1] + SAME_LEVEL:
        raise ValueError(
            f"The model {name!r} must have levels as far as those of {caller}, from "
            f"{levels[0]:g} to {levels[-1]:g}. Got levels from {known[0]:g} to "
            f"{known[-1]:g}; give both the same levels."
        )
    missing = [level for level in levels if find_level(known, level) is None]
    if missing:
        warn(
            f"{caller} expected the model {name!r} to have its {len(levels)} levels. "
            f"Got {len(missing)} that it has not, such as {missing[0]:g}, and will lie "
            f"on a line between its own; give both the same levels.",
            StatlearnWarning,
        )


def _as_pair(entry: Any, what: str) -> tuple[str, Any]:
    if isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str):
        name, model = entry
    else:
        name, model = type(entry).__name__.lower(), entry
    if isinstance(model, type) or not hasattr(model, "fit"):
        raise TypeError(f"{what} Got {entry!r}; pass an instance with fit and predict.")
    return name, model
