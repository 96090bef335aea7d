"""Arrays in, the same kind of array out; torch tensors without importing torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray


def is_tensor(values: Any) -> bool:
    """Tell a torch tensor by where its type comes from."""
    return type(values).__module__.partition(".")[0] == "torch"


def to_float64(
    values: Any,
) -> tuple[NDArray[np.float64], Callable[[NDArray[np.float64]], Any]]:
    """Return the values as float64 and the way back to what the caller gave.

    Parameters
    ----------
    values : array-like or torch tensor
        Numbers of any type.

    Returns
    -------
    values : ndarray of float64
        Without a copy if they are so already: do not write into it.
    restore : callable
        Turns a float64 array into a tensor on the same device (outside any gradient),
        or an array of the same floating type; float64 for integers and lists.

    Raises
    ------
    TypeError
        If the values are no real numbers, such as words, dates or complex numbers.
    """
    if is_tensor(values):
        detached = values.detach()
        like = detached if detached.is_floating_point() else detached.double()
        # By way of double: NumPy knows no bfloat16.
        return detached.double().cpu().numpy(), like.new_tensor
    array = np.asarray(values)
    if array.dtype.kind not in "fiubO":
        _refuse(array)
    kind = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)
    try:
        numbers = array.astype(np.float64, copy=False)
    except (TypeError, ValueError):
        _refuse(array)
    return numbers, lambda out: out.astype(kind, copy=False)


def _refuse(array: NDArray[Any]) -> NoReturn:
    raise TypeError(
        "Losses, residuals, scores and weights must be real numbers. Got an array of "
        f"dtype {array.dtype}; convert its values to numbers first."
    )


def to_labels(values: Any) -> NDArray[Any]:
    """Return labels of any type as an array; a tensor comes to the CPU first."""
    return values.detach().cpu().numpy() if is_tensor(values) else np.asarray(values)
