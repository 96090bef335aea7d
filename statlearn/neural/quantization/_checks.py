"""Bits, weights and shares as they must be, and what to say if they are not."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from statlearn.utils._numbers import is_integer, real_number


def check_bits(bits: Any, caller: str) -> int:
    """Return a number of bits from 1 to 8, or say what is wrong with it."""
    if not is_integer(bits) or not 1 <= bits <= 8:
        raise ValueError(
            f"The 'bits' of {caller} must be a whole number from 1 to 8. Got {bits!r}; "
            "pass for example 2."
        )
    return int(bits)


def check_weight(weight: Any, caller: str) -> None:
    """Refuse what is no floating point tensor of two to four axes."""
    if not isinstance(weight, Tensor) or not weight.is_floating_point():
        kind = weight.dtype if isinstance(weight, Tensor) else type(weight).__name__
        raise TypeError(
            f"The weight of {caller} must be a floating point tensor. Got {kind}; "
            "convert it with .float()."
        )
    if not 2 <= weight.ndim <= 4 or not weight.numel():
        raise ValueError(
            f"The weight of {caller} must have two to four axes and some numbers. Got "
            f"shape {tuple(weight.shape)}; reshape it so that the rows of one scale "
            "are along 'axis'."
        )


def other_axes(weight: Tensor, axis: int, caller: str) -> list[int]:
    """Return all axes but one, over which the numbers of one scale lie."""
    if not -weight.ndim <= axis < weight.ndim:
        raise ValueError(
            f"The 'axis' of {caller} must be one of the weight's. Got {axis} for shape "
            f"{tuple(weight.shape)}; pass 0 for one scale per output."
        )
    return [other for other in range(weight.ndim) if other != axis % weight.ndim]


def check_share(momentum: Any, name: str, caller: str) -> float:
    """Return a number in (0, 1], or say what is wrong with it."""
    momentum = real_number(momentum, name, caller)
    if not 0.0 < momentum <= 1.0:
        raise ValueError(
            f"The '{name}' of {caller} must be in (0, 1]. Got {momentum}; pass for "
            "example 0.01."
        )
    return momentum
