"""A policy by the values of actions, among those that the data take."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from statlearn.offline_rl._action_values import (
    action_values,
    iterate_values,
    transitions_of,
)
from statlearn.offline_rl._checks import check_dataset
from statlearn.offline_rl._learning import (
    default_behavior,
    discrete_actions,
    feature_rows,
    fitted_classifier,
    weighted_rows,
)
from statlearn.offline_rl._weighting_base import SHARE, TrajectoryWeighting
from statlearn.offline_rl.trajectory_dataset import TrajectoryDataset
from statlearn.utils._rng import as_generator
from statlearn.utils._sklearn import HasMethods, Interval, fit_context

Array = NDArray[np.float64]


class FittedQIteration(BaseEstimator):
    r"""Learn values of discrete actions, and take the best of those that the data take.

    Sweeps of any regressor estimate what each action is worth. The policy takes the
    action of the largest value among those that the data take often enough where it is.
    Weights on trajectories belong with this constraint: they take rare actions out of
    the data, and without the constraint values of actions that are not there decide.

    Parameters
    ----------
    regressor : regressor
        Predicts the value of an action from the observation; one is fitted for each
        action.
    policy_constraint : float, default=0.5
        An action is allowed if its estimated probability in the data is at least this
        share of the largest one. 0 allows all, 1 imitates the data.
    gamma : float, default=0.99
        Discount from 0 to 1.
    n_iter : int, default=50
        Number of sweeps, so many steps ahead a value looks.
    behavior : classifier or policy, default=None
        Says how probable actions are in the data. A classifier is cloned and fitted to
        the rows that values are fitted to; by default it is a logistic regression on
        scaled observations, or on indicators if each observation is one integer. Pass a
        flexible one for policies that are not nearly linear. A policy is used as it is,
        such as a :class:`TabularPolicy` or a fitted :class:`BehaviorCloning`; an
        unfitted one is cloned and fitted with a weighting of its own. A clone of this
        estimator fits it anew, unless it is in a FrozenEstimator.
    weighting : TrajectoryWeighting, default=None
        Weights of the trajectories, for values, and for a classifier of the behaviour.
    n_samples : int, default=None
        Number of transitions to draw with replacement, in proportion to their weights,
        instead of fitting all of them with weights. If an estimator takes no weights,
        as many are drawn as there are transitions with a weight.
    random_state : int, Generator, RandomState or None, default=None
        Which transitions are drawn.

    Attributes
    ----------
    regressors_ : list of regressor
        One for each action.
    behavior_ : classifier or policy
        Says how probable actions are.
    weighting_ : TrajectoryWeighting or None
        The fitted clone of the weighting.
    classes_ : ndarray of shape (n_actions,)
        Actions that the data take.
    n_iter_ : int
        Number of sweeps.
    n_samples_ : int
        Number of transitions of the fit.

    See Also
    --------
    BehaviorCloning : Imitates without values.
    estimate_value : What a policy is worth, from data alone.
    sklearn.ensemble.ExtraTreesRegressor : A regressor to start with.

    Notes
    -----
    A sweep fits

    .. math:: Q_{k+1}(s, a) \approx r + \gamma (1 - d)
              \max_{a' \in A(s')} Q_k(s', a'), \qquad
              A(s) = \{a : \pi_b(a|s) \ge \tau \max_{a'} \pi_b(a'|s)\},

    where d tells terminations; after a truncation there is a future. It costs one fit
    and one prediction of all rows for each action. The reward that follows a last
    transition without one of its own is not used.

    Weights of trajectories depend on outcomes. In stochastic dynamics, weighted data
    show lucky outcomes too often: the values of a weighted fit are optimistic, and
    their best action can be the worse one. Weighted data also hide failure, so that all
    actions seem alike. Weights are of use for what is likely, plain data for what it is
    worth: ``behavior=BehaviorCloning(classifier, weighting=ReturnWeighting())``.

    References
    ----------
    Damien Ernst, Pierre Geurts, Louis Wehenkel. Tree-Based Batch Mode Reinforcement
    Learning. Journal of Machine Learning Research, 2005.

    Scott Fujimoto, David Meger, Doina Precup. Off-Policy Deep Reinforcement Learning
    without Exploration. ICML, 2019.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from statlearn.offline_rl import FittedQIteration, TrajectoryDataset
    >>> dataset = TrajectoryDataset.from_arrays(
    ...     observations=[[0.0], [1.0], [0.0], [1.0]],
    ...     actions=[0, 1, 1, 0],
    ...     rewards=[0.0, 1.0, 0.5, 0.0],
    ...     terminals=[False, True, True, True],
    ... )
    >>> model = FittedQIteration(DecisionTreeRegressor(), gamma=0.9, random_state=0)
    >>> model.fit(dataset).action_values([[0.0], [1.0]])
    array([[0.9, 0.5],
           [0. , 1. ]])
    >>> model.predict([[0.0], [1.0]])
    array([0, 1])
    """

    __metadata_request__fit = {"dataset": UNUSED}
    __metadata_request__predict = {"observations": UNUSED}
    __metadata_request__predict_proba = {"observations": UNUSED}
    _parameter_constraints: dict[str, list[Any]] = {
        "regressor": [HasMethods(["fit", "predict"])],
        "policy_constraint": [SHARE],
        "gamma": [Interval(Real, 0, 1, closed="both")],
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "behavior": [HasMethods(["predict_proba"]), None],
        "weighting": [TrajectoryWeighting, None],
        "n_samples": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        regressor: Any,
        *,
        policy_constraint: float = 0.5,
        gamma: float = 0.99,
        n_iter: int = 50,
        behavior: Any = None,
        weighting: TrajectoryWeighting | None = None,
        n_samples: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.regressor = regressor
        self.policy_constraint = policy_constraint
        self.gamma = gamma
        self.n_iter = n_iter
        self.behavior = behavior
        self.weighting = weighting
        self.n_samples = n_samples
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, dataset: TrajectoryDataset) -> FittedQIteration:
        """Learn the values of actions.

        Parameters
        ----------
        dataset : TrajectoryDataset
            With discrete actions.

        Returns
        -------
        self : FittedQIteration
            The fitted policy.

        Raises
        ------
        TypeError
            If `dataset` is something else.
        ValueError
            For bad parameters, or actions that are not discrete.
        """
        caller = type(self).__name__
        check_dataset(dataset, caller)
        actions = discrete_actions(dataset, caller)
        generator = as_generator(self.random_state)
        behavior = self.behavior
        if behavior is None:
            behavior = default_behavior(dataset.observations)
        policy = _as_policy(behavior, dataset)
        learners = [self.regressor] + ([behavior] if policy is None else [])
        rows, self.weighting_ = weighted_rows(
            dataset, self.weighting, learners, self.n_samples, generator
        )
        # Actions without a row of positive weight do not exist for the policy.
        self.classes_ = np.unique(actions[rows.index])
        codes = np.searchsorted(self.classes_, actions)
        data = transitions_of(dataset, codes, rows.index, caller)
        if policy is None:
            extra = rows.weights_for(behavior)
            policy = fitted_classifier(behavior, data.X, actions[rows.index], extra)
        self.behavior_ = policy
        allowed = self._allowed(data.next_X)
        self.regressors_ = iterate_values(
            self.regressor,
            data,
            rows,
            lambda values: np.where(allowed, values, -np.inf).max(axis=1),
            gamma=float(self.gamma),
            n_iter=self.n_iter,
        )
        self.n_iter_, self.n_samples_ = self.n_iter, len(rows.index)
        self._shape = dataset.observations.shape[1:]
        self._action_shape = dataset.actions.shape[1:]
        return self

    def action_values(self, observations: Any) -> Array:
        """Return the value of each action, whether or not it is allowed.

        Parameters
        ----------
        observations : array-like of shape (n, ...)
            Observations as in the data set.

        Returns
        -------
        values : ndarray of shape (n, n_actions)
            Columns as in `classes_`.
        """
        X = self._rows(observations)
        return action_values(self.regressors_, X)

    def predict(self, observations: Any) -> NDArray[Any]:
        """Return the allowed action of the largest value.

        Parameters
        ----------
        observations : array-like of shape (n, ...)
            Observations as in the data set.

        Returns
        -------
        actions : ndarray of shape (n, ...)
            Of equal values the first.
        """
        X = self._rows(observations)
        actions = self.classes_[self._best(X)]
        return actions.reshape(len(actions), *self._action_shape)

    def predict_proba(self, observations: Any) -> Array:
        """Return probability one for the action of :meth:`predict`, zero for others.

        Parameters
        ----------
        observations : array-like of shape (n, ...)
            Observations as in the data set.

        Returns
        -------
        probability : ndarray of shape (n, n_actions)
            Columns as in `classes_`.
        """
        best = self._best(self._rows(observations))
        return np.eye(len(self.classes_))[best]

    def act(self, observation: Any, rng: Any = None) -> Any:
        """Return the action for one observation.

        Parameters
        ----------
        observation : array-like of shape (...)
            One observation, without an axis of rows.
        rng : Generator, int or None, default=None
            Not used: the policy is deterministic.

        Returns
        -------
        action : numpy integer
            What the environment takes.
        """
        return self.act_batch(np.asarray(observation)[None])[0]

    def act_batch(self, observations: Any, rng: Any = None) -> NDArray[Any]:
        """Return the actions for several observations.

        Parameters
        ----------
        observations : array-like of shape (n, ...)
            Observations as in the data set.
        rng : Generator, int or None, default=None
            Not used: the policy is deterministic.

        Returns
        -------
        actions : ndarray of shape (n,)
            What the environments take.
        """
        return self.predict(observations).ravel()

    def _best(self, X: NDArray[Any]) -> NDArray[np.intp]:
        values = action_values(self.regressors_, X)
        return np.argmax(np.where(self._allowed(X), values, -np.inf), axis=1)

    def _allowed(self, X: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which actions (m, n_actions) the data take often enough."""
        if self.policy_constraint == 0.0:
            return np.ones((len(X), len(self.classes_)), bool)
        found = self.behavior_.predict_proba(X)
        # A policy may know more actions than the rows of the fit, or fewer.
        known = getattr(self.behavior_, "classes_", np.arange(found.shape[1]))
        probability = found @ (known[:, None] == self.classes_)
        largest = probability.max(axis=1, keepdims=True)
        return probability >= self.policy_constraint * largest

    def _rows(self, observations: Any) -> NDArray[Any]:
        check_is_fitted(self)
        return feature_rows(observations, type(self).__name__, self._shape)


def _as_policy(behavior: Any, dataset: TrajectoryDataset) -> Any:
    """Return a fitted policy, or None for a classifier, which is yet to be fitted."""
    if not hasattr(behavior, "fit"):
        return behavior
    if not hasattr(behavior, "act"):
        return None
    fitted = hasattr(behavior, "classes_")
    return behavior if fitted else clone(behavior).fit(dataset)
