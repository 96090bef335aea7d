"""A policy as a table of states and actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.offline_rl._counting import Counts, distributions, numbers_of
from statlearn.offline_rl._learning import draw_classes
from statlearn.offline_rl._weighting_base import TrajectoryWeighting
from statlearn.offline_rl.trajectory_dataset import TrajectoryDataset
from statlearn.utils._rng import as_generator

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TabularPolicy:
    """A policy for observations that are numbers of states.

    Attributes
    ----------
    probability : ndarray of shape (n_states, n_actions)
        Probability of each action in each state; rows add up to one.

    See Also
    --------
    TabularMDP : Its exact value.
    BehaviorCloning : A policy for other observations.

    Examples
    --------
    >>> from statlearn.offline_rl import TabularPolicy
    >>> policy = TabularPolicy([[1.0, 0.0], [0.5, 0.5]])
    >>> policy.predict_proba([1, 0])
    array([[0.5, 0.5],
           [1. , 0. ]])
    """

    probability: Array

    def __post_init__(self) -> None:
        table = distributions(self.probability, "probability", 2, "TabularPolicy")
        object.__setattr__(self, "probability", table)

    @classmethod
    def from_dataset(
        cls,
        dataset: TrajectoryDataset,
        *,
        weighting: TrajectoryWeighting | None = None,
        n_states: int | None = None,
        n_actions: int | None = None,
    ) -> TabularPolicy:
        """Imitate trajectories by counting.

        Parameters
        ----------
        dataset : TrajectoryDataset
            With numbers of states and actions, from 0.
        weighting : TrajectoryWeighting, default=None
            Weights of the trajectories.
        n_states, n_actions : int, default=None
            How many there are; by default one more than the largest in the data.

        Returns
        -------
        policy : TabularPolicy
            Shares of actions in the weight of each state; all alike where there is no
            weight.

        Raises
        ------
        TypeError
            If `dataset` is something else.
        ValueError
            If states or actions are no such numbers.
        """
        counts = Counts.of(dataset, weighting, n_states, n_actions)
        taken = counts.by_action()
        total = taken.sum(axis=1, keepdims=True)
        uniform = np.full_like(taken, 1.0 / taken.shape[1])
        return cls(np.divide(taken, total, out=uniform, where=total > 0.0))

    @property
    def classes_(self) -> NDArray[np.intp]:
        """Numbers of the actions.

        Returns
        -------
        classes : ndarray of shape (n_actions,)
            From 0.
        """
        return np.arange(self.probability.shape[1])

    def predict_proba(self, observations: Any) -> Array:
        """Return the probabilities of actions.

        Parameters
        ----------
        observations : array-like of int, shape (n,) or (n, 1)
            States.

        Returns
        -------
        probability : ndarray of shape (n, n_actions)
            A row for each state.

        Raises
        ------
        ValueError
            If some are no numbers of states, from 0 to one less than there are.
        """
        values = np.asarray(observations)
        states = numbers_of(values, len(self.probability), "observations")
        return self.probability[states]

    def predict(self, observations: Any) -> NDArray[np.intp]:
        """Return the most probable action.

        Parameters
        ----------
        observations : array-like of int, shape (n,) or (n, 1)
            States.

        Returns
        -------
        actions : ndarray of shape (n,)
            Of equally probable ones the first.
        """
        return np.argmax(self.predict_proba(observations), axis=1)

    def act(self, observation: Any, rng: Any = None) -> Any:
        """Draw an action.

        Parameters
        ----------
        observation : int
            A state.
        rng : Generator, int or None, default=None
            Where the draw comes from.

        Returns
        -------
        action : numpy integer
            What the environment takes.
        """
        return self.act_batch([observation], rng)[0]

    def act_batch(self, observations: Any, rng: Any = None) -> NDArray[Any]:
        """Draw actions in several states.

        Parameters
        ----------
        observations : array-like of int, shape (n,) or (n, 1)
            States.
        rng : Generator, int or None, default=None
            Where the draws come from.

        Returns
        -------
        actions : ndarray of shape (n,)
            What the environments take.
        """
        probability = self.predict_proba(observations)
        return draw_classes(probability, self.classes_, as_generator(rng))
