"""What losses of single samples share: shapes that must agree, means over a sample."""

from __future__ import annotations

import torch
from torch import Tensor


def pair(prediction: Tensor, target: Tensor, caller: str) -> tuple[Tensor, Tensor]:
    """Return prediction and target of one shape (n, ...), the target as floats."""
    # A column against a vector would broadcast to all pairs of samples.
    if prediction.ndim == 2 and prediction.shape[1] == 1 and target.ndim == 1:
        prediction = prediction[:, 0]
    elif prediction.ndim == 1 and target.ndim == 2 and target.shape[1] == 1:
        target = target[:, 0]
    if prediction.ndim == 0 or prediction.shape != target.shape:
        raise ValueError(
            f"The 'target' of {caller} must have the shape of the prediction, samples "
            f"first. Got {tuple(target.shape)} for {tuple(prediction.shape)}; let the "
            f"model return one value for each target."
        )
    return prediction, target.to(prediction.dtype)


def row_mean(values: Tensor) -> Tensor:
    """Return means (n,) over all axes but the first of values (n, ...)."""
    return values.flatten(1).mean(1) if values.ndim > 1 else values


def token_mean(
    losses: Tensor, counts: Tensor | None, mask: Tensor | None, caller: str
) -> Tensor:
    """Return weighted means (n,) of losses (n, ...) of tokens, 0 where none counts.

    counts : boolean like the losses, or None; mask : weights like the losses, or None
    """
    if mask is not None and mask.shape != losses.shape:
        raise ValueError(
            f"The 'mask' of {caller} must have one weight for each token, shape "
            f"{tuple(losses.shape)}. Got {tuple(mask.shape)}; leave out the axis of "
            f"classes."
        )
    if mask is None and (counts is None or losses.ndim == 1):
        return row_mean(losses)  # torch gives an ignored label the loss 0
    weight = torch.ones_like(losses) if mask is None else mask.to(losses.dtype)
    weight = weight if counts is None else weight * counts
    weight, losses = (x.reshape(len(x), -1) for x in (weight, losses))
    # A token that does not count may have an infinite loss.
    losses = losses.masked_fill(weight <= 0, 0.0)
    total = weight.sum(1)
    return (weight * losses).sum(1) / torch.where(total > 0, total, 1.0)
