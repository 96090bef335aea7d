"""Weighted counts of states and actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.offline_rl._checks import check_dataset
from statlearn.offline_rl._learning import (
    discrete_actions,
    weighted_rows,
)
from statlearn.offline_rl._weighting_base import TrajectoryWeighting
from statlearn.offline_rl.trajectory_dataset import TrajectoryDataset
from statlearn.utils._rng import as_generator

Array = NDArray[np.float64]

_ROUNDING = 1e-8


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of states and actions with weights, of S states and A actions.

    Attributes
    ----------
    index : ndarray of shape (m,)
        Rows of the data set.
    weight : ndarray of shape (m,)
        Their weights, positive.
    state, action, following : ndarray of shape (m,)
        Numbers of the state, the action, and the state afterwards.
    goes_on : ndarray of bool, shape (m,)
        Whether the episode did not end by itself there.
    shape : (int, int)
        S and A.
    """

    index: NDArray[np.int64]
    weight: Array
    state: NDArray[np.intp]
    action: NDArray[np.intp]
    following: NDArray[np.intp]
    goes_on: NDArray[np.bool_]
    shape: tuple[int, int]

    @classmethod
    def of(
        cls,
        dataset: TrajectoryDataset,
        weighting: TrajectoryWeighting | None,
        n_states: int | None,
        n_actions: int | None,
    ) -> Counts:
        check_dataset(dataset, "TabularMDP")
        goes_on = ~dataset.terminations
        action = numbers_of(
            discrete_actions(dataset, "TabularMDP"), n_actions, "actions"
        )
        state = numbers_of(dataset.observations, n_states, "observations")
        following = dataset.next_observations
        # After a termination there may be anything that is no state.
        unused = ~(goes_on | are_numbers(following, n_states))
        if unused.any():
            following = following.copy()
            following[unused] = dataset.observations[unused]
        following = numbers_of(following, n_states, "next_observations")
        shape = (
            n_states or int(max(state.max(), following.max())) + 1,
            n_actions or int(action.max()) + 1,
        )
        rows, _ = weighted_rows(dataset, weighting, [], None, as_generator(0))
        index = rows.index
        weight = np.ones(len(index)) if rows.weight is None else rows.weight
        return cls(
            index,
            weight,
            state[index],
            action[index],
            following[index],
            goes_on[index],
            shape,
        )

    def by_action(self, values: Any = 1.0) -> Array:
        """Return sums (S, A) of weighted values (m,)."""
        table = np.zeros(self.shape)
        np.add.at(table, (self.state, self.action), self.weight * values)
        return table

    def moves(self) -> Array:
        """Return weights (S, A, S) of transitions that do not end the episode."""
        table = np.zeros((*self.shape, self.shape[0]))
        place = (self.state, self.action, self.following)
        np.add.at(table, place, self.weight * self.goes_on)
        return table

    def first_states(self, dataset: TrajectoryDataset) -> Array:
        """Return shares (S,) of first states, not weighted: a policy cannot choose."""
        first = dataset.initial_observations.reshape(-1).astype(np.intp)
        return np.bincount(first, minlength=self.shape[0]) / len(first)


def are_numbers(values: NDArray[Any], n: int | None) -> NDArray[np.bool_]:
    """Tell which rows (m, ...) are integers from 0 to n - 1, each in one column."""
    if np.prod(values.shape[1:]) != 1 or values.dtype.kind not in "fiub":
        return np.zeros(len(values), bool)
    column = values.reshape(-1)
    right = np.isfinite(column) & (column == np.floor(column)) & (column >= 0)
    return right if n is None else right & (column < n)


def numbers_of(values: NDArray[Any], n: int | None, name: str) -> NDArray[np.intp]:
    """Return numbers (m,) from 0 to n - 1, or say which ones are not."""
    if not are_numbers(values, n).all():
        raise ValueError(
            f"A table of states and actions expected {name} that are integers from 0 "
            f"to {'n' if n is None else n} - 1, one for each transition. Got "
            f"{values.dtype} of shape {values.shape} from {values.min()} to "
            f"{values.max()}; number them, or use BehaviorCloning."
        )
    return values.reshape(-1).astype(np.intp)


def distributions(
    values: Any, name: str, ndim: int, caller: str, *, whole: bool = True
) -> Array:
    """Return probabilities along the last axis, or say what is wrong with them.

    Parameters
    ----------
    values : array-like of `ndim` axes
    name, caller : str
        For messages.
    whole : bool, default=True
        Whether they must add up to one, not just to at most one.
    """
    table = np.asarray(values, dtype=np.float64)
    right = table.ndim == ndim and table.size > 0 and bool(np.all(table >= 0.0))
    if right:
        total = table.sum(axis=-1)
        right = bool(np.all(total <= 1.0 + _ROUNDING))
        right = right and not (whole and np.any(total < 1.0 - _ROUNDING))
    if not right:
        raise ValueError(
            f"The '{name}' of {caller} must be probabilities in {ndim} axes that add "
            f"up to {'' if whole else 'at most '}one along the last. Got shape "
            f"{table.shape}; divide them by their sums."
        )
    return table
