"""Rows of earlier tasks that are kept for replay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
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

    def take(self, which: Any) -> Rows:
        """Return some of the rows."""
        weight = None if self.weight is None else self.weight[which]
        return Rows(self.X[which], self.y[which], weight, self.task[which])


def alike(first: Rows, second: Rows) -> tuple[Rows, Rows]:
    """Return both with weights, if one of them has weights."""
    if first.weight is None and second.weight is None:
        return first, second
    return _weighted(first), _weighted(second)


def _weighted(rows: Rows) -> Rows:
    if rows.weight is not None:
        return rows
    return replace(rows, weight=np.ones(len(rows)))


def joined(first: Rows, second: Rows) -> Rows:
    """Return the rows of both, which are alike, one after the other."""
    weight = None
    if first.weight is not None and second.weight is not None:
        weight = np.concatenate([first.weight, second.weight])
    return Rows(
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
    kept: Rows,
    new: Rows,
    n_seen: int,
    size: int,
    generator: np.random.Generator,
) -> Rows:
    """Return a simple random sample of all rows so far (Vitter's Algorithm R).

    Parameters
    ----------
    kept : Rows
        Such a sample of the rows before, all of them if they were no more than `size`.
    new : Rows
    n_seen : int
        Number of rows before.
    size : int
        Number of rows to keep.
    generator : Generator

    Returns
    -------
    kept : Rows
    """
    number = n_seen + np.arange(len(new))
    place = generator.integers(0, number + 1)
    place = np.where(number < size, number, place)
    entered = np.flatnonzero(place < size)
    slots = np.full(min(size, n_seen + len(new)), -1)
    slots[: len(kept)] = np.arange(len(kept))
    # Of rows that enter at one place the last one stays, as NumPy promises.
    slots[place[entered]] = len(kept) + entered
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
