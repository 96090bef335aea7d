"""Observations of composite spaces as rows of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._optional import require


def is_composite(space: Any) -> bool:
    """Tell a space of named or numbered parts from one of plain arrays."""
    spaces = require("gymnasium.spaces", None, "TrajectoryDataset")
    return isinstance(space, (spaces.Dict, spaces.Tuple))


def plain_rows(space: Any, values: Any, caller: str) -> NDArray[Any]:
    """Return values of many steps as an array, flattened if the space has parts."""
    return (
        flat_rows(space, values, caller) if is_composite(space) else np.asarray(values)
    )


def flat_rows(space: Any, values: Any, caller: str) -> NDArray[Any]:
    """Flatten the values of many steps as ``gymnasium.spaces.flatten`` does each one.

    Parameters
    ----------
    space : gymnasium.Space
    values : array, or dict or tuple of arrays, each with a row for each step
    caller : str
        For messages.

    Returns
    -------
    rows : ndarray of shape (n, n_numbers)
    """
    spaces = require("gymnasium.spaces", None, "TrajectoryDataset")
    if isinstance(space, spaces.Dict):
        parts = [(part, values[name]) for name, part in space.spaces.items()]
    elif isinstance(space, spaces.Tuple):
        parts = list(zip(space.spaces, values, strict=True))
    elif isinstance(space, (spaces.Box, spaces.MultiBinary)):
        rows = np.asarray(values, dtype=space.dtype)
        return rows.reshape(len(rows), -1)
    elif isinstance(space, spaces.Discrete):
        return _one_hot(np.asarray(values) - space.start, int(space.n), space.dtype)
    elif isinstance(space, spaces.MultiDiscrete):
        codes = (np.asarray(values) - space.start).reshape(len(values), -1)
        sizes = space.nvec.ravel()
        blocks = zip(codes.T, sizes, strict=True)
        return np.hstack([_one_hot(c, int(size), space.dtype) for c, size in blocks])
    else:
        raise ValueError(
            f"{caller} expected observations and actions whose parts are Box, Discrete,"
            f" MultiDiscrete or MultiBinary. Got {type(space).__name__}; turn them into"
            f" arrays and pass these to TrajectoryDataset.from_episodes."
        )
    return np.hstack([flat_rows(part, found, caller) for part, found in parts])


def _one_hot(codes: NDArray[Any], size: int, dtype: Any) -> NDArray[Any]:
    rows = np.zeros((len(codes), size), dtype)
    rows[np.arange(len(codes)), codes] = 1
    return rows
