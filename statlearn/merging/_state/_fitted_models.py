"""Weights of fitted models as state dicts, and back into a model of the same kind."""

from __future__ import annotations

import copy as copying
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from statlearn.merging._state._arrays_and_tensors import restorer, to_array
from statlearn.merging._state._layouts import State, compare_layouts, layout
from statlearn.utils._arrays import is_tensor

_UNDERSTOOD = (
    "Weights are read from a state dict, a torch module, a fitted linear model, a "
    "fitted multilayer perceptron or a fitted NeuralClassifier or NeuralRegressor."
)

# What a linear model predicts by: one-class models have an offset, no intercept.
_LINEAR = ("coef_", "intercept_", "offset_")

# Where estimators hold another one that may have weights, and what to pass then.
_INSIDE = {
    "steps": "its last step, model[-1]",
    "best_estimator_": "its best_estimator_",
    "estimator_": "its estimator_",
}


def get_weights(model: Any) -> State:
    """Return the weights of a fitted model as a state dict.

    Parameters
    ----------
    model : estimator, torch module or mapping
        A fitted scikit-learn multilayer perceptron gives ``W0, b0, W1, b1, ...`` with
        ``W`` of shape (n_inputs, n_outputs); any estimator with ``coef_`` gives
        ``coef_`` and, if it has them, ``intercept_`` and ``offset_``; a torch module
        gives its state dict, detached; a fitted NeuralClassifier or NeuralRegressor of
        :mod:`statlearn.neural` gives that of its module. A mapping is returned as it
        is.

    Returns
    -------
    mapping of str to array or tensor
        Views, not copies: do not write into them.

    Raises
    ------
    NotFittedError
        If an estimator is not fitted.
    TypeError
        If the model has no weights that we know of, or predicts by more than these.

    See Also
    --------
    set_weights : The way back.
    merge_weights : Merge models, given as they are or as state dicts.
    torch.nn.Module.state_dict : The same for a torch module.

    Notes
    -----
    The two factors of a low-rank adapter, such as ``lora_A`` and ``lora_B``, work by
    their product, and a product of merged factors is not the merged product. Fold
    adapters into the weights before merging: with :func:`statlearn.neural.fold`, or
    ``merge_and_unload`` of PEFT.

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
        return {
            name: value.detach() if is_tensor(value) else value
            for name, value in model.state_dict().items()
        }
    if is_neural(model):
        return _neural_state(model)
    if hasattr(model, "coefs_") and hasattr(model, "intercepts_"):
        weights: dict[str, Any] = {}
        for layer, (matrix, bias) in enumerate(
            zip(model.coefs_, model.intercepts_, strict=True)
        ):
            weights[f"W{layer}"] = matrix
            weights[f"b{layer}"] = bias
        return weights
    if hasattr(model, "coef_") and not isinstance(model, type):
        if hasattr(model, "_x_mean"):
            raise TypeError(
                "Weights are read from models that predict by 'coef_' and 'intercept_' "
                f"alone. Got {type(model).__name__}, which also subtracts means of its "
                "own from the rows; pass a dict of arrays, or merge other models."
            )
        return {n: np.asarray(getattr(model, n)) for n in _LINEAR if hasattr(model, n)}
    raise _without_weights(model)


def set_weights(model: Any, weights: State, *, copy: bool = True) -> Any:
    """Return a model of the same kind with other weights.

    Parameters
    ----------
    model : estimator, torch module or mapping
        Fitted model that gives all but the weights: classes, activations, parameters.
    weights : mapping of str to array or tensor
        New weights under the names and in the shapes of ``get_weights(model)``. Arrays
        and tensors both go into any model.
    copy : bool, default=True
        Whether to leave the model alone and return a deep copy. Otherwise the model
        itself changes and is returned; a mapping is always copied.

    Returns
    -------
    estimator, torch module or dict
        The arrays are copies of the weights, in the data types of the model. The
        averages and iterates from which ``SGDClassifier(average=True)`` and its kin go
        on move by as much as the weights.

    Raises
    ------
    TypeError
        If the model has no weights that we know of, or computes them on demand.
    ValueError
        If names or shapes are not those of the model, or a number is out of the range
        of the model's data type.

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
    _require_own(model)
    new = {
        name: _in_place_of(current[name], weights[name], name, caller)
        for name in current
    }
    target = copying.deepcopy(model) if copy else model
    if _is_module(target):
        target.load_state_dict(new)
    elif is_neural(target):
        target.state_ = new
    elif "W0" in new:
        n_layers = len(target.coefs_)
        target.coefs_ = [new[f"W{layer}"] for layer in range(n_layers)]
        target.intercepts_ = [new[f"b{layer}"] for layer in range(n_layers)]
    else:
        for name, array in new.items():
            _set_linear(target, name, array)
    return target


