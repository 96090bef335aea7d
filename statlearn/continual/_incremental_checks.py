"""What labels and budgets must be like when classes come one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from statlearn.utils._arrays import to_labels
from statlearn.utils._groups import group_codes


def budget(size: int, n_classes: int, caller: str, name: str = "size") -> int:
    """Return how many rows each class may keep, at least one unless none are kept."""
    room = size // max(n_classes, 1)
    if size and not room:
        raise ValueError(
            f"The '{name}' of {caller} must be at least the number of classes, "
            f"{n_classes}, or 0. Got {size}; allow one row for each class, 20 if you "
            f"can."
        )
    return room


def require_list(labels: Any, name: str, caller: str) -> None:
    """Refuse a single label, a table of labels, and no labels at all."""
    values = to_labels(labels)
    if values.ndim != 1 or not values.size:
        raise ValueError(
            f"The '{name}' of {caller} must be a list of labels, one at least. Got "
            f"{labels!r}; put the labels into a list, also if it is one."
        )


def require_same_labels(old: NDArray[Any], new: NDArray[Any], caller: str) -> None:
    """Refuse words after numbers and the reverse, which NumPy would make alike."""
    words = [kind in "OSTU" for kind in (old.dtype.kind, new.dtype.kind)]
    if words[0] != words[1]:
        raise ValueError(
            f"The 'y' of {caller} must hold labels like those before, such as "
            f"{old[:1].tolist()}. Got {new[:1].tolist()}; use words or numbers for all "
            f"classes."
        )


def require_known(y: Any, known: list[Any], name: str, caller: str) -> NDArray[np.intp]:
    """Return the positions of labels y (n,) among those known, or name the others."""
    labels, codes = group_codes(y, caller, name="y")
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise ValueError(
            f"The 'y' of {caller} must hold labels among {name}, {known}. Got also "
            f"{unknown}; leave out their rows, or add them to {name}."
        )
    return np.array([known.index(label) for label in labels])[codes]


def require_moderate(values: Any, name: str, caller: str) -> None:
    """Refuse numbers of a table (n, d), maybe with NaN, whose squares may overflow."""
    numbers = values.data if sparse.issparse(values) else values
    # Half precision is not computed in; a share of the root leaves room for sums.
    kind = np.finfo(np.result_type(numbers.dtype, np.float32))
    limit = 1e-4 * float(kind.max) ** 0.5
    if not numbers.size:
        return
    most, least = (find.reduce(numbers, axis=None) for find in (np.fmax, np.fmin))
    largest = max(float(most), -float(least))
    if largest > limit:
        raise ValueError(
            f"The numbers of {name} of {caller} must be at most {limit:.0e} in size, "
            f"so that their squares can be summed. Got {largest:g}; divide the columns "
            f"by their largest sizes, as sklearn.preprocessing.MaxAbsScaler does."
        )
