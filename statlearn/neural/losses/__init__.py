"""Losses of single samples.

Every function takes predictions and targets of a batch, in the order of
`torch.nn.functional`, and returns one number for each sample, shape (n,): outputs,
tokens or levels of a sample are averaged, samples are not. That is what weights on
samples multiply; ``cross_entropy(logits, y).mean()`` is the plain training loss.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from typing import Any

from torch import Tensor, nn

from statlearn.neural.losses._class_losses import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    distillation,
)
from statlearn.neural.losses._value_losses import (
    absolute_error,
    huber,
    pinball,
    squared_error,
)

__all__ = [
    "PerSampleLoss",
    "absolute_error",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "distillation",
    "get_loss",
    "huber",
    "list_losses",
    "pinball",
    "squared_error",
]

Loss = Callable[..., Tensor]

_LOSSES: dict[str, Loss] = {
    loss.__name__: loss
    for loss in (
        absolute_error,
        binary_cross_entropy_with_logits,
        cross_entropy,
        distillation,
        huber,
        pinball,
        squared_error,
    )
}


def get_loss(loss: str | Loss, **options: Any) -> Loss:
    """Return a loss by its name, with options filled in.

    Parameters
    ----------
    loss : str or callable
        A name of :func:`list_losses`, or a function of your own
        ``loss(prediction, target) -> Tensor of shape (n,)``.
    **options : dict
        Keyword arguments of the loss, such as ``delta`` or ``levels``.

    Returns
    -------
    loss : callable
        ``loss(prediction, target) -> Tensor of shape (n,)``; it can be pickled.

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For options that a loss by name does not have, or that it needs and lacks, and
        for anything that is neither a name nor callable.

    See Also
    --------
    list_losses : The names.
    PerSampleLoss : A module, for libraries that want one.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.losses import get_loss
    >>> get_loss("huber", delta=2.0)(torch.tensor([4.0]), torch.tensor([0.0]))
    tensor([6.])
    """
    if isinstance(loss, str):
        if loss not in _LOSSES:
            close = get_close_matches(loss.lower(), _LOSSES, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else "pass one of them."
            raise ValueError(
                f"The 'loss' of get_loss must be one of {', '.join(_LOSSES)}, or a "
                f"function. Got {loss!r}; {hint}"
            )
        found = _LOSSES[loss]
        _check_options(found, options)
    elif callable(loss) and not isinstance(loss, type):
        found = loss
    else:
        raise TypeError(
            f"The 'loss' of get_loss must be a name or a function loss(prediction, "
            f"target) of one number for each sample. Got {loss!r}; pass for example "
            f"'cross_entropy'."
        )
    return partial(found, **options) if options else found


def list_losses() -> list[str]:
    """List the names that :func:`get_loss` knows.

    Returns
    -------
    names : list of str
        Sorted.

    See Also
    --------
    get_loss : The loss of a name.

    Examples
    --------
    >>> from statlearn.neural.losses import list_losses
    >>> list_losses()[:3]
    ['absolute_error', 'binary_cross_entropy_with_logits', 'cross_entropy']
    """
    return sorted(_LOSSES)


class PerSampleLoss(nn.Module):
    """A loss as a module, for libraries that build their criterion from a class.

    Parameters
    ----------
    loss : str or callable
        A name of :func:`list_losses`, or ``loss(prediction, target)`` of one number for
        each sample.
    reduction : {"none", "mean"}, default="none"
        Whether to return the losses, or their mean over the samples.
    **options : dict
        Keyword arguments of the loss.

    Raises
    ------
    ValueError
        For an unknown name or reduction.
    TypeError
        For options that the loss does not have, or that it needs and lacks.

    See Also
    --------
    get_loss : The function alone.

    Notes
    -----
    In skorch: ``NeuralNetClassifier(module, criterion=PerSampleLoss,
    criterion__loss="cross_entropy", criterion__reduction="mean",
    predict_nonlinearity=functools.partial(torch.softmax, dim=-1))``. skorch knows only
    for the losses of torch what makes probabilities of outputs: without the last
    argument ``predict_proba`` returns the logits. To weigh samples there, keep the
    reduction "none" and average with weights in an own ``get_loss``.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.losses import PerSampleLoss
    >>> criterion = PerSampleLoss("pinball", reduction="mean", levels=[0.5])
    >>> criterion(torch.tensor([[1.0], [3.0]]), torch.zeros(2))
    tensor(1.)
    """

    def __init__(
        self, loss: str | Loss, *, reduction: str = "none", **options: Any
    ) -> None:
        super().__init__()
        if reduction not in ("none", "mean"):
            raise ValueError(
                f"The 'reduction' of PerSampleLoss must be 'none' or 'mean'. Got "
                f"{reduction!r}; pass 'none' and sum the losses yourself."
            )
        self.loss = get_loss(loss, **options)
        self.reduction = reduction

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the losses, or their mean.

        Parameters
        ----------
        prediction : Tensor
            What the loss takes.
        target : Tensor
            What the loss takes.

        Returns
        -------
        losses : Tensor of shape (n,) or ()
            By the reduction.
        """
        losses = self.loss(prediction, target)
        return losses.mean() if self.reduction == "mean" else losses

    def extra_repr(self) -> str:
        """Return what the representation of the module shows.

        Returns
        -------
        text : str
            Name of the loss and reduction.
        """
        function = getattr(self.loss, "func", self.loss)
        name = getattr(function, "__name__", repr(function))
        return f"{name}, reduction={self.reduction!r}"


def _check_options(loss: Loss, options: dict[str, Any]) -> None:
    """Refuse options that a loss of ours does not have, or lacks."""
    _, _, *own = inspect.signature(loss).parameters.values()
    unknown = sorted(set(options) - {parameter.name for parameter in own})
    needed = [p.name for p in own if p.default is p.empty]
    missing = sorted(set(needed) - set(options))
    if unknown or missing:
        what = f"unknown {unknown}" if unknown else f"no {missing}"
        known = [parameter.name for parameter in own]
        raise TypeError(
            f"The options of {loss.__name__} must be among {known}, with {needed} "
            f"given. Got {what}; correct the keyword arguments."
        )
