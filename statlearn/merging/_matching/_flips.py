"""Which units may change their sign: those that odd functions alone lead on from.

A unit of an odd activation, such as tanh, computes the negative when its weights are
negated. Arrays do not tell the activation, so the caller names the permutations whose
units may flip; here models that tell otherwise are refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from statlearn.merging._matching._sequential_layers import is_sequential
from statlearn.merging._state._arrays_and_tensors import to_array
from statlearn.merging._state._layouts import State, listed
from statlearn.merging._state._running_statistics import RUNNING_STATISTICS
from statlearn.merging.permutation_spec import PermutationSpec

# Activations of scikit-learn's perceptrons.
_ODD = ("identity", "tanh")
# Layers of torch that give for negated units other numbers than negated ones.
_NOT_ODD = (
    *("CELU", "ELU", "GELU", "Hardsigmoid", "Hardswish", "LeakyReLU", "LogSigmoid"),
    *("LogSoftmax", "Mish", "PReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid"),
    *("Softmax", "Softmin", "Softplus", "Threshold"),
    *("AdaptiveMaxPool", "MaxPool", "LPPool"),
    *("BatchNorm", "GroupNorm", "InstanceNorm", "LayerNorm", "RMSNorm"),
)
# Last part of the names of arrays with one axis that no unit's sign passes into.
_SCALES = ("weight", "scale", *RUNNING_STATISTICS)


def names_that_flip(
    spec: PermutationSpec,
    signed: Any,
    models: Sequence[Any],
    weights: State,
    caller: str,
) -> tuple[str, ...]:
    """Return the permutations whose units may flip, after a look at the models.

    Parameters
    ----------
    spec : PermutationSpec
    signed : bool or collection of str
    models : sequence of estimators, torch modules or mappings
    weights : mapping of str to ndarray
        State dict of one of them.
    caller : str
    """
    names = _read_signed(spec, signed, caller)
    for model in models if names else ():
        _check_activation(model, caller)
        if is_sequential(model):
            _check_layers(spec, names, model, caller)
    check_flips(spec, names, weights, caller)
    return names


def _read_signed(spec: PermutationSpec, signed: Any, caller: str) -> tuple[str, ...]:
    if isinstance(signed, (bool, np.bool_)):
        return tuple(spec.permutations) if signed else ()
    if isinstance(signed, str) or not isinstance(signed, Iterable):
        raise TypeError(
            f"The 'signed' of {caller} must be True, False or a list of names of "
            f"permutations. Got {signed!r}; pass for example ['P0']."
        )
    names = list(signed)
    unknown = [name for name in names if name not in spec.permutations]
    if unknown:
        raise ValueError(
            f"The 'signed' of {caller} must name permutations of the spec, "
            f"{listed(list(spec.permutations))}. Got {unknown[0]!r}; correct the name."
        )
    return tuple(name for name in spec.permutations if name in names)


def _check_activation(model: Any, caller: str) -> None:
    """Refuse perceptrons of scikit-learn whose activation is not odd."""
    activation = getattr(model, "activation", None)
    if hasattr(model, "coefs_") and activation not in _ODD:
        raise ValueError(
            f"The 'signed' of {caller} needs networks with activation='tanh' or "
            f"'identity', whose units can be flipped. Got {type(model).__name__} with "
            f"activation={activation!r}; pass signed=False."
        )


def _check_layers(
    spec: PermutationSpec, names: Collection[str], model: Any, caller: str
) -> None:
    """Refuse a Sequential in which units that may flip meet a layer that is not odd."""
    units = None
    for name, layer in model.named_modules(remove_duplicate=False):
        kind = type(layer).__name__
        if kind in {"Linear", "Conv1d", "Conv2d", "Conv3d"}:
            axes = spec.axes.get(f"{name}.weight", ())
            units = axes[0][0] if axes and axes[0] is not None else None
        if units in names and not _is_odd(layer, kind):
            raise ValueError(
                f"The 'signed' of {caller} needs units that can be flipped up to the "
                f"next layer. Got {kind} at {name!r} behind units of {units!r}; leave "
                f"{units!r} out of 'signed'."
            )


def _is_odd(layer: Any, kind: str) -> bool:
    """Tell whether a layer gives the negative for negated units, or is not known."""
    kind = kind[:-2] if kind.endswith(("1d", "2d", "3d")) else kind
    if kind == "Conv":  # kernels of single channels belong to the units of one name
        return bool(layer.groups == 1)
    if kind == "Hardtanh":
        return bool(layer.min_val == -layer.max_val)
    if kind == "ConstantPad":
        return bool(layer.value == 0.0)
    return kind not in _NOT_ODD


def check_flips(
    spec: PermutationSpec, names: Iterable[str], weights: State, caller: str
) -> None:
    """Refuse units with numbers that have no sign to change, or must keep it."""
    for permutation in names:
        for name, _, _ in spec.permutations[permutation]:
            array = to_array(weights[name])
            if array.dtype.kind != "f":
                raise TypeError(
                    f"Arrays of units that {caller} flips must hold floating numbers. "
                    f"Got {array.dtype} in {name!r}; convert it, or leave "
                    f"{permutation!r} out."
                )
            if array.ndim == 1 and name.rpartition(".")[2] in _SCALES:
                raise ValueError(
                    f"Units that {caller} flips must not pass through a normalisation "
                    f"layer or slopes. Got {name!r} among the arrays of "
                    f"{permutation!r}; leave {permutation!r} out."
                )
