"""Which labels a classifier is to know from its first step on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._groups import group_codes
from statlearn.utils._losses import positions

_CALLER = "ContinualLearner.partial_fit"


def known_classes(
    y: NDArray[Any], classes: Any, before: NDArray[Any] | None
) -> NDArray[Any]:
    """Return all classes (n_classes,), which those of a task are among.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels of the task.
    classes : array-like or None
        As they were given with it.
    before : ndarray of shape (n_classes,) or None
        Those of the first task; None if this is the first one.
    """
    given = None if classes is None else _read(classes)
    if before is None:
        before = np.unique(y if given is None else given)
    elif given is not None and set(before.tolist()) != set(given.tolist()):
        raise ValueError(
            f"The 'classes' of {_CALLER} must be those of the first task, "
            f"{before.tolist()}. Got {classes!r}; pass None, or begin anew with fit."
        )
    positions(before, y)  # refuses other labels
    return before


def _read(classes: Any) -> NDArray[Any]:
    """Return classes in the order given, or say how to list them."""
    try:
        group_codes(classes, _CALLER, name="classes")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The 'classes' of {_CALLER} must list the labels of all tasks, each by "
            f"itself and none of them missing. Got {classes!r}; pass for example "
            f"classes=np.unique(y) of all labels."
        ) from error
    return np.asarray(classes)
