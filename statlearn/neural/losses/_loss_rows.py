"""What losses of single samples share: shapes that must agree, means over a sample."""

from __future__ import annotations

import torch
from torch import Tensor

from statlearn.neural._precision import wide_dtype


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
    """Return means (n,) over all axes but the first of values (n, ...), 0 of none."""
    if values.ndim == 1:
        return values
    rows = values.flatten(1)
    return rows.mean(1) if rows.shape[1] else rows.sum(1)


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
    if mask is not None:
        _check_weights(mask, caller)
    # The sums over a long sequence, and some weights, are too large for half precision.
    wide = wide_dtype(losses.dtype)
    weight = torch.ones_like(losses, dtype=wide) if mask is None else mask.to(wide)
    weight = weight if counts is None else weight * counts
    # A token that does not count may have an infinite loss.
    counted = losses.to(wide).masked_fill(weight <= 0, 0.0)
    if losses.ndim > 1:
        weight, counted = weight.flatten(1), counted.flatten(1)
        total, summed = weight.sum(1), (weight * counted).sum(1)
    else:
        total, summed = weight, weight * counted
    return (summed / torch.where(total > 0, total, 1.0)).to(losses.dtype)


def _check_weights(mask: Tensor, caller: str) -> None:
    """Refuse negative weights and NaN where a look at them waits for no device."""
    if mask.device.type != "cpu" or mask.dtype is torch.bool:
        return
    if torch.compiler.is_compiling():
        return
    try:
        right = bool((mask >= 0).all())
    except RuntimeError:  # within torch.func.vmap there is nothing to look at
        return
    if not right:
        raise ValueError(
            f"The 'mask' of {caller} must hold weights of at least 0. Got "
            f"{mask[~(mask >= 0)][0].item():g}; pass 0 for a token that does not count."
        )
