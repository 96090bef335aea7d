"""Weights of fitted models as state dicts, and back into a model of the same kind."""

from __future__ import annotations

import copy as copying
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from statlearn.merging._state import State, compare_layouts, layout, to_array


def get_weights(model: Any) -> State:
    """Return the weights of a fitted model as a state dict.

    Parameters
    ----------
    model : estimator, torch module or mapping
        A fitted scikit-learn multilayer perceptron gives ``W0, b0, W1, b1, ...`` with
        ``W`` of shape (n_inputs, n_outputs); any estimator with ``coef_`` gives
        ``coef_`` and, if it has one, ``intercept_``; a torch module gives its state
        dict, detached. A mapping is returned as it is.

    Returns
    -------
    mapping of str to array or tensor
        Views, not copies: do not write into them.

    Raises
    ------
    NotFittedError
        If an estimator is not fitted.
    TypeError
        If the model has no weights that we know of.

    See Also
    --------
    set_weights : The way back.
    merge_weights : Merge models, given as they are or as state dicts.
    torch.nn.Module.state_dict : The same for a torch module.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from statlearn.merging import get_weights
    >>> model = Ridge().fit([[0.0], [1.0]], [0.0, 3.0])
    >>> {name: array.shape for name, array in get_weights(model).items()}
    {'coef_': (1,), 'intercept_': ()}
    """
    if isinstance(model, Mapping):
        return model
    if _is_module(model):
        return {name: value.detach() for name, value in model.state_dict().items()}
    if hasattr(model, "coefs_") and hasattr(model, "intercepts_"):
        weights: dict[str, Any] = {}
        for layer, (matrix, bias) in enumerate(
            zip(model.coefs_, model.intercepts_, strict=True)
        ):
            weights[f"W{layer}"] = matrix
            weights[f"b{layer}"] = bias
        return weights
    if hasattr(model, "coef_"):
        names = ("coef_", "intercept_")
        return {n: np.asarray(getattr(model, n)) for n in names if hasattr(model, n)}
    if isinstance(model, type) or not isinstance(model, BaseEstimator):
        raise TypeError(
            "Weights are read from a state dict, a torch module, a fitted linear model "
            f"or a fitted multilayer perceptron. Got {type(model).__name__}; pass a "
            "dict of arrays."
        )
    raise NotFittedError(
        f"Weights are read from a fitted linear model or multilayer perceptron. Got "
        f"{type(model).__name__} without 'coef_' and 'coefs_'; call fit first, pass "
        "the last step of a pipeline, or pass a dict of arrays."
    )


def set_weights(model: Any, weights: State, *, copy: bool = True) -> Any:
    """Return a model of the same kind with other weights.

    Parameters
    ----------
    model : estimator, torch module or mapping
        Fitted model that gives all but the weights: classes, activations, parameters.
    weights : mapping of str to array or tensor
        New weights under the names and in the shapes of ``get_weights(model)``.
    copy : bool, default=True
        Whether to leave the model alone and return a deep copy. Otherwise the model
        itself changes and is returned; a mapping is always copied.

    Returns
    -------
    estimator, torch module or dict
        The arrays are copies of the weights, in the data types of the model.

    Raises
    ------
    TypeError
        If the model has no weights that we know of, or computes them on demand.
    ValueError
        If names or shapes are not those of the model.

    See Also
    --------
    get_weights : Read the weights of a fitted model.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from statlearn.merging import get_weights, set_weights
    >>> model = Ridge(alpha=0.0).fit([[0.0], [1.0]], [0.0, 3.0])
    >>> doubled = {name: 2 * array for name, array in get_weights(model).items()}
    >>> set_weights(model, doubled).predict([[1.0]]).round(6)
    array([6.])
    """
    caller = "set_weights"
    current = get_weights(model)
    expected = layout(current, "the model", caller)
    compare_layouts(expected, layout(weights, "the weights", caller), "them", caller)
    if isinstance(model, Mapping):
        return {name: copying.deepcopy(weights[name]) for name in current}
    target = copying.deepcopy(model) if copy else model
    if _is_module(target):
        target.load_state_dict(dict(weights))
        return target
    new = {
        name: np.array(to_array(weights[name]), dtype=np.asarray(value).dtype)
        for name, value in current.items()
    }
    if "W0" in new:
        n_layers = len(target.coefs_)
        target.coefs_ = [new[f"W{layer}"] for layer in range(n_layers)]
        target.intercepts_ = [new[f"b{layer}"] for layer in range(n_layers)]
        return target
    for name, array in new.items():
        try:  # a number stays one: many linear models have a plain intercept
            setattr(target, name, array if array.ndim else array[()])
        except AttributeError as error:
            raise TypeError(
                f"Weights are set on models that store them. Got {type(model).__name__}"
                f", which computes '{name}' from other attributes; use a linear model "
                "such as LinearSVC or LogisticRegression."
            ) from error
    return target


def _is_module(model: Any) -> bool:
    """Tell a torch module by the two methods that we need."""
    return not isinstance(model, type) and all(
        callable(getattr(model, name, None))
        for name in ("state_dict", "load_state_dict")
    )
