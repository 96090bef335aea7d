"""What a mixer of old and new rows is given, or what it should have been."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.sampling._stream import is_whole
from statlearn.utils._numbers import number_in
from statlearn.utils._validation import as_numbers, weight_problem

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


def read_fraction(fraction: Any, caller: str) -> float:
    """Return the share of old rows, from 0 up to but not including 1."""
    hint = "pass for example 0.05 to give one row in twenty to old data"
    return number_in(fraction, "fraction", caller, hint, 0.0, 1.0, "left")


def read_offset(offset: Any, caller: str) -> int:
    """Return the number of old rows to begin after."""
    if is_whole(offset):
        return int(offset)
    raise ValueError(
        f"The 'offset' of {caller} must be an integer >= 0. Got {offset!r}; pass the "
        f"number of old rows that were replayed before."
    )


def given_rows(old: Any, flat: bool, caller: str) -> Integers | None:
    """Return a copy of old rows, if rows and not numbers of them were given."""
    if not isinstance(old, np.ndarray) or not old.size:
        return None
    if old.min() < 0:
        raise ValueError(
            f"The rows in 'old' of {caller} must be numbers >= 0. Got {old.min()}; "
            f"number rows from 0."
        )
    if flat and old.max() >= old.size:
        raise ValueError(
            f"The rows in 'old' of {caller} must be below their number {old.size} with "
            f"flat=True, since new rows follow them. Got row {old.max()}; number old "
            f"rows from 0, or pass flat=False."
        )
    return old.copy()


def old_sizes(old: Any, fraction: float, caller: str) -> Integers:
    """Return the numbers (K,) of old rows of each source."""
    if isinstance(old, np.ndarray) and old.ndim == 1 and old.dtype.kind in "iu":
        sizes = [len(old)]
    elif isinstance(old, Integral) and not isinstance(old, bool):
        sizes = [int(old)]
    elif isinstance(old, (list, tuple)) and all(
        isinstance(n, Integral) and not isinstance(n, bool) for n in old
    ):
        sizes = [int(n) for n in old]
    else:
        raise TypeError(
            f"The 'old' of {caller} must be a number of rows, a list of such numbers, "
            f"or an integer array of rows. Got {type(old).__name__}; pass for example "
            f"len(X_old)."
        )
    if min(sizes, default=0) < (1 if fraction else 0) or not sizes:
        raise ValueError(
            f"The 'old' of {caller} must have at least one row in every source. Got "
            f"{sizes}; keep some old rows, or pass fraction=0."
        )
    return np.array(sizes, dtype=np.int64)


def source_weights(weights: Any, name: str, n: int | None, caller: str) -> Array:
    """Return weights of sources, of sum one."""
    values = as_numbers(weights)
    if weight_problem(values, *(() if n is None else ((n,),))) is not None:
        raise ValueError(
            f"The '{name}' of {caller} must hold {'' if n is None else f'{n} '}finite "
            f"numbers >= 0, not all of them zero. Got {weights!r}; pass one weight for "
            f"each source."
        )
    values = values / values.max()
    return values / values.sum()
