"""Rows of earlier tasks that are kept for replay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TaskRows:
    """Rows of one or more tasks.

    Attributes
    ----------
    X : ndarray or CSR table of shape (n, n_features)
    y : ndarray of shape (n,)
    weight : ndarray of shape (n,) or None
        None is a weight of one for each row.
    task : ndarray of shape (n,)
        Number of the task that each row came with.
    """

    X: Any
    y: NDArray[Any]
    weight: Array | None
    task: NDArray[np.intp]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.y)

    def take(self, which: Any) -> TaskRows:
        """Return some of the rows."""
        weight = None if self.weight is None else self.weight[which]
        return TaskRows(self.X[which], self.y[which], weight, self.task[which])


def alike(first: TaskRows, second: TaskRows) -> tuple[TaskRows, TaskRows]:
    """Return both with weights, if one of them has weights."""
    if first.weight is None and second.weight is None:
        return first, second
    return _weighted(first), _weighted(second)


def _weighted(rows: TaskRows) -> TaskRows:
    if rows.weight is not None:
        return rows
    return replace(rows, weight=np.ones(len(rows)))


def joined(first: TaskRows, second: TaskRows) -> TaskRows:
    """Return the rows of both, which are alike, one after the other."""
    weight = None
    if first.weight is not None and second.weight is not None:
        weight = np.concatenate([first.weight, second.weight])
    return TaskRows(
        stacked(first.X, second.X),
        np.concatenate([first.y, second.y]),
        weight,
        np.concatenate([first.task, second.task]),
    )


def stacked(first: Any, second: Any) -> Any:
    """Return the rows of two tables, dense or sparse, in one."""
    if sparse.issparse(first) or sparse.issparse(second):
        return sparse.vstack([first, second], format="csr")
    return np.concatenate([first, second])


def reservoir(
    kept: TaskRows,
    new: TaskRows,
    n_seen: int,
    size: int,
    generator: np.random.Generator,
) -> TaskRows:
    """Return a simple random sample of all rows so far (Vitter's Algorithm R).

    Parameters
    ----------
    kept : TaskRows
        Such a sample of the rows before, all of them if they were no more than `size`.
        More of them are thinned out at random; of fewer, places stay empty until rows
        come for them, so that new rows are kept as often as if none were.
    new : TaskRows
    n_seen : int
        Number of rows before.
    size : int
        Number of rows to keep.
    generator : Generator

    Returns
    -------
    kept : TaskRows
    """
    if len(kept) > size:
        kept = kept.take(np.sort(generator.choice(len(kept), size, replace=False)))
    number = n_seen + np.arange(len(new))
    place = generator.integers(0, number + 1)
    place = np.where(number < size, number, place)
    entered = np.flatnonzero(place < size)
    slots = np.full(min(size, n_seen + len(new)), -1)
    slots[: len(kept)] = np.arange(len(kept))
    # Of rows that enter at one place the last one stays, as NumPy promises.
    slots[place[entered]] = len(kept) + entered
    slots = slots[slots >= 0]
    # Places of old rows mean nothing, so tasks can stay together.
    return joined(kept, new).take(np.sort(slots))


def check_buffer(buffer: str, buffer_size: int | None) -> None:
    """Raise unless the rows to keep have a size where they need one."""
    if buffer == "reservoir" and buffer_size is None:
        raise ValueError(
            "The 'buffer_size' of ContinualLearner must be given with "
            "buffer='reservoir'. Got None; pass the number of rows to keep."
        )
    if buffer == "all" and buffer_size is not None:
        raise ValueError(
            f"The 'buffer_size' of ContinualLearner must be None with buffer='all'. "
            f"Got {buffer_size}; pass buffer='reservoir' to keep so many rows."
        )
