"""Columns of X that a user lists, and columns that hold one value only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.exceptions import CollinearityWarning
from statlearn.utils._numbers import is_integer
from statlearn.utils._warn import warn

Mask = NDArray[np.bool_]


def column_mask(
    columns: Any, names: NDArray[np.str_], *, named: bool, parameter: str, caller: str
) -> Mask:
    """Return which columns (p,) a list of names or positions contains.

    Parameters
    ----------
    columns : array-like
        As the user gave it.
    names : (p,) array
    named : bool
        Whether X brought these names, so that the user can refer to them.
    parameter, caller : str
        For messages.

    Raises
    ------
    ValueError
        For an entry that is neither a name nor a position of a column.
    """
    mask = np.zeros(len(names), dtype=bool)
    position = {str(name): j for j, name in enumerate(names)} if named else {}
    for column in np.asarray(columns, dtype=object).ravel():
        j: Any = position.get(column) if isinstance(column, str) else column
        if not (is_integer(j) and 0 <= int(j) < len(mask)):
            known = f"0 to {len(mask) - 1}"
            if named:
                known = f"{', '.join(map(repr, position))}, or {known}"
            raise ValueError(
                f"The {parameter!r} parameter of {caller} must list columns of X by "
                f"name or position ({known}). Got {column!r}; leave it out or correct "
                f"it."
            )
        mask[j] = True
    return mask


def warn_of_constant_columns(
    constant: Mask, names: NDArray[np.str_], caller: str
) -> None:
    """Warn about columns without variation, whose slopes are not estimated."""
    if constant.any():
        listed = ", ".join(f"'{name}'" for name in names[constant])
        warn(
            f"{caller} expected columns that vary. Got one value only in {listed}, "
            f"whose slope is set to zero; drop them.",
            CollinearityWarning,
        )
