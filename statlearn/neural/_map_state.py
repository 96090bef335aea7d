"""What is trained of the weight maps of a module, and the state of it alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from statlearn.neural._weight_map import WeightMap, chains


def weight_maps(
    model: nn.Module, *, kind: type[WeightMap] = WeightMap
) -> dict[str, WeightMap]:
    """Return the maps of a module by the name of their tensor.

    Parameters
    ----------
    model : Module
        Where to look.
    kind : type, default=WeightMap
        Class of the maps.

    Returns
    -------
    dict of str to WeightMap
        In the order of the module.

    Raises
    ------
    ValueError
        If several maps of the class are on one tensor; choose by `kind`.

    See Also
    --------
    attach : Puts them there.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural import weight_maps
    >>> weight_maps(nn.Linear(2, 2))
    {}
    """
    found: dict[str, WeightMap] = {}
    for tensor, chain in chains(model):
        maps = [m for m in chain if isinstance(m, kind)]
        if len(maps) > 1:
            raise ValueError(
                f"weight_maps needs one map a tensor. Got "
                f"{', '.join(type(m).__name__ for m in maps)} on {tensor.name!r}; "
                f"choose one class by 'kind'."
            )
        if maps:
            found[tensor.name] = maps[0]
    return found


def map_parameters(
    model: nn.Module, *, kind: type[WeightMap] = WeightMap
) -> Iterator[nn.Parameter]:
    """Yield what an optimizer should see: theta, and what is trained below the maps.

    Parameters
    ----------
    model : Module
        With maps.
    kind : type, default=WeightMap
        Class of the maps.

    Yields
    ------
    Parameter
        Each once.

    See Also
    --------
    map_state_dict : The same by name.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural import map_parameters
    >>> from statlearn.neural.adapters import apply_bone
    >>> model = nn.Sequential(nn.Linear(8, 4))
    >>> names = apply_bone(model, r=2)
    >>> [tuple(p.shape) for p in map_parameters(model)]
    [(2, 2, 2)]
    """
    seen = set()
    for _, chain in chains(model):
        maps = [m for m in chain if isinstance(m, kind)]
        found = [parameter for m in maps for parameter in m.parameters()]
        if any(m.trains_base for m in maps) and chain.original.requires_grad:
            found.append(chain.original)
        for parameter in found:
            if parameter not in seen:  # maps may share their parameters
                seen.add(parameter)
                yield parameter


def map_state_dict(
    model: nn.Module, *, kind: type[WeightMap] = WeightMap
) -> dict[str, Tensor]:
    """Return the state of the maps alone.

    Parameters
    ----------
    model : Module
        With maps.
    kind : type, default=WeightMap
        Class of the maps.

    Returns
    -------
    dict of str to Tensor
        Theta as ``"layers.0.weight.<name>"``; a stored tensor that is trained as
        ``"layers.0.weight"``. Detached copies.

    Raises
    ------
    ValueError
        If two maps of a tensor call a parameter the same; choose by `kind`.

    See Also
    --------
    load_map_state_dict : The way back.
    statlearn.merging.save_weights : Writes it to a safetensors file.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural import map_state_dict
    >>> from statlearn.neural.adapters import apply_bone
    >>> model = nn.Sequential(nn.Linear(8, 4))
    >>> names = apply_bone(model, r=2)
    >>> list(map_state_dict(model))
    ['0.weight.B']
    """
    return {name: t.detach().clone() for name, t in _state(model, kind).items()}


def load_map_state_dict(
    model: nn.Module,
    state: Mapping[str, Any],
    *,
    kind: type[WeightMap] = WeightMap,
) -> None:
    """Load the state of maps into a module with the same maps, in place.

    Parameters
    ----------
    model : Module
        With maps attached as they were when the state was taken.
    state : mapping of str to Tensor or array
        What :func:`map_state_dict` gave.
    kind : type, default=WeightMap
        Class of the maps.

    Raises
    ------
    TypeError
        If the state is no mapping, or an entry holds no real numbers.
    ValueError
        If keys or shapes differ. Nothing is loaded then.

    See Also
    --------
    map_state_dict : The way there.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural import load_map_state_dict, map_state_dict
    >>> from statlearn.neural.adapters import apply_bone
    >>> model, other = nn.Sequential(nn.Linear(8, 4)), nn.Sequential(nn.Linear(8, 4))
    >>> apply_bone(model, r=2) == apply_bone(other, r=2)
    True
    >>> load_map_state_dict(other, map_state_dict(model))
    """
    if not isinstance(state, Mapping):
        raise TypeError(
            f"The state must be a mapping of names to tensors. Got "
            f"{type(state).__name__}; pass what map_state_dict returned."
        )
    present = _state(model, kind)
    missing = sorted(present.keys() - state.keys())
    unknown = sorted(state.keys() - present.keys())
    if missing or unknown:
        raise ValueError(
            f"The state must have one entry for each entry of the maps. Got missing "
            f"{missing} and unknown {unknown}; attach the same maps first."
        )
    new = {name: _read_entry(state[name], name) for name in present}
    for name, tensor in present.items():
        if new[name].shape != tensor.shape:
            raise ValueError(
                f"The state of {name!r} must have shape {tuple(tensor.shape)}. Got "
                f"{tuple(new[name].shape)}; attach maps of the same sizes first."
            )
    with torch.no_grad():
        for name, tensor in present.items():
            tensor.copy_(new[name])


def _read_entry(values: Any, name: str) -> Tensor:
    """Return what a state has under a name as a tensor of real numbers."""
    try:
        # A copy, because the steps of an array may be negative, and a tensor's not.
        tensor = (
            values if isinstance(values, Tensor) else torch.tensor(np.array(values))
        )
        refused = tensor.is_complex()
    except (TypeError, ValueError):  # words, gaps, rows of unequal length
        refused = True
    if refused:
        kind = getattr(values, "dtype", type(values).__name__)
        raise TypeError(
            f"The state of {name!r} must hold real numbers. Got {kind}; pass what "
            f"map_state_dict returned."
        )
    return tensor


def count_trainable(model: nn.Module) -> tuple[int, int]:
    """Count the numbers that are trained, and all that the module computes with.

    Parameters
    ----------
    model : Module
        With or without maps.

    Returns
    -------
    trainable : int
        Numbers that get a gradient.
    total : int
        Numbers in all parameters, those of maps included.

    See Also
    --------
    map_parameters : The trained ones of the maps.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural import count_trainable
    >>> count_trainable(nn.Linear(3, 2))
    (8, 8)
    """
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(n for n, trained in sizes if trained), sum(n for n, _ in sizes)


def _state(model: nn.Module, kind: type[WeightMap]) -> dict[str, Tensor]:
    """Return the live tensors that make up the state of the maps."""
    state: dict[str, Tensor] = {}
    for tensor, chain in chains(model):
        maps = [m for m in chain if isinstance(m, kind)]
        if any(m.trains_base for m in maps):
            state[tensor.name] = chain.original
        for weight_map in maps:
            for name, value in weight_map.state_dict(keep_vars=True).items():
                key = f"{tensor.name}.{name}"
                if key in state:
                    raise ValueError(
                        f"The maps of a tensor must name their parameters apart. Got "
                        f"two {name!r} on {tensor.name!r}; choose one class by 'kind'."
                    )
                state[key] = value
    return state
