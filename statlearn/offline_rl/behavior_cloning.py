"""A policy that imitates trajectories, the better ones more if they are weighted."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from statlearn.offline_rl._checks import check_dataset
from statlearn.offline_rl._learning import (
    WeightedRows,
    discrete_actions,
    draw_classes,
    feature_rows,
    fitted_classifier,
    weighted_rows,
)
from statlearn.offline_rl._weighting_base import TrajectoryWeighting
from statlearn.offline_rl.trajectory_dataset import TrajectoryDataset
from statlearn.utils._rng import as_generator
from statlearn.utils._sklearn import HasMethods, Interval, fit_context


def _has_probabilities(self: Any) -> bool:
    return is_classifier(self.policy) and hasattr(self.policy, "predict_proba")


class BehaviorCloning(BaseEstimator):
    r"""Imitate the actions of trajectories with any classifier or regressor.

    Without weights it learns what most of the data do; with a weighting of trajectories
    it learns what those with large returns do. A classifier imitates discrete actions,
    a regressor continuous ones.

    Parameters
    ----------
    policy : classifier or regressor
        Predicts the action from the observation. It is cloned. Discrete observations
        are one column of numbers; encode them in a pipeline.
    weighting : TrajectoryWeighting, default=None
        Weights of the trajectories, such as :class:`ReturnWeighting`; None weighs all
        transitions alike.
    stochastic : bool, default=True
        Whether :meth:`act` draws from the probabilities of a classifier. A classifier
        without probabilities, and a regressor, give their prediction.
    n_samples : int, default=None
        Number of transitions to draw with replacement, in proportion to their weights,
        instead of fitting all of them with weights. An estimator that takes no weights
        gets as many as there are transitions with a weight.
    random_state : int, Generator, RandomState or None, default=None
        Which transitions are drawn. The estimator has its own.

    Attributes
    ----------
    policy_ : estimator
        The fitted clone; a constant if all transitions with a weight have one action.
    weighting_ : TrajectoryWeighting or None
        The fitted clone of the weighting.
    classes_ : ndarray of shape (n_actions,)
        Actions that a classifier has seen.
    n_samples_ : int
        Number of transitions of the fit.

    See Also
    --------
    FittedQIteration : Chooses among imitated actions by their values.
    ReturnWeighting : Weights by returns.
    sklearn.linear_model.LogisticRegression : A classifier to start with.

    Notes
    -----
    The fit minimises :math:`\sum_i p_i \sum_t \ell(\pi(s_{i,t}), a_{i,t})` with the
    loss of the estimator and the transition probabilities p of the weighting.
    Transitions without weight are left out before the fit, so that they bring in no
    class. Weights are handed on with mean one over all transitions, so the penalty of
    the estimator counts as without weights. The cost is that of one fit.

    In stochastic dynamics a large return may be luck, and a weighted policy imitates
    the lucky: weights favour what can win, not what wins on average.

    Weights decide between rows that an estimator cannot tell apart. One that can tell
    all of them, such as a tree grown to single rows or the nearest neighbour, returns
    each recorded action and hardly heeds weights: limit its leaves, or choose a larger
    neighbourhood.

    References
    ----------
    Zhang-Wei Hong, Pulkit Agrawal, Rémi Tachet des Combes, Romain Laroche. Harnessing
    Mixed Offline Reinforcement Learning Datasets via Trajectory Weighting. ICLR, 2023.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from statlearn.offline_rl import BehaviorCloning, ReturnWeighting
    >>> from statlearn.offline_rl import TrajectoryDataset
    >>> dataset = TrajectoryDataset.from_arrays(
    ...     observations=[[0.0], [0.0], [0.0], [1.0]],
    ...     actions=[0, 0, 1, 1],
    ...     rewards=[0.0, 0.0, 1.0, 1.0],
    ...     terminals=[True, True, True, True],
    ... )
    >>> tree = DecisionTreeClassifier()
    >>> BehaviorCloning(tree).fit(dataset).predict([[0.0]])
    array([0])
    >>> weighted = BehaviorCloning(tree, weighting=ReturnWeighting()).fit(dataset)
    >>> weighted.predict([[0.0]])
    array([1])
    """

    __metadata_request__fit = {"dataset": UNUSED}
    __metadata_request__predict = {"observations": UNUSED}
    __metadata_request__predict_proba = {"observations": UNUSED}
    _parameter_constraints: dict[str, list[Any]] = {
        "policy": [HasMethods(["fit", "predict"])],
        "weighting": [TrajectoryWeighting, None],
        "stochastic": ["boolean"],
        "n_samples": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        policy: Any,
        *,
        weighting: TrajectoryWeighting | None = None,
        stochastic: bool = True,
        n_samples: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.policy = policy
        self.weighting = weighting
        self.stochastic = stochastic
        self.n_samples = n_samples
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, dataset: TrajectoryDataset) -> BehaviorCloning:
        """Fit the estimator to the actions of the trajectories.

        Parameters
        ----------
        dataset : TrajectoryDataset
            What to imitate.

        Returns
        -------
        self : BehaviorCloning
            The fitted policy.

        Raises
        ------
        TypeError
            If `dataset` is something else.
        ValueError
            For bad parameters, or a classifier and actions that are not discrete.
        """
        check_dataset(dataset, type(self).__name__)
        rows, self.weighting_ = weighted_rows(
            dataset,
            self.weighting,
            [self.policy],
            self.n_samples,
            as_generator(self.random_state),
        )
        X = feature_rows(dataset.observations, type(self).__name__)[rows.index]
        self.__dict__.pop("classes_", None)
        if is_classifier(self.policy):
            actions = discrete_actions(dataset, type(self).__name__)[rows.index]
            extra = rows.weights_for(self.policy)
            self.policy_ = fitted_classifier(self.policy, X, actions, extra)
            self.classes_ = np.unique(actions)
        else:
            self.policy_ = self._fitted_regressor(X, dataset.actions, rows)
        self.n_samples_ = len(rows.index)
        self._shape = dataset.observations.shape[1:]
        self._action_shape, self._dtype = (
            dataset.actions.shape[1:],
            dataset.actions.dtype,
        )
        return self

    def _fitted_regressor(
        self, X: NDArray[Any], actions: NDArray[Any], rows: WeightedRows
    ) -> Any:
        targets = actions[rows.index].reshape(len(X), -1)
        if targets.shape[1] == 1:
            targets = targets[:, 0]
        return clone(self.policy).fit(X, targets, **rows.weights_for(self.policy))

    def predict(self, observations: Any) -> NDArray[Any]:
        """Return the most probable action of a classifier, or what a regressor says.

        Parameters
        ----------
        observations : array-like of shape (n, ...)
            Observations as in the data set.

        Returns
        -------
        actions : ndarray of shape (n, ...)
            Actions of the dtype and shape in the data set.

        Raises
        ------
        ValueError
            If observations are of another shape.
        """
        X = self._rows(observations)
        found = np.asarray(self.policy_.predict(X))
        return found.reshape(len(X), *self._action_shape).astype(
            self._dtype, copy=False
        )

    @available_if(_has_probabilities)
    def predict_proba(self, observations: Any) -> NDArray[Any]:
        """Return the probabilities of discrete actions.

        Parameters
        ----------
        observations : array-like of shape (n, ...)
            Observations as in the data set.

        Returns
        -------
        probability : ndarray of shape (n, n_actions)
            Columns as in `classes_`.
        """
        X = self._rows(observations)
        return self.policy_.predict_proba(X)

    def act(self, observation: Any, rng: Any = None) -> Any:
        """Return an action for one observation.

        Parameters
        ----------
        observation : array-like of shape (...)
            One observation, without an axis of rows.
        rng : Generator, int or None, default=None
            Where draws of a stochastic policy come from.

        Returns
        -------
        action : numpy integer or ndarray
            What the environment takes: a number if actions are discrete, even if those
            of the data are in a column.
        """
        return self.act_batch(np.asarray(observation)[None], rng)[0]

    def act_batch(self, observations: Any, rng: Any = None) -> NDArray[Any]:
        """Return actions for several observations.

        Parameters
        ----------
        observations : array-like of shape (n, ...)
            Observations as in the data set.
        rng : Generator, int or None, default=None
            Where draws of a stochastic policy come from.

        Returns
        -------
        actions : ndarray of shape (n,) or (n, ...)
            What the environments take.
        """
        if not is_classifier(self.policy):
            return self.predict(observations)
        if not (self.stochastic and hasattr(self, "predict_proba")):
            return self.predict(observations).ravel()
        probability = self.predict_proba(observations)
        return draw_classes(probability, self.classes_, as_generator(rng))

    def _rows(self, observations: Any) -> NDArray[Any]:
        check_is_fitted(self)
        return feature_rows(observations, type(self).__name__, self._shape)
