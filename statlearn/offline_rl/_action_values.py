"""Values of discrete actions, fitted again and again to what they promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from statlearn.offline_rl._learning import (
    WeightedRows,
    feature_rows,
    reached_observations,
)
from statlearn.offline_rl.trajectory_dataset import TrajectoryDataset

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Transitions:
    """Transitions as arrays for regressors.

    Attributes
    ----------
    X, next_X : ndarray of shape (m, d)
        Features before and after the action.
    codes : ndarray of shape (m,)
        Positions of the actions among all.
    rewards : ndarray of shape (m,)
        Rewards in float64.
    goes_on : ndarray of shape (m,)
        0 after a termination, else 1: what was cut off would have gone on.
    """

    X: NDArray[Any]
    next_X: NDArray[Any]
    codes: NDArray[np.intp]
    rewards: Array
    goes_on: Array


def transitions_of(
    dataset: TrajectoryDataset,
    codes: NDArray[np.intp],
    index: NDArray[np.int64],
    caller: str,
) -> Transitions:
    """Return the rows `index` (m,) of a data set whose actions have `codes` (n,)."""
    return Transitions(
        feature_rows(dataset.observations, caller)[index],
        feature_rows(reached_observations(dataset, index), caller),
        codes[index],
        dataset.rewards[index].astype(np.float64),
        (~dataset.terminations[index]).astype(np.float64),
    )


def action_values(models: list[Any], X: NDArray[Any]) -> Array:
    """Return the value (m, n_actions) of each action at features X (m, d)."""
    return np.column_stack([model.predict(X) for model in models])


def iterate_values(
    regressor: Any,
    data: Transitions,
    rows: WeightedRows,
    backup: Callable[[Array], Array],
    *,
    gamma: float,
    n_iter: int,
) -> list[Any]:
    """Return a regressor for each action after `n_iter` sweeps.

    Parameters
    ----------
    regressor : regressor
        Cloned for each action and sweep.
    data : Transitions
        Of m rows.
    rows : WeightedRows
        Their weights.
    backup : callable
        From the values (m, n_actions) of all actions afterwards to the value (m,) of
        being there.
    gamma : float
    n_iter : int
    """
    groups = [np.flatnonzero(data.codes == a) for a in range(data.codes.max() + 1)]
    future = np.zeros(len(data.rewards))
    for _ in range(n_iter):
        target = data.rewards + gamma * data.goes_on * future
        models = [
            clone(regressor).fit(
                data.X[which], target[which], **rows.weights_for(regressor, which)
            )
            for which in groups
        ]
        future = backup(action_values(models, data.next_X))
    return models
