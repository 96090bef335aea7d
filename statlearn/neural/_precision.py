"""What to compute in: half precision as float32, and mixed where torch offers it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

# Of too few digits for sums, norms and roundings.
HALF = (torch.float16, torch.bfloat16)
_DTYPES = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    torch.bfloat16: torch.bfloat16,
    torch.float16: torch.float16,
}


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the type to compute in with numbers of a type."""
    return torch.float32 if dtype in HALF else dtype


def widened(tensor: Tensor) -> Tensor:
    """Return a tensor in the type to compute in, the same one if that is its own."""
    return tensor.float() if tensor.dtype in HALF else tensor


def read_precision(precision: Any, caller: str) -> torch.dtype | None:
    """Return the type of autocast, None for none."""
    if precision is None:
        return None
    try:
        return _DTYPES[precision]
    except (KeyError, TypeError):
        raise ValueError(
            f"The 'precision' of {caller} must be None, 'bf16' or 'fp16'. Got "
            f"{precision!r}; pass None for the dtype of the model."
        ) from None


def autocast_of(
    dtype: torch.dtype | None, device: torch.device
) -> AbstractContextManager[Any]:
    """Return a context, to be entered as often as one likes, for forward passes."""
    if dtype is None:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)


def without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which products keep the type of their factors."""
    # On a meta device there is no autocast, and asking for it raises.
    if device.type == "meta" or not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def scaler_of(
    dtype: torch.dtype | None, device: torch.device
) -> torch.amp.GradScaler | None:
    """Return what keeps small gradients above zero in half precision."""
    if dtype is not torch.float16:
        return None
    return torch.amp.GradScaler(device.type)
