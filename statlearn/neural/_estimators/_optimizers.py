"""Optimizers of the estimators: by a name, by a class, or made by the user."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

NAMES = ("adamp", "adamw", "sgd", "sgdp")

# Momentum of the two descents that would otherwise have none.
_MOMENTUM = 0.9


def make_optimizer(
    optimizer: Any,
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
    weight_decay: float,
    caller: str,
) -> torch.optim.Optimizer:
    """Return an optimizer of parameters.

    Parameters
    ----------
    optimizer : str, class of optimizers or callable
        A name of `NAMES`; a class, which gets ``lr`` and ``weight_decay``; or what
        makes an optimizer of parameters alone.
    parameters : iterable of Parameter
    learning_rate, weight_decay : float
        Not for a callable, which has its own.
    caller : str
        Class name for messages.
    """
    make = _named(optimizer) if isinstance(optimizer, str) else optimizer
    if isinstance(optimizer, (str, type)):
        make = partial(make, lr=learning_rate, weight_decay=weight_decay)
    try:
        made = make(list(parameters))
    except TypeError as error:
        if not isinstance(optimizer, type):
            raise
        raise TypeError(
            f"The 'optimizer' of {caller} must take 'lr' and 'weight_decay' if it is a "
            f"class. Got {optimizer.__name__} ({error}); pass functools.partial of it, "
            f"with options of its own."
        ) from error
    if not isinstance(made, torch.optim.Optimizer):
        raise TypeError(
            f"The 'optimizer' of {caller} must make a torch.optim.Optimizer of "
            f"parameters. Got {type(made).__name__} from {optimizer!r}; pass a class "
            f"of optimizers, or functools.partial of one."
        )
    return made


def _named(name: str) -> Callable[..., torch.optim.Optimizer]:
    """Return what makes the optimizer of a name, out of `NAMES`."""
    if name in ("adamp", "sgdp"):
        # Where it is needed: the subpackage stands beside the estimators, not below.
        from statlearn.neural.optim import SGDP, AdamP

        return AdamP if name == "adamp" else partial(SGDP, momentum=_MOMENTUM)
    if name == "sgd":
        return partial(torch.optim.SGD, momentum=_MOMENTUM)
    return torch.optim.AdamW
