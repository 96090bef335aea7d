"""Probabilities that policies give to actions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.offline_rl._learning import discrete_actions
from statlearn.offline_rl.trajectory_dataset import TrajectoryDataset
from statlearn.utils._validation import weight_problem

Array = NDArray[np.float64]

_CALLER = "estimate_value"
_ROUNDING = 1e-6


def action_probabilities(
    policy: Any, observations: NDArray[Any], name: str
) -> tuple[Array, NDArray[Any]]:
    """Return probabilities (m, n_actions) and the actions (n_actions,) of columns.

    Parameters
    ----------
    policy : object with ``predict_proba`` and ``classes_``, or callable
        A callable returns probabilities of the actions 0, 1, 2...
    observations : (m, ...) array
    name : str
        Of the parameter, for messages.
    """
    if hasattr(policy, "predict_proba"):
        table = policy.predict_proba(observations)
    elif callable(policy):
        table = policy(observations)
    else:
        raise TypeError(
            f"The '{name}' of {_CALLER} must have predict_proba(observations), be a "
            f"function that returns such probabilities, or an array with one for each "
            f"transition. Got {type(policy).__name__}; pass a BehaviorCloning, say."
        )
    probability = np.asarray(table, dtype=np.float64)
    right = probability.ndim == 2 and len(probability) == len(observations)
    right = right and bool(np.all(probability >= 0.0))
    if not right or np.abs(probability.sum(axis=1) - 1.0).max() > _ROUNDING:
        raise ValueError(
            f"The '{name}' of {_CALLER} must give each of {len(observations)} "
            f"observations probabilities that add up to one. Got an array of shape "
            f"{probability.shape}; return a row for each observation."
        )
    classes = getattr(policy, "classes_", np.arange(probability.shape[1]))
    return probability, np.asarray(classes)


def taken_probabilities(policy: Any, dataset: TrajectoryDataset, name: str) -> Array:
    """Return the probability (n,) that a policy gives to each recorded action.

    Parameters
    ----------
    policy : as in :func:`action_probabilities`, or array of shape (n,)
        An array holds the probabilities, or densities, themselves.
    dataset : TrajectoryDataset
    name : str
        Of the parameter, for messages.
    """
    n = dataset.n_transitions
    if isinstance(policy, (np.ndarray, list, tuple)):
        given = np.asarray(policy, dtype=np.float64)
        problem = weight_problem(given, (n,))
        if problem not in (None, "zeros only"):  # which is told of later
            raise ValueError(
                f"The '{name}' of {_CALLER}, as an array, must hold a number >= 0 for "
                f"each of {n} transitions. Got {problem}; pass the probability of each "
                f"recorded action."
            )
        return given
    probability, classes = action_probabilities(policy, dataset.observations, name)
    codes = positions_of(discrete_actions(dataset, _CALLER), classes)
    found = probability[np.arange(n), np.maximum(codes, 0)]
    return np.where(codes >= 0, found, 0.0)


def positions_of(actions: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.intp]:
    """Return the position (n,) of each action among classes, -1 where it is none."""
    order = np.argsort(classes)
    place = np.searchsorted(classes, actions, sorter=order)
    code = order[np.minimum(place, len(classes) - 1)]
    return np.where(classes[code] == actions, code, -1)
