"""The one way to say which parameters of a module a method may touch.

A selector is a name, a glob, a compiled pattern, a predicate, a mapping of names to
masks, or a list of selectors; :func:`select` turns ``include`` and ``exclude`` into the
list of tensors, and says so when a name fits nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

Predicate = Callable[[str, Tensor], bool]
Selector = str | re.Pattern[str] | Predicate | Iterable[Any] | None


@dataclass(frozen=True, slots=True)
class Selected:
    """One tensor of a module, by the names that people use for it.

    Attributes
    ----------
    name : str
        Path of the tensor, ``"layers.0.weight"``, the same with and without a map.
    layer_name : str
        Path of the module that owns it, ``"layers.0"``.
    tensor_name : str
        Its name there, ``"weight"``.
    layer : Module
        The module that owns it.
    parameter : Parameter
        What is stored; below a map, the tensor that the map starts from.
    """

    name: str
    layer_name: str
    tensor_name: str
    # A Module; below a map PyTorch gives it attributes that its class does not declare.
    layer: Any
    parameter: Tensor


def named_tensors(model: nn.Module) -> Iterator[Selected]:
    """Yield the parameters of a module, those below a map under their usual name."""
    inside_maps = {
        id(part)
        for module in model.modules()
        if isinstance(module, ParametrizationList)
        for part in module.modules()
    }
    for layer_name, layer in model.named_modules():
        if id(layer) in inside_maps:
            continue
        stored = dict(layer.named_parameters(recurse=False))
        if is_parametrized(layer):
            chains: Any = layer.parametrizations
            for name, chain in chains.items():
                if chain.is_tensor:
                    stored[name] = chain.original
        for tensor_name, parameter in stored.items():
            name = f"{layer_name}.{tensor_name}" if layer_name else tensor_name
            yield Selected(name, layer_name, tensor_name, layer, parameter)


def select(
    model: nn.Module,
    include: Selector = None,
    exclude: Selector = None,
    *,
    layers: tuple[type[nn.Module], ...] | None = None,
    parameter: str | None = "weight",
    caller: str,
) -> list[Selected]:
    """Return the tensors of a module that a method is asked to touch.

    Parameters
    ----------
    model : Module
        Where to look.
    include, exclude : selector, default=None
        Names of a layer or of a tensor, globs (``"blocks.*.value"``), compiled patterns
        that fit the whole name, predicates ``(name, parameter) -> bool``, or a list of
        these. None includes all and excludes none. The name of a layer stands for all
        that lies below it.
    layers : tuple of type, default=None
        Kinds of layers that the method knows; None for all.
    parameter : str, default="weight"
        Name of the tensor in its layer; None for all.
    caller : str
        Who asks, for messages.

    Returns
    -------
    list of Selected
        In the order of the module; never empty.

    Raises
    ------
    TypeError
        If a selector is none of these kinds, or names a layer of another kind.
    ValueError
        If a name or glob fits nothing, nothing is left, or a layer is lazy still.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"{caller} needs a torch module. Got {type(model).__name__}; pass the "
            f"model itself."
        )
    everything = list(named_tensors(model))
    known = [
        tensor
        for tensor in everything
        if (layers is None or isinstance(tensor.layer, layers))
        and (parameter is None or tensor.tensor_name == parameter)
    ]
    wanted = _matches(include, "include", known, everything, caller)
    unwanted = _matches(exclude, "exclude", known, everything, caller)
    chosen = [
        tensor
        for tensor in known
        if (include is None or tensor.name in wanted) and tensor.name not in unwanted
    ]
    if not chosen:
        kinds = "layer" if layers is None else " or ".join(k.__name__ for k in layers)
        raise ValueError(
            f"{caller} must have something to work on. Got include={include!r} and "
            f"exclude={exclude!r}, which leave none of the {len(known)} tensors "
            f"{parameter or ''!r} of a {kinds}; widen 'include' or shorten 'exclude'."
        )
    if lazy := [tensor.name for tensor in chosen if is_lazy(tensor.parameter)]:
        raise ValueError(
            f"{caller} needs tensors that have a shape. Got {', '.join(lazy)} of lazy "
            f"layers; run the model on one batch first."
        )
    return chosen


