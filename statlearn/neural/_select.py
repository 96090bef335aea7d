"""The one way to say which parameters of a module a method may touch.

A selector is a name, a glob, a compiled pattern, a predicate, or a list of selectors;
:func:`select` turns ``include`` and ``exclude`` into the list of tensors, and says so
when a name fits nothing. Where a method treats single weights, boolean masks by the
name of their tensor say which; :func:`select_masks` checks them.
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

# Of the names of what hooks of torch make a tensor from: pruning and the older norms.
_ENDS = ("_orig", "_v")

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
        What is stored; below a map, the tensor that the map starts from. The tensor
        itself where a layer computes it from others.
    """

    name: str
    layer_name: str
    tensor_name: str
    # A Module; below a map PyTorch gives it attributes that its class does not declare.
    layer: Any
    parameter: Tensor


def named_tensors(
    model: nn.Module, *, computed: str | None = None
) -> Iterator[Selected]:
    """Yield the parameters of a module, those below a map under their usual name.

    And tensors called `computed` that are none, but made of others under other names,
    as by weight normalisation or pruning.
    """
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
        if computed is not None and _is_computed(layer, computed, stored):
            with torch.no_grad():
                stored[computed] = getattr(layer, computed)
        for tensor_name, parameter in stored.items():
            name = f"{layer_name}.{tensor_name}" if layer_name else tensor_name
            yield Selected(name, layer_name, tensor_name, layer, parameter)


def _is_computed(layer: nn.Module, name: str, stored: Mapping[str, Tensor]) -> bool:
    if name in stored:
        return False
    if is_parametrized(layer, name):
        return True
    return isinstance(getattr(layer, name, None), Tensor) and any(
        f"{name}{end}" in stored for end in _ENDS
    )


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
        that lies below it. What is a name itself is not read as a glob.
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
    everything = list(named_tensors(model, computed=parameter))
    known = [
        tensor
        for tensor in everything
        if (layers is None or isinstance(tensor.layer, layers))
        and (parameter is None or tensor.tensor_name == parameter)
    ]
    wanted = _Search(model, known, everything, "include", caller).names(include)
    unwanted = _Search(model, known, everything, "exclude", caller).names(exclude)
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
    """Return which single weights of a module a method is asked to touch.

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
        If a name is no tensor of the module, or a mask is not boolean, misshapen, or
        leaves nothing.
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
        if not mask.any():
            raise ValueError(
                f"The mask of {name!r} in {caller} must be true somewhere. Got one "
                f"that is false everywhere; leave out the tensor."
            )
        checked[name] = mask.to(parameter.device)
    return checked


@dataclass(frozen=True, slots=True)
class _Search:
    """What a selector may fit: the tensors of a kind, among all of a module."""

    model: nn.Module
    known: list[Selected]
    everything: list[Selected]
    argument: str
    caller: str

    def names(self, selector: Selector) -> set[str]:
        """Return the names of the known tensors that a selector fits."""
        if selector is None:
            return set()
        if isinstance(selector, str):
            return self._named(selector)
        if isinstance(selector, re.Pattern):
            return {
                t.name
                for t in self.known
                if selector.fullmatch(t.name) or selector.fullmatch(t.layer_name)
            }
        if callable(selector) and not isinstance(selector, type):
            return {t.name for t in self.known if selector(t.name, t.parameter)}
        if isinstance(selector, Iterable) and not isinstance(selector, (type, Mapping)):
            return set().union(*map(self.names, selector))
        raise TypeError(
            f"The '{self.argument}' of {self.caller} must be a name, a glob, a "
            f"compiled pattern, a predicate (name, parameter) -> bool, or a list of "
            f"these. Got {_what(selector)}; pass, for example, 'layers.*'."
        )

    def _named(self, pattern: str) -> set[str]:
        """Return the names that a name or glob fits."""
        fits = (
            self._below(pattern, _is_below)
            or self._second_name(pattern)
            or self._below(pattern, _is_below_glob)
        )
        found = {tensor.name for tensor in fits}
        chosen = {tensor.name for tensor in self.known if tensor.name in found}
        if chosen or (found and self.argument == "exclude"):
            return chosen
        if found:
            raise TypeError(
                f"The '{self.argument}' of {self.caller} must name layers of a kind "
                f"that it works on. Got {pattern!r}, which has none; see "
                f"model.named_modules() for the layers."
            )
        raise ValueError(
            _nothing_fits(pattern, self.argument, _paths(self.everything), self.caller)
        )

    def _below(self, pattern: str, fits: Callable[[str, str], bool]) -> list[Selected]:
        return [tensor for tensor in self.everything if fits(tensor.name, pattern)]

    def _second_name(self, path: str) -> list[Selected]:
        """Return the tensors of a module by another name of it, if it is used twice."""
        layer = _submodule(self.model, path)
        if layer is not None:  # an empty Sequential is false
            parts = {id(part) for part in layer.modules()}
            return [tensor for tensor in self.everything if id(tensor.layer) in parts]
        owner, _, name = path.rpartition(".")
        layer = _submodule(self.model, owner)
        return [
            tensor
            for tensor in self.everything
            if tensor.layer is layer and tensor.tensor_name == name
        ]


def _submodule(model: nn.Module, path: str) -> nn.Module | None:
    """Return the part of a module at a path, if there is one."""
    try:
        return model.get_submodule(path) if path else None
    except AttributeError:
        return None


def _what(selector: Any) -> str:
    """Describe what is no selector."""
    if isinstance(selector, type):
        return f"the class {selector.__name__}"
    return type(selector).__name__


def _is_below(name: str, path: str) -> bool:
    """Say whether a tensor has a path, or lies below it."""
    return name == path or name.startswith(f"{path}.")


def _is_below_glob(name: str, glob: str) -> bool:
    """Say whether a glob fits a tensor, its layer, or a module around it."""
    parts = name.split(".")
    return any(
        fnmatchcase(".".join(parts[:depth]), glob) for depth in range(1, len(parts) + 1)
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
