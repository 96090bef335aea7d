"""One trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One trajectory of a data set.

    Attributes
    ----------
    observations : ndarray of shape (T, ...)
        What was seen before each action.
    actions : ndarray of shape (T, ...)
        What was done.
    rewards : ndarray of shape (T,)
        What it gave.
    next_observations : ndarray of shape (T, ...)
        What was seen afterwards.
    terminations : ndarray of bool, shape (T,)
        Whether the episode ended by itself.
    truncations : ndarray of bool, shape (T,)
        Whether its record was cut off.
    tail_reward : float
        Reward after the last transition that has none itself.
    """

    observations: NDArray[Any]
    actions: NDArray[Any]
    rewards: NDArray[Any]
    next_observations: NDArray[Any]
    terminations: NDArray[np.bool_]
    truncations: NDArray[np.bool_]
    tail_reward: float

    def __len__(self) -> int:
        return len(self.rewards)
