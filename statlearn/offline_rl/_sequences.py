"""Pieces of trajectories, filled up where a trajectory ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from statlearn.offline_rl._transition_rows import Batch, Rows

Integers = NDArray[np.int64]


def sequences(source: Rows, starts: Integers, ends: Integers, length: int) -> Batch:
    """Return the fields of transitions that follow each other, and a mask.

    Parameters
    ----------
    source : Rows
    starts : (m,) integers
        First transition of each piece.
    ends : (m,) integers
        Transition after the last one of its trajectory.
    length : int
        Transitions of a piece.

    Returns
    -------
    batch : dict of arrays of shape (m, length, ...)
        With zeros after the end of the trajectory, where `mask` is False.
    """
    rows = starts[:, np.newaxis] + np.arange(length)
    last = ends[:, np.newaxis] - 1
    mask = rows <= last
    np.minimum(rows, last, out=rows)
    batch = source.take(rows, None if mask.all() else mask)
    batch["mask"] = mask
    return batch
