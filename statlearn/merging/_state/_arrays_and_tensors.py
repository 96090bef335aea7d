"""What one name of a state dict stands for: an array or a tensor, read and made."""

from __future__ import annotations

import copy as copying
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._arrays import is_tensor

# Types of tensors that NumPy has as well; and one that it reads as float32.
_FLOATS = {"float16", "float32", "float64", "bfloat16"}
_INTEGERS = {"bool"} | {f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)}
# From here on numbers of float32 are infinite in bfloat16.
_OVER_BFLOAT16 = (2.0 - 2.0**-8) * 2.0**127


def to_array(value: Any) -> NDArray[Any]:
    """Return an array or a tensor as an array of its own type, without a copy."""
    if not is_tensor(value):
        return np.asarray(value)
    tensor = value.detach().cpu()
    if _is_bfloat16(tensor):
        tensor = tensor.float()
    array: NDArray[Any] = tensor.numpy()
    return array


def restorer(value: Any) -> Callable[[NDArray[Any]], Any]:
    """Return the way from an array back to what the caller gave."""
    if is_tensor(value):
        return value.detach().new_tensor
    return lambda array: array


def copied(value: Any) -> Any:
    """Return a copy of whatever a name stands for, numbers or not."""
    if is_tensor(value) and hasattr(value, "clone"):
        return value.detach().clone()
    if is_tensor(value) or isinstance(value, np.ndarray):
        return restorer(value)(to_array(value).copy())
    return copying.deepcopy(value)


def shape_and_kind(value: Any, name: str, who: str) -> tuple[tuple[int, ...], str]:
    """Return the shape of a value and "f" or "i", or refuse what is not merged."""
    if is_tensor(value):
        return tuple(value.shape), _kind_of_tensor(value, name, who)
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of several lengths
        raise _unreal("array", name, who, type(value).__name__) from error
    if array.dtype.kind not in "fiub":
        raise _unreal("array", name, who, f"dtype {array.dtype}")
    return array.shape, "f" if array.dtype.kind == "f" else "i"


def _unreal(what: str, name: str, who: str, found: str, advice: str = "") -> TypeError:
    advice = advice or "leave it out of the state dict"
    return TypeError(
        f"The {what} {name!r} of {who} must hold real numbers. Got {found}; {advice}."
    )


def _kind_of_tensor(tensor: Any, name: str, who: str) -> str:
    """Tell floating from whole numbers; refuse what has no array of numbers."""
    if problem := _beyond_numpy(tensor):
        found, advice = problem
        raise _unreal("tensor", name, who, found, advice)
    kind = str(tensor.dtype).removeprefix("torch.")
    if kind in _FLOATS:
        return "f"
    if kind in _INTEGERS:
        return "i"
    advice = "pass tensor.float()" if tensor.is_floating_point() else ""
    raise _unreal("tensor", name, who, f"dtype {tensor.dtype}", advice)


def _beyond_numpy(tensor: Any) -> tuple[str, str] | None:
    """Say what keeps a tensor from being an array, and what to do about it."""
    if str(getattr(tensor, "layout", "torch.strided")) != "torch.strided":
        return f"the layout {tensor.layout}", "pass tensor.to_dense()"
    if getattr(tensor, "is_quantized", False):
        return f"quantised numbers, {tensor.dtype}", "pass tensor.dequantize()"
    if getattr(tensor, "is_meta", False):
        return "a tensor on the device 'meta'", "load its numbers first"
    return None


# --- memory ------------------------------------------------------------------


def memory_of(value: Any) -> tuple[Any, ...]:
    """Tell values that share their memory; equal for an array and its alias."""
    if is_tensor(value) and (not hasattr(value, "data_ptr") or _beyond_numpy(value)):
        return (id(value),)
    if is_tensor(value):
        return (value.data_ptr(), tuple(value.shape), tuple(value.stride()))
    # What is no array has no memory, or memory of the moment.
    if not isinstance(value, np.ndarray) or value.size == 0:
        return (id(value),)
    return (value.ctypes.data, value.shape, value.strides)


# --- results -----------------------------------------------------------------


def in_range(merged: NDArray[Any], like: Any, name: str, rule: str) -> Any:
    """Return merged numbers as what they replace, or name those that do not fit.

    Parameters
    ----------
    merged : ndarray
        Numbers in the type of `like`, or float32 in place of bfloat16; infinite or NaN
        where they overflowed.
    like : ndarray or tensor
        What the base has under the name.
    name, rule : str
        For the message.
    """
    fits = bool(np.isfinite(total(merged))) or bool(np.isfinite(merged).all())
    if fits and is_tensor(like) and _is_bfloat16(like):
        fits = max(merged.max(initial=0.0), -merged.min(initial=0.0)) < _OVER_BFLOAT16
    if not fits:
        raise ValueError(
            f"The merged numbers of {rule} must be finite in the data type of the "
            f"base. Got NaN or infinity for {name!r} of type {like.dtype}; convert the "
            "base to a wider type, or take a smaller scale or smaller weights."
        )
    return restorer(like)(merged)


def total(array: NDArray[Any]) -> float:
    """Return the sum, which is finite only if all numbers are."""
    with np.errstate(all="ignore"):
        return float(array.sum(dtype=None if array.dtype.itemsize > 2 else np.float32))


def _is_bfloat16(tensor: Any) -> bool:
    return str(tensor.dtype) == "torch.bfloat16"
