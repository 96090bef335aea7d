"""Decision processes with few states, solved exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.offline_rl._checks import check_discount
from statlearn.offline_rl._counting import Counts, distributions
from statlearn.offline_rl._weighting_base import TrajectoryWeighting
from statlearn.offline_rl.tabular_policy import TabularPolicy
from statlearn.offline_rl.trajectory_dataset import TrajectoryDataset
from statlearn.utils._numbers import closed_share, positive_integer

Array = NDArray[np.float64]

# A linear system of a larger condition has no solution to speak of.
_LARGEST_CONDITION = 1e12
# Values that differ by less are equal.
_TIE = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class TabularMDP:
    r"""A decision process with few states and actions, solved exactly.

    Attributes
    ----------
    transition : ndarray of shape (n_states, n_actions, n_states)
        Probability of each next state. What is missing to one ends the episode.
    reward : ndarray of shape (n_states, n_actions)
        Expected reward.
    initial : ndarray of shape (n_states,)
        Probability of each first state.
    allowed : ndarray of bool, shape (n_states, n_actions)
        Actions that :meth:`optimal_policy` may take; by default all.

    See Also
    --------
    TabularPolicy : What it evaluates, and finds.
    FittedQIteration : Values where states are many.

    Notes
    -----
    A value over a horizon of T steps is T sweeps of

    .. math:: V_{k+1}(s) = \sum_a \pi(a|s)
              \Bigl( r(s, a) + \gamma \sum_{s'} P(s'|s, a) V_k(s') \Bigr),

    of :math:`O(S^2 A)` each; without a horizon it is the solution of a linear system.

    Made from weighted data, the process is optimistic unless it is deterministic:
    weights favour transitions that turned out well, so that its probabilities are those
    of the lucky. Values and plans made in it mislead.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.offline_rl import TabularMDP, TabularPolicy
    >>> process = TabularMDP(
    ...     transition=np.array([[[0.5], [0.0]]]),  # go on with probability 1/2, or end
    ...     reward=np.array([[1.0, 1.5]]),
    ...     initial=np.array([1.0]),
    ... )
    >>> process.value(TabularPolicy([[1.0, 0.0]]))
    2.0
    >>> process.optimal_policy().predict([0])
    array([0])
    """

    transition: Array
    reward: Array
    initial: Array
    allowed: Any = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        transition = distributions(self.transition, "transition", 3, name, whole=False)
        initial = distributions(self.initial, "initial", 1, name)
        reward = np.asarray(self.reward, dtype=np.float64)
        shape = transition.shape[:2]
        allowed = np.ones(shape, bool) if self.allowed is None else self.allowed
        allowed = np.asarray(allowed, dtype=bool)
        found = (transition.shape[2:], reward.shape, initial.shape, allowed.shape)
        if found != ((shape[0],), shape, (shape[0],), shape):
            raise ValueError(
                f"The arrays of {name} must have shapes (S, A, S), (S, A), (S,) and "
                f"(S, A). Got {transition.shape}, {reward.shape}, {initial.shape} and "
                f"{allowed.shape}; pass a row for each state."
            )
        arrays = {
            "transition": transition,
            "reward": reward,
            "initial": initial,
            "allowed": allowed,
        }
        for field, values in arrays.items():
            object.__setattr__(self, field, values)

    @classmethod
    def from_env(cls, env: Any) -> TabularMDP:
        """Take the process of an environment that tells it.

        Parameters
        ----------
        env : gymnasium.Env
            With the attributes ``P`` and ``initial_state_distrib`` of the toy tasks
            with text, such as FrozenLake.

        Returns
        -------
        process : TabularMDP
            Without the limit of steps.

        Raises
        ------
        TypeError
            If the environment does not tell.
        """
        inner = getattr(env, "unwrapped", env)
        if not (hasattr(inner, "P") and hasattr(inner, "initial_state_distrib")):
            raise TypeError(
                f"The 'env' of TabularMDP.from_env must have the tables P and "
                f"initial_state_distrib. Got {type(inner).__name__}; pass arrays to "
                f"TabularMDP."
            )
        n_states, n_actions = len(inner.P), len(inner.P[0])
        transition = np.zeros((n_states, n_actions, n_states))
        reward = np.zeros((n_states, n_actions))
        for state, by_action in inner.P.items():
            for action, outcomes in by_action.items():
                for probability, following, gained, ends in outcomes:
                    reward[state, action] += probability * gained
                    if not ends:
                        transition[state, action, following] += probability
        return cls(transition, reward, np.asarray(inner.initial_state_distrib))

    @classmethod
    def from_dataset(
        cls,
        dataset: TrajectoryDataset,
        *,
        weighting: TrajectoryWeighting | None = None,
        policy_constraint: float = 0.0,
        behavior: TabularPolicy | None = None,
        n_states: int | None = None,
        n_actions: int | None = None,
    ) -> TabularMDP:
        """Estimate the process from trajectories by counting.

        Parameters
        ----------
        dataset : TrajectoryDataset
            With numbers of states and actions, from 0.
        weighting : TrajectoryWeighting, default=None
            Weights of the trajectories. They make an estimate of stochastic dynamics
            optimistic.
        policy_constraint : float, default=0.0
            An action is allowed if its probability is at least this share of the
            largest one in the state, and not zero.
        behavior : TabularPolicy, default=None
            Probabilities of actions for the constraint; by default their shares in the
            weight of the state. ``TabularPolicy.from_dataset(dataset, weighting=...)``
            lets weights say what is likely, and plain data where it leads.
        n_states, n_actions : int, default=None
            How many there are; by default one more than the largest in the data.

        Returns
        -------
        process : TabularMDP
            Where no action was taken, all are allowed, and end the episode at once.
            Where none that was taken is likely, all that were taken are allowed.

        Raises
        ------
        TypeError
            If `dataset` is something else.
        ValueError
            If states or actions are no such numbers, or `behavior` has others.
        """
        share = closed_share(
            policy_constraint,
            "policy_constraint",
            "TabularMDP.from_dataset",
            "pass 0 to allow every action that was taken",
        )
        counts = Counts.of(dataset, weighting, n_states, n_actions)
        taken = counts.by_action()
        seen = np.maximum(taken, np.finfo(np.float64).tiny)
        return cls(
            counts.moves() / seen[:, :, None],
            counts.by_action(dataset.rewards[counts.index]) / seen,
            counts.first_states(dataset),
            _allowed(taken, taken if behavior is None else behavior.probability, share),
        )

    def value(
        self, policy: TabularPolicy, *, gamma: float = 1.0, horizon: int | None = None
    ) -> float:
        """Return the expected return of a policy.

        Parameters
        ----------
        policy : TabularPolicy
            What is done in each state.
        gamma : float, default=1.0
            Discount.
        horizon : int, default=None
            Limit of steps; none by default.

        Returns
        -------
        value : float
            From the first states.

        Raises
        ------
        ValueError
            Without horizon and discount, if episodes need not end.
        """
        return float(self.initial @ self.state_values(policy, gamma, horizon))

    def state_values(
        self, policy: TabularPolicy, gamma: float = 1.0, horizon: int | None = None
    ) -> Array:
        """Return the expected return of a policy from each state.

        Parameters
        ----------
        policy : TabularPolicy
            What is done in each state.
        gamma : float, default=1.0
            Discount.
        horizon : int, default=None
            Limit of steps; none by default.

        Returns
        -------
        values : ndarray of shape (n_states,)
            One for each state.

        Raises
        ------
        ValueError
            Without horizon and discount, if episodes need not end.
        """
        gamma = check_discount(gamma, "TabularMDP")
        move = gamma * np.einsum("sa,sat->st", policy.probability, self.transition)
        gain = np.einsum("sa,sa->s", policy.probability, self.reward)
        if horizon is not None:
            positive_integer(horizon, "horizon", "TabularMDP", "pass None for no limit")
            values = np.zeros(len(gain))
            for _ in range(horizon):
                values = gain + move @ values
            return values
        reached = self._reached(move)
        # States that are never reached may have no finite value.
        part = np.eye(reached.sum()) - move[np.ix_(reached, reached)]
        if np.linalg.cond(part) > _LARGEST_CONDITION:
            raise ValueError(
                "TabularMDP expected a policy under which episodes end. Got one that "
                "can go on for ever; pass a horizon, or gamma below 1."
            )
        values = np.zeros(len(gain))
        values[reached] = np.linalg.solve(part, gain[reached])
        return values

    def optimal_policy(
        self, *, gamma: float = 1.0, n_iter: int = 10_000, tol: float = 1e-10
    ) -> TabularPolicy:
        """Return the best policy among allowed actions.

        Parameters
        ----------
        gamma : float, default=1.0
            Discount.
        n_iter : int, default=10000
            Largest number of sweeps of value iteration, so many steps ahead it looks.
        tol : float, default=1e-10
            Values that change by less have converged.

        Returns
        -------
        policy : TabularPolicy
            Deterministic; of equally good actions one that leads to the reward.

        Raises
        ------
        ValueError
            For a bad discount or number of sweeps.
        """
        gamma = check_discount(gamma, "TabularMDP.optimal_policy")
        positive_integer(n_iter, "n_iter", "TabularMDP.optimal_policy", "pass 1000")
        values, states = np.zeros(len(self.initial)), np.arange(len(self.initial))
        best = np.argmax(self.allowed, axis=1)
        for _ in range(n_iter):
            ahead = self.reward + gamma * (self.transition @ values)
            ahead[~self.allowed] = -np.inf
            before, values = values, ahead.max(axis=1)
            # An action stays while none is better: without a discount, others may be as
            # good that lead in a circle.
            worse = ahead[states, best] < values - _TIE * np.maximum(
                1.0, np.abs(values)
            )
            best = np.where(worse, np.argmax(ahead, axis=1), best)
            if np.abs(values - before).max() <= tol:
                break
        return TabularPolicy(np.eye(self.reward.shape[1])[best])

    def _reached(self, move: Array) -> NDArray[np.bool_]:
        """Return the states (S,) that moves (S, S) lead to from the first ones."""
        reached = self.initial > 0.0
        for _ in range(len(move)):
            further = reached | (reached @ (move > 0.0))
            if np.array_equal(further, reached):
                break
            reached = further
        return reached


def _allowed(taken: Array, likely: Array, share: float) -> NDArray[np.bool_]:
    """Return which actions (S, A) of some weight `taken` are `likely` enough (S, A)."""
    if likely.shape != taken.shape:
        raise ValueError(
            f"The 'behavior' of TabularMDP.from_dataset must have a probability for "
            f"each of {taken.shape} states and actions. Got {likely.shape}; pass "
            f"n_states and n_actions to both."
        )
    seen = taken > 0.0
    likely = np.where(seen, likely, 0.0)
    enough = (likely >= share * likely.max(axis=1, keepdims=True)) & (likely > 0.0)
    enough |= seen & ~enough.any(axis=1, keepdims=True)
    return enough | ~seen.any(axis=1, keepdims=True)
