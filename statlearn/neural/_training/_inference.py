"""Outputs and losses of a model as it is: evaluation mode, no gradients, by batches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from statlearn.neural._loss_reweighter import (
    checked_losses,
    counted_rows,
    weighted_sum,
)
from statlearn.neural._precision import autocast_of, read_precision
from statlearn.neural._training._batch_rows import moved, weight_and_groups
from statlearn.neural._training._batches import Batches
from statlearn.neural._training._seeding import SHARED

# Modules that are in the mode of a thread, and who looks at them or changes them.
_turned: set[nn.Module] = set()
_looking = threading.RLock()


@contextmanager
def mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Put a model into a mode, and each of its modules back into its own.

    Other threads wait meanwhile, unless they evaluate a model that is in evaluation
    mode by itself.
    """
    modules = set(model.modules())
    with _looking:
        evaluates = not any(module.training for module in modules)
        is_there = evaluates and not training and _turned.isdisjoint(modules)
    if is_there:
        yield
        return
    with SHARED:
        before = [(module, module.training) for module in modules]
        ours = modules - _turned
        try:
            with _looking:
                _turned.update(ours)
                model.train(training)
            yield
        finally:
            with _looking:
                for module, flag in before:
                    module.training = flag
                _turned.difference_update(ours)


def device_of(model: nn.Module) -> torch.device:
    """Return where the first parameter or buffer of a model is; else the CPU."""
    for tensor in chain(model.parameters(), model.buffers()):
        return tensor.device
    return torch.device("cpu")


def read_device(device: Any, model: nn.Module, caller: str) -> torch.device:
    """Return a device that there is, that of the model for None."""
    if device is None:
        return device_of(model)
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    # By the device, torch raises one for names, one for builds and one for backends.
    except (AssertionError, NotImplementedError, RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"The 'device' of {caller} must be one that torch can compute on here. Got "
            f"{device!r} ({reason}); pass for example 'cpu' or 'cuda'."
        ) from error
    return found


def predict(
    model: nn.Module,
    *inputs: Any,
    batch_size: int = 1024,
    forward: Callable[..., Tensor] | None = None,
    device: Any = None,
    precision: Any = None,
) -> Tensor:
    """Return the outputs of a model for the rows of arrays.

    Parameters
    ----------
    model : Module
        It is put into evaluation mode, and each of its modules back into its own.
    *inputs : tensors or ndarrays, each of n rows
        Arguments of the model.
    batch_size : int, default=1024
        Rows that are computed at once.
    forward : callable, default=None
        ``forward(model, *inputs)``; None calls the model.
    device : str or torch.device, default=None
        Where inputs are moved to; None stands for where the model is.
    precision : {None, "bf16", "fp16"}, default=None
        Of autocast.

    Returns
    -------
    outputs : tensor of shape (n, ...)
        On the CPU, without gradient.

    Raises
    ------
    TypeError
        If the model returns something else.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural import predict
    >>> predict(torch.nn.Linear(3, 2), torch.ones(5, 3)).shape
    torch.Size([5, 2])
    """
    batches = Batches(*inputs, batch_size=batch_size, shuffle=False)
    place = read_device(device, model, "predict")
    autocast = autocast_of(read_precision(precision, "predict"), place)
    found = []
    with mode(model, training=False), torch.no_grad(), autocast:
        for batch in batches:
            given = moved(batch, place)
            output = model(*given) if forward is None else forward(model, *given)
            if not isinstance(output, Tensor):
                raise TypeError(
                    f"The model of predict must return a tensor. Got "
                    f"{type(output).__name__}; pass a 'forward' that chooses a part."
                )
            found.append(output.detach().cpu())
    return torch.cat(found)


def evaluate(
    model: nn.Module,
    loss_fn: Callable[[nn.Module, Any], Tensor],
    batches: Iterable[Any],
    *,
    device: Any = None,
    precision: Any = None,
) -> float:
    """Return the mean loss of a model over batches, by the base weights of the rows.

    Parameters
    ----------
    model : Module
        It is put into evaluation mode, and each of its modules back into its own.
    loss_fn : callable
        ``loss_fn(model, batch)`` with one loss for each row.
    batches : iterable
        Of batches as a training loop takes them.
    device : str or torch.device, default=None
        Where batches are moved to; None stands for where the model is.
    precision : {None, "bf16", "fp16"}, default=None
        Of autocast.

    Returns
    -------
    loss : float
        NaN if no row has weight.

    See Also
    --------
    predict : Outputs instead of losses.
    TrainingLoop : Trains on the same losses.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural import Batches, evaluate
    >>> def squares(model, batch):
    ...     return model(batch[0])[:, 0] ** 2
    >>> model = torch.nn.Linear(1, 1)
    >>> _ = torch.nn.init.ones_(model.weight), torch.nn.init.zeros_(model.bias)
    >>> evaluate(model, squares, Batches(torch.tensor([[1.0], [3.0]]), batch_size=1))
    5.0
    """
    place = read_device(device, model, "evaluate")
    autocast = autocast_of(read_precision(precision, "evaluate"), place)
    total = weight = 0.0
    with mode(model, training=False), torch.no_grad(), autocast:
        for batch in batches:
            losses = checked_losses(loss_fn(model, moved(batch, place)), "evaluate")
            base, _ = weight_and_groups(batch)
            if base is not None:
                counted_rows(base, "evaluate", len(losses))
                base = torch.as_tensor(base).to(losses)
            total += float(weighted_sum(losses.double(), base))
            weight += len(losses) if base is None else float(base.sum())
    return total / weight if weight else float("nan")