def select_masks(
    model: nn.Module, masks: Mapping[str, Any], *, caller: str
) -> dict[str, Tensor]:
    """Return boolean masks of single weights, checked against the module's tensors.

    Parameters
    ----------
    model : Module
        Owner of the tensors.
    masks : mapping of str to array-like of bool
        Masks by the name of their tensor, of its shape.
    caller : str
        Who asks, for messages.

    Returns
    -------
    dict of str to Tensor
        Masks on the device of their tensor.

    Raises
    ------
    ValueError
        If a name is no tensor of the module, or a mask is not boolean or misshapen.
    """
    tensors = {tensor.name: tensor.parameter for tensor in named_tensors(model)}
    checked = {}
    for name, given in masks.items():
        if name not in tensors:
            raise ValueError(_nothing_fits(name, "masks", tensors, caller))
        mask, parameter = torch.as_tensor(given), tensors[name]
        if mask.dtype != torch.bool or mask.shape != parameter.shape:
            raise ValueError(
                f"The mask of {name!r} in {caller} must be boolean and of shape "
                f"{tuple(parameter.shape)}. Got {mask.dtype} of shape "
                f"{tuple(mask.shape)}; build it from the tensor, as in weight > 0."
            )
        checked[name] = mask.to(parameter.device)
    return checked


def _matches(
    selector: Selector,
    argument: str,
    known: list[Selected],
    everything: list[Selected],
    caller: str,
) -> set[str]:
    """Return the names of the known tensors that a selector fits."""
    if selector is None:
        return set()
    if isinstance(selector, str):
        fits = [t for t in known if _named(selector, t)]
        if not fits:
            if any(_named(selector, t) for t in everything):
                if argument == "exclude":
                    return set()
                raise TypeError(
                    f"The '{argument}' of {caller} must name layers of a kind that it "
                    f"works on. Got {selector!r}, which has none; see "
                    f"model.named_modules() for the layers."
                )
            raise ValueError(
                _nothing_fits(selector, argument, _paths(everything), caller)
            )
        return {tensor.name for tensor in fits}
    if isinstance(selector, re.Pattern):
        return {
            t.name
            for t in known
            if selector.fullmatch(t.name) or selector.fullmatch(t.layer_name)
        }
    if callable(selector):
        return {t.name for t in known if selector(t.name, t.parameter)}
    if isinstance(selector, Iterable):
        parts = [_matches(s, argument, known, everything, caller) for s in selector]
        return set().union(*parts)
    raise TypeError(
        f"The '{argument}' of {caller} must be a name, a glob, a compiled pattern, a "
        f"predicate (name, parameter) -> bool, or a list of these. Got "
        f"{type(selector).__name__}; pass, for example, 'layers.*'."
    )


def _named(pattern: str, tensor: Selected) -> bool:
    """Say whether a name or glob fits a tensor, its layer, or a module around it."""
    parts = tensor.name.split(".")
    return any(
        fnmatchcase(".".join(parts[:depth]), pattern)
        for depth in range(1, len(parts) + 1)
    )


def _paths(tensors: Iterable[Selected]) -> list[str]:
    """Return every name that a selector could have meant."""
    paths: dict[str, None] = {}
    for tensor in tensors:
        parts = tensor.name.split(".")
        paths.update(
            (".".join(parts[:depth]), None) for depth in range(1, len(parts) + 1)
        )
    return list(paths)


def _nothing_fits(
    name: str, argument: str, candidates: Iterable[str], caller: str
) -> str:
    candidates = list(candidates)
    close = get_close_matches(name, candidates, n=3, cutoff=0.4)
    hint = f"closest are {', '.join(map(repr, close))}" if close else "see its names"
    if any(candidate.endswith(f".{name}") for candidate in candidates):
        hint = f"pass {f'*.{name}'!r} for all that end so"
    return (
        f"The '{argument}' of {caller} must fit names of the module. Got {name!r}, "
        f"which fits none; {hint}."
    )
