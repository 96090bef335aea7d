"""What is beside the maps of a module stops being trained, until the maps go.

Each module remembers which of its own parameters were frozen, so that they are found
again from whatever module the maps leave: the whole, a part, or a wrapper around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

_FROZEN = "_statlearn_frozen"
# What to freeze again when folded maps come back.
_THAWED = "_statlearn_thawed"


def freeze_rest(model: nn.Module, mapped: Iterable[nn.Module]) -> None:
    """Freeze all parameters of a module but those of its lists of maps."""
    inside = {id(part) for chain in mapped for part in chain.modules()}
    trained = [
        (owner, name, parameter)
        for owner in model.modules()
        if id(owner) not in inside
        for name, parameter in owner._parameters.items()
        if parameter is not None and parameter.requires_grad
    ]
    for owner, name, parameter in trained:
        vars(owner).setdefault(_FROZEN, set()).add(name)
        parameter.requires_grad = False  # the method refuses lazy ones


def thaw_rest(model: nn.Module, *, reversible: bool) -> None:
    """Let what :func:`freeze_rest` froze in a module be trained again."""
    for owner, names in _remembered(model, _FROZEN):
        _set_trained(owner, names, trained=True)
        if reversible:
            vars(owner).setdefault(_THAWED, set()).update(names)


def freeze_again(model: nn.Module) -> None:
    """Undo :func:`thaw_rest` after a reversible fold."""
    for owner, names in _remembered(model, _THAWED):
        _set_trained(owner, names, trained=False)
        vars(owner).setdefault(_FROZEN, set()).update(names)


def forget_frozen(owner: nn.Module, name: str) -> None:
    """Leave a parameter of a module to the caller, whatever becomes of the maps."""
    vars(owner).get(_FROZEN, set()).discard(name)


def _remembered(model: nn.Module, mark: str) -> Iterator[tuple[Any, set[str]]]:
    """Yield the modules with a mark, which they lose, and the names that it holds."""
    for owner in model.modules():
        if mark in vars(owner):
            yield owner, vars(owner).pop(mark)


def _set_trained(owner: Any, names: set[str], *, trained: bool) -> None:
    for name in names:
        if is_parametrized(owner, name):  # by somebody else, since then
            for parameter in owner.parametrizations[name].parameters(recurse=False):
                parameter.requires_grad = trained
        elif owner._parameters.get(name) is not None:
            owner._parameters[name].requires_grad = trained
