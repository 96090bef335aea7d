"""Checks on the parameters of the training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import Parameter, signature
from typing import Any

import torch
from torch import nn

from statlearn.neural._loss_reweighter import LossReweighter
from statlearn.neural._training._history import Progress
from statlearn.neural._training._identity import describe, optimizer_settings
from statlearn.neural._training._update import Means
from statlearn.utils._numbers import positive_integer, positive_number
from statlearn.weights import get_rule


def steps_of(
    n_batches: int | None, accumulate: int, n_epochs: int, n_steps: int | None
) -> int | None:
    """Return the updates of a training, None if they are not known."""
    if n_batches is None:
        return n_steps
    found = n_epochs * -(-n_batches // accumulate)
    return found if n_steps is None else min(found, n_steps)


def check_parts(model: Any, loss_fn: Any, optimizer: Any) -> None:
    """Say so if one of the parts of a loop is of another kind."""
    wanted = (
        ("model", isinstance(model, nn.Module), model, "a torch Module"),
        ("loss_fn", callable(loss_fn), loss_fn, "a callable loss_fn(model, batch)"),
        (
            "optimizer",
            isinstance(optimizer, torch.optim.Optimizer),
            optimizer,
            "an Optimizer of torch, made of the parameters of the model",
        ),
    )
    for name, right, value, kind in wanted:
        if not right:
            raise TypeError(
                f"The '{name}' of TrainingLoop must be {kind}. Got "
                f"{type(value).__name__}; pass one."
            )
    closure = signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is Parameter.empty:
        raise TypeError(
            f"The 'optimizer' of TrainingLoop must make steps without a closure. Got "
            f"{type(optimizer).__name__}, which asks for one; pass for example AdamW."
        )


def read_callbacks(callbacks: Any) -> tuple[Callable[[Progress], object], ...]:
    """Return callbacks that can be called, or say what they should be."""
    found = tuple(callbacks) if isinstance(callbacks, Iterable) else (None,)
    if not all(map(callable, found)):
        raise TypeError(
            f"The 'callbacks' of TrainingLoop must be an iterable of callables. Got "
            f"{callbacks!r}; pass for example [callback]."
        )
    return found


def read_weighting(weighting: Any) -> LossReweighter | None:
    """Return what weighs losses by a rule, None for base weights."""
    if weighting is None or isinstance(weighting, LossReweighter):
        return weighting
    return LossReweighter(weighting)


def read_clip(clip_norm: Any) -> float | None:
    """Return the largest norm of a gradient, None for any."""
    if clip_norm is None:
        return None
    return positive_number(
        clip_norm, "clip_norm", "TrainingLoop", "pass None for no limit"
    )


def read_updates(number: Any, name: str) -> int | None:
    """Return a number of updates, None if it is not given."""
    if number is None:
        return None
    return positive_integer(number, name, "TrainingLoop", "pass a number of updates")


def settings_of(
    optimizer: torch.optim.Optimizer, loss_fn: Any, schedule: Any, means: Means
) -> dict[str, Any]:
    """Return the settings that a file must share with a run to be taken up by it."""
    rule = None if means.reweighter is None else get_rule(means.reweighter.rule)
    return optimizer_settings(optimizer) | {
        "loss": describe(loss_fn),
        "schedule": describe(schedule),
        "weighting": describe(rule),
        "clip_norm": means.clip_norm,
        "precision": str(means.precision),
    }
