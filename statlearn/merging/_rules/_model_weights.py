"""The weights of the models in a rule, one number a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlearn.merging._state._entry import Array
from statlearn.utils._validation import as_numbers


def model_weights(weights: Any, n_models: int, rule: str) -> Array:
    """Return one finite weight a model, ones for None, (T,)."""
    if weights is None:
        return np.ones(n_models)
    values = as_numbers(weights)
    if values.size == 1 and np.isnan(values).all():  # what is no numbers at all
        raise TypeError(
            f"The 'weights' of {rule} must be numbers, one a model. Got {weights!r}; "
            f"pass a list of {n_models} numbers, in the order of the models."
        )
    if values.shape != (n_models,):
        raise ValueError(
            f"The 'weights' of {rule} must be one number a model, {n_models} in all. "
            f"Got shape {values.shape}; pass a list of {n_models} numbers."
        )
    if not np.isfinite(values).all():
        raise ValueError(
            f"The 'weights' of {rule} must be finite. Got {values.tolist()}; "
            "pass finite numbers."
        )
    return values


def model_shares(weights: Any, n_models: int, rule: str) -> Array:
    """Return one non-negative weight a model, of sum one, equal ones for None, (T,)."""
    shares = model_weights(weights, n_models, rule)
    if shares.min() < 0.0 or not shares.any():
        raise ValueError(
            f"The 'weights' of {rule} must be >= 0, not all of them zero. Got "
            f"{shares.tolist()}; pass non-negative weights."
        )
    normalised: Array = shares / shares.sum()
    return normalised
