"""What a training of a network is known by, in this process and in others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from statlearn.utils import _identity

# Rows by which data are known.
_N_ROWS = 64
# Of a group of parameters: the rate is told apart, the rest says how it is computed.
_NO_SETTING = {
    *("params", "param_names", "lr", "initial_lr"),
    *("foreach", "fused", "capturable", "differentiable"),
}
# Beginnings of the names of what a scheduler of torch changes in its steps.
_MOVES = ("_", "last_epoch", "T_cur", "T_i")


def describe(value: Any) -> str:
    """Return a text of a setting, also of a module or a scheduler of torch."""
    return _identity.describe(value, _of_torch)


def checksum(*parts: Any) -> int:
    """Return a number that other arrays, or other mappings of them, hardly share."""
    return _identity.checksum(*parts, other=_of_torch)


def _of_torch(value: Any) -> str | None:
    """Return what a module or a scheduler is known by; None for all else."""
    name = _identity.qualified_name(type(value))
    if isinstance(value, nn.Module):
        return _identity.called(name, [str(checksum(value.state_dict()))])
    if isinstance(value, LRScheduler):
        return _identity.called(name, [describe(_fixed(value.state_dict()))])
    return None


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


def checksum_of_rows(*arrays: Any) -> int:
    """Return a number of the shapes of arrays (n, ...) and of some of their rows."""
    shapes = [tuple(array.shape) for array in arrays]
    return checksum(describe(shapes), *map(_some_rows, arrays))


def _some_rows(array: Any) -> Any:
    rows = np.unique(np.linspace(0, len(array) - 1, _N_ROWS).astype(np.intp))
    if isinstance(array, Tensor):
        return array.index_select(0, torch.from_numpy(rows).to(array.device))
    return array[rows]
