"""Layers of a model, by the names of its arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import numpy as np

from statlearn.merging._state._arrays_and_tensors import to_array
from statlearn.merging._state._layouts import State, listed
from statlearn.merging._state._running_statistics import RUNNING_STATISTICS
from statlearn.utils._numbers import real_number


def layer_of(name: str) -> str:
    """Return the layer that an array belongs to: "conv1" for "conv1.weight"."""
    if "." in name:
        return name.rpartition(".")[0]
    if name[:1] in {"W", "b"} and name[1:].isdigit():  # multilayer perceptrons
        return name[1:]
    return "" if name in {"coef_", "intercept_"} else name


def chosen_arrays(
    state: State, layers: float | Iterable[str] | None, caller: str
) -> list[str]:
    """Return the names of the arrays of the wanted layers."""
    names = [
        name
        for name in state
        if to_array(state[name]).dtype.kind == "f"
        and name.rpartition(".")[2] not in RUNNING_STATISTICS
    ]
    if layers is None or layers == "all":
        return names
    if isinstance(layers, str):
        return _matching(names, [layers], caller)
    if isinstance(layers, Iterable):
        return _matching(names, list(layers), caller)
    order = list(dict.fromkeys(map(layer_of, names)))
    number = real_number(layers, "layers", caller, "pass None for all layers")
    whole = isinstance(layers, (int, np.integer)) and not isinstance(layers, bool)
    if not (1 <= number <= len(order) if whole else 0.0 < number <= 1.0):
        raise ValueError(
            f"The 'layers' of {caller} must be a whole number from 1 to "
            f"{len(order)}, a share in (0, 1] or a list of names. Got {layers!r}; pass "
            "None for all layers."
        )
    first = order[: int(number) if whole else max(1, int(number * len(order)))]
    return [name for name in names if layer_of(name) in first]


def _matching(names: Sequence[str], patterns: Sequence[str], caller: str) -> list[str]:
    """Return names that a pattern matches, or whose layer it matches."""
    for pattern in patterns:
        if not any(_fits(name, pattern) for name in names):
            raise ValueError(
                f"Each of the 'layers' of {caller} must name a layer or an "
                f"array. Got {pattern!r} and arrays {listed(names)}; correct the name."
            )
    return [name for name in names if any(_fits(name, p) for p in patterns)]


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(layer_of(name), pattern)
