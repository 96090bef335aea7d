"""Group labels of any type, as codes."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._arrays import to_labels


class _Numbering(dict[Any, int]):
    """Give each new label the next number."""

    def __init__(self) -> None:
        super().__init__()
        self._next = count().__next__

    def __missing__(self, label: Any) -> int:
        return self.setdefault(label, self._next())


def group_codes(
    groups: Any,
    caller: str,
    counted: NDArray[np.bool_] | None = None,
    name: str = "groups",
) -> tuple[list[Any], NDArray[np.intp]]:
    """Return the different labels and the position of each row's label among them.

    Parameters
    ----------
    groups : array-like of shape (n,)
        Labels: strings, numbers, tensors, or any hashable objects in a list.
    caller : str
        For messages.
    counted : ndarray of bool, shape (n,), default=None
        Rows that must have a label; by default all.
    name : str, default="groups"
        Of the parameter, for messages.

    Returns
    -------
    labels : list of length n_groups
        In ascending order where they can be sorted, else by first appearance.
    codes : ndarray of shape (n,)

    Raises
    ------
    ValueError
        If there is no row, more than one label a row, or a missing label.
    """
    rows = label_rows(groups, caller, name)
    if isinstance(rows, np.ndarray):
        compact = _compact_integers(rows)
        if compact is not None:
            return compact
        rows = _as_list(rows)
    numbering = _Numbering()
    try:
        # Both loops, over rows and in `map`, run in C.
        codes = np.fromiter(map(numbering.__getitem__, rows), np.intp, len(rows))
    except TypeError as error:
        raise ValueError(
            f"The '{name}' of {caller} must be one label a row that can be hashed, "
            f"such as a string or a number. Got {error}; pass one label for each row."
        ) from error
    labels = list(numbering)
    _refuse_missing(labels, codes, counted, caller, name)
    try:
        order = sorted(range(len(labels)), key=labels.__getitem__)
    except TypeError:  # such as strings and numbers side by side
        return labels, codes
    place = np.empty(len(labels), np.intp)
    place[order] = np.arange(len(labels))
    return [labels[position] for position in order], place[codes]


def label_rows(
    groups: Any, caller: str, name: str = "groups"
) -> list[Any] | NDArray[Any]:
    """Return the labels of the rows, or say what shape they should have."""
    if isinstance(groups, (list, tuple)) and len(groups):
        # As it is: NumPy would turn a missing label among strings into "nan".
        return list(groups)
    rows = to_labels(groups)
    if rows.ndim != 1 or rows.size == 0:
        raise ValueError(
            f"The '{name}' of {caller} must have shape (n,) with n >= 1. Got shape "
            f"{rows.shape}; pass one label for each row."
        )
    return rows


def _compact_integers(
    rows: NDArray[Any],
) -> tuple[list[Any], NDArray[np.intp]] | None:
    """Return labels and codes of integers in a narrow range, by counting; else None."""
    if rows.dtype.kind not in "iu":
        return None
    low, high = int(rows.min()), int(rows.max())
    if high - low > 4 * rows.size or high > np.iinfo(np.intp).max:
        return None
    shifted = rows.astype(np.intp, copy=False) - low
    present = np.bincount(shifted) > 0
    place = np.cumsum(present) - 1
    return (np.flatnonzero(present) + low).tolist(), place[shifted]


def _as_list(rows: NDArray[Any]) -> list[Any]:
    if rows.dtype.kind in "mM":
        missing = np.isnat(rows)
        rows = rows.astype(object)
        rows[missing] = None
    return list(rows.tolist())


def _refuse_missing(
    labels: list[Any],
    codes: NDArray[np.intp],
    counted: NDArray[np.bool_] | None,
    caller: str,
    name: str,
) -> None:
    missing = np.array([_is_missing(label) for label in labels], dtype=bool)
    if not missing.any():
        return
    rows = missing[codes] if counted is None else missing[codes] & counted
    if rows.any():
        raise ValueError(
            f"The '{name}' of {caller} must hold a label in every row. Got missing "
            f"labels (None or NaN) in {rows.sum()} of {len(codes)} rows, the first at "
            f"row {np.argmax(rows)}; fill them, for example with a label of their own."
        )


def _is_missing(label: Any) -> bool:
    if label is None:
        return True
    try:
        return bool(label != label)
    except (TypeError, ValueError):  # pandas.NA has no truth value
        return type(label).__name__ == "NAType"
