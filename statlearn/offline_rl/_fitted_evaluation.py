"""Values of a given policy, by sweeps of a regressor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import ExtraTreesRegressor

from statlearn.offline_rl._action_values import (
    action_values,
    iterate_values,
    transitions_of,
)
from statlearn.offline_rl._learning import (
    WeightedRows,
    discrete_actions,
    feature_rows,
    is_numbered,
    reached_observations,
)
from statlearn.offline_rl._policies import action_probabilities, positions_of
from statlearn.offline_rl.trajectory_dataset import TrajectoryDataset

Array = NDArray[np.float64]

_CALLER = "estimate_value"


class StateMeans(RegressorMixin, BaseEstimator):
    """The mean target of each state; of a state without rows the mean of all.

    With it, fitted evaluation of a process with few states is that of the process as
    it was counted.

    Attributes
    ----------
    states_ : ndarray of shape (n_states,)
        States with rows, sorted.
    means_ : ndarray of shape (n_states + 1,)
        Their means, and that of all rows.

    References
    ----------
    Hoang Le, Cameron Voloshin, Yisong Yue. Batch Policy Learning under Constraints.
    ICML, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.offline_rl._fitted_evaluation import StateMeans
    >>> model = StateMeans().fit(np.array([[4], [4], [7]]), np.array([1.0, 3.0, 5.0]))
    >>> model.predict(np.array([[4], [7], [9]]))
    array([2., 5., 3.])
    """

    def fit(self, X: NDArray[Any], y: Array) -> StateMeans:
        """Store the means of rows X (m, 1) with targets y (m,)."""
        self.states_, codes = np.unique(X[:, 0], return_inverse=True)
        self.means_ = np.append(
            np.bincount(codes, weights=y) / np.bincount(codes), y.mean()
        )
        return self

    def predict(self, X: NDArray[Any]) -> Array:
        """Return the means (m,) of the states of rows X (m, 1)."""
        return self.means_[positions_of(X[:, 0], self.states_)]


def default_regressor(observations: NDArray[Any], seed: int) -> Any:
    """Return an unfitted regressor of values at observations (n, ...)."""
    if is_numbered(observations):
        return StateMeans()
    return ExtraTreesRegressor(25, min_samples_leaf=5, random_state=seed)


@dataclass(frozen=True, slots=True)
class FittedValues:
    """Regressors of the value of each action under a policy.

    Attributes
    ----------
    models : list of regressor
        One for each action of the data.
    classes : ndarray of shape (n_actions,)
        Actions of the data.
    policy : object
        The policy.
    """

    models: list[Any]
    classes: NDArray[Any]
    policy: Any

    def of_states(self, observations: NDArray[Any]) -> Array:
        """Return the value (m,) of the policy at observations (m, ...)."""
        values = action_values(self.models, feature_rows(observations, _CALLER))
        shares = shares_of(self.policy, observations, self.classes)
        return np.einsum("ij,ij->i", shares, values)

    def of_actions(self, dataset: TrajectoryDataset) -> Array:
        """Return the value (n,) of each recorded action."""
        values = action_values(self.models, feature_rows(dataset.observations, _CALLER))
        actions = discrete_actions(dataset, _CALLER)
        return values[np.arange(len(values)), np.searchsorted(self.classes, actions)]


def shares_of(policy: Any, observations: NDArray[Any], classes: NDArray[Any]) -> Array:
    """Return probabilities (m, n_actions) of the actions in the data."""
    probability, columns = action_probabilities(policy, observations, "policy")
    matches = columns[:, None] == classes[None, :]
    unknown = probability[:, ~matches.any(axis=1)]
    if unknown.size and unknown.max() > 0.0:
        missing = columns[~matches.any(axis=1)]
        raise ValueError(
            f"Fitted-Q evaluation by {_CALLER} expected a policy of actions that the "
            f"data take. Got one that also takes {missing.tolist()}; nothing tells the "
            f"values of these."
        )
    return probability @ matches


def fit_values(
    dataset: TrajectoryDataset,
    policy: Any,
    regressor: Any,
    *,
    gamma: float,
    n_iter: int,
) -> FittedValues:
    """Return the values of a policy after `n_iter` sweeps.

    Parameters
    ----------
    dataset : TrajectoryDataset
        With discrete actions.
    policy : as in :func:`~statlearn.offline_rl._policies.action_probabilities`
    regressor : regressor
        Cloned for each action and sweep.
    gamma : float
    n_iter : int
    """
    actions = discrete_actions(dataset, _CALLER)
    classes, codes = np.unique(actions, return_inverse=True)
    index = np.arange(dataset.n_transitions)
    shares = shares_of(policy, reached_observations(dataset, index), classes)
    models = iterate_values(
        regressor,
        transitions_of(dataset, codes, index, _CALLER),
        WeightedRows(index, None),
        lambda values: np.einsum("ij,ij->i", shares, values),
        gamma=gamma,
        n_iter=n_iter,
    )
    return FittedValues(models, classes, policy)