def is_neural(model: Any) -> bool:
    """Tell a fitted estimator of ours that holds the state dict of a module."""
    state = getattr(model, "state_", None)
    return isinstance(state, Mapping) and hasattr(model, "to_module")


def in_type_of(like: Any, array: NDArray[Any], name: str, caller: str) -> Any:
    """Return numbers, copied, as what they replace is: an array, or a tensor.

    Parameters
    ----------
    like : ndarray or tensor
        Gives the data type, and the device.
    array : ndarray
        New numbers.
    name, caller : str
        For messages.

    Raises
    ------
    ValueError
        If a finite number is infinite in that type.
    """
    kind = to_array(like).dtype
    with np.errstate(over="ignore"):
        numbers = np.array(array, dtype=kind)
    value = restorer(like)(numbers)
    if kind.kind == "f" and (is_tensor(like) or kind.itemsize < array.itemsize):
        stored = np.isfinite(to_array(value))
        if not stored.all() and (lost := np.isfinite(array) & ~stored).any():
            largest, dtype = float(np.abs(array[lost]).max()), value.dtype
            raise ValueError(
                f"The numbers of {caller} must fit the data type of the model. Got "
                f"{largest:g} for {name!r} of type {dtype}, where it is infinite; "
                "convert the model to a wider type, or take a smaller scale."
            )
    return value


# --- parts -------------------------------------------------------------------


def _is_module(model: Any) -> bool:
    """Tell a torch module by the two methods that we need."""
    return not isinstance(model, type) and all(
        callable(getattr(model, name, None))
        for name in ("state_dict", "load_state_dict")
    )


def _neural_state(model: Any) -> State:
    """Return the state dict in a fitted estimator of ours."""
    if getattr(model, "weight_map", None) is not None:
        # A map may work with numbers that are not in the state.
        raise TypeError(
            "Weights are read from neural estimators without a map on their weights. "
            f"Got {type(model).__name__} with a weight_map; pass "
            "statlearn.neural.fold(model.to_module())."
        )
    state: State = model.state_
    return state


def _without_weights(model: Any) -> Exception:
    """Return what is to be raised for a model that shows no weights."""
    name = type(model).__name__
    if isinstance(model, type) or not isinstance(model, BaseEstimator):
        return TypeError(f"{_UNDERSTOOD} Got {name}; pass a dict of arrays.")
    for attribute, advice in _INSIDE.items():
        # An ensemble has estimator_ too, one to make its members from.
        if hasattr(model, attribute) and not hasattr(model, "estimators_"):
            return TypeError(
                f"{_UNDERSTOOD} Got {name}, which holds another estimator; pass "
                f"{advice}, if that is one of these."
            )
    try:
        check_is_fitted(model)
    except NotFittedError:
        return NotFittedError(
            f"{_UNDERSTOOD} Got {name}, which is not fitted; call fit first."
        )
    except TypeError:  # what has no fit
        pass
    return TypeError(
        f"{_UNDERSTOOD} Got {name}, which predicts in another way; pass one of these, "
        "or a dict of arrays."
    )


def _require_own(model: Any) -> None:
    """Refuse attributes that are computed, or of an estimator inside."""
    if _is_module(model):
        return
    for name in ("state_",) if is_neural(model) else ("coefs_", *_LINEAR):
        own = name in vars(model) or _has_setter(model, name)
        if hasattr(model, name) and not own:
            raise TypeError(
                f"Weights are set on models that store them. Got {type(model).__name__}"
                f", which computes '{name}' from other attributes; use a linear model "
                "such as LinearSVC or LogisticRegression, or the estimator inside."
            )


def _has_setter(model: Any, name: str) -> bool:
    return getattr(getattr(type(model), name, None), "fset", None) is not None


def _in_place_of(current: Any, value: Any, name: str, caller: str) -> Any:
    """Return new weights as a copy of the kind that the model has now."""
    if is_tensor(current) and is_tensor(value) and current.dtype == value.dtype:
        return value  # is copied when it is loaded
    return in_type_of(current, to_array(value), name, caller)


def _set_linear(target: Any, name: str, array: NDArray[Any]) -> None:
    """Set one attribute of a linear model, and what it goes on from beside it."""
    before = getattr(target, name)
    # Averaged descents hold the last iterate and the average apart. An offset is one
    # minus their intercept.
    sign, part = (-1, "intercept") if name == "offset_" else (1, name[:-1])
    for beside in (f"_standard_{part}", f"_average_{part}"):
        state = vars(target).get(beside)
        if state is before:
            setattr(target, beside, array)
        elif isinstance(state, np.ndarray):
            move = sign * (array - before)
            setattr(target, beside, state + move.reshape(state.shape))
    # A number stays one: many linear models have a plain intercept.
    setattr(target, name, array if array.ndim else array[()])
