"""What a run is known by: texts and numbers that are the same in another process.

A file that training goes on from holds them, so that it is not taken up by a run with
other settings, data or rates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from inspect import getclosurevars
from types import MethodType
from typing import Any
from zlib import crc32

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

# Rows by which data are known.
_N_ROWS = 64
# Of a group of parameters: the rate is told apart, the rest says how it is computed.
_NO_SETTING = {
    *("params", "param_names", "lr", "initial_lr"),
    *("foreach", "fused", "capturable", "differentiable"),
}
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
# Beginnings of the names of what a scheduler of torch changes in its steps.
_MOVES = ("_", "last_epoch", "T_cur", "T_i")
_PLAIN = (bool, int, float, str)


def describe(value: Any) -> str:
    """Return a text of a setting: names and numbers, and no address in memory."""
    if isinstance(value, partial):
        options = [f"{name}={describe(part)}" for name, part in value.keywords.items()]
        return _called("partial", map(describe, (value.func, *value.args)), options)
    if isinstance(value, (Tensor, np.ndarray)):
        return f"array {tuple(value.shape)} {checksum(value)}"
    if isinstance(value, nn.Module):
        return _called(_name(type(value)), [str(checksum(value.state_dict()))])
    if isinstance(value, LRScheduler):
        return _called(_name(type(value)), [describe(_fixed(value.state_dict()))])
    if isinstance(value, Mapping):
        return _called("", (f"{key!r}: {describe(value[key])}" for key in value))
    if isinstance(value, (list, tuple)):
        return _called("", map(describe, value))
    if isinstance(value, BaseEstimator):
        settings = value.get_params(deep=False)
    elif is_dataclass(value) and not isinstance(value, type):
        settings = {field.name: getattr(value, field.name) for field in fields(value)}
    elif callable(value) and hasattr(value, "__qualname__"):
        return _function(value)
    elif isinstance(value, np.generic):
        return repr(value.item())
    else:
        return _ADDRESS.sub("", repr(value))
    options = [f"{name}={describe(part)}" for name, part in settings.items()]
    return _called(_name(type(value)), options)


def _called(name: str, *parts: Any) -> str:
    return f"{name}({', '.join(text for some in parts for text in some)})"


def _name(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def _function(function: Any) -> str:
    """Return the name of a function, and the numbers in one that has no own name."""
    if isinstance(function, MethodType):
        function = function.__func__
    name = _name(function)
    code = getattr(function, "__code__", None)
    if code is None or "<" not in name:
        return name
    # Those that are made in one place share a name, but not what they were made with.
    known = getclosurevars(function).nonlocals.values()
    inside = [*code.co_consts, *(function.__defaults__ or ()), *known]
    return _called(name, [repr(part) for part in inside if isinstance(part, _PLAIN)])


def _fixed(state: Any) -> Any:
    """Return the state of a scheduler without what moves with the steps."""
    if isinstance(state, Mapping):
        return {
            name: _fixed(part)
            for name, part in state.items()
            if name == "_schedulers" or not str(name).startswith(_MOVES)
        }
    return [_fixed(part) for part in state] if isinstance(state, list) else state


def optimizer_settings(optimizer: torch.optim.Optimizer) -> dict[str, str]:
    """Return the kind of an optimizer and the settings of its groups of parameters."""
    groups = optimizer.param_groups
    # A schedule has moved the rate of an optimizer that was trained with before.
    rates = [float(group.get("initial_lr", group["lr"])) for group in groups]
    found = {"optimizer": type(optimizer).__qualname__, "lr": describe(rates)}
    names = sorted({name for group in groups for name in group} - _NO_SETTING)
    return found | {
        name: describe([group.get(name) for group in groups]) for name in names
    }


def checksum(*parts: Any) -> int:
    """Return a number that other arrays, or other mappings of them, hardly share."""
    found = 0
    for part in parts:
        if isinstance(part, Mapping):
            for name in part:
                found = crc32(f"{name} {checksum(part[name])}".encode(), found)
        elif isinstance(part, (Tensor, np.ndarray)):
            found = crc32(f"{part.dtype}{tuple(part.shape)}".encode(), found)
            found = crc32(_bytes_of(part), found)
        else:
            found = crc32(describe(part).encode(), found)
    return found


def checksum_of_rows(*arrays: Any) -> int:
    """Return a number of the shapes of arrays (n, ...) and of some of their rows."""
    shapes = [tuple(array.shape) for array in arrays]
    return checksum(describe(shapes), *map(_some_rows, arrays))


def _some_rows(array: Any) -> Any:
    rows = np.unique(np.linspace(0, len(array) - 1, _N_ROWS).astype(np.intp))
    if isinstance(array, Tensor):
        return array.index_select(0, torch.from_numpy(rows).to(array.device))
    return array[rows]


def _bytes_of(array: Any) -> Any:
    if isinstance(array, np.ndarray):
        if array.dtype.hasobject:
            return repr(array.tolist()).encode()
        return np.ascontiguousarray(array).tobytes()
    array = array.detach().cpu()
    if array.layout != torch.strided:
        array = array.to_dense()
    return array.contiguous().reshape(-1).view(torch.uint8).numpy()
