"""Small environments in which weights on trajectories can be understood."""

from __future__ import annotations

from typing import Any

import gymnasium  # noqa: TID253 (this file is loaded when it is asked for)
import numpy as np
from gymnasium import spaces  # noqa: TID253

from statlearn.offline_rl._registration import register_environments


class Corridor(gymnasium.Env[Any, Any]):
    r"""Walk to the left end of a corridor, from a random place in it.

    Starts differ, so that returns say more about luck than about the policy: the case
    for :class:`AdvantageWeighting`. ``gymnasium.make("statlearn/Corridor-v0")`` limits
    episodes to 100 steps.

    Parameters
    ----------
    length : int, default=40
        Number of states, at least 2; state 0 is the goal.
    render_mode : None, default=None
        Nothing is drawn.

    Attributes
    ----------
    action_space : Discrete
        0 goes left, 1 goes right; a step against the right end stays there.
    observation_space : Discrete
        The state.
    P : dict
        Outcomes of each action in each state, as in the toy tasks of gymnasium.
    initial_state_distrib : ndarray of shape (length,)
        All states but the goal are equally likely to be the first.

    See Also
    --------
    Lottery : Stochastic outcomes instead of starts.
    TabularMDP.from_env : Its exact solution.

    Notes
    -----
    Each step has the reward -1. The best policy goes left; from state s it has the
    return -s, of which the mean is minus half the length.

    Examples
    --------
    >>> from statlearn.offline_rl import Corridor, TabularMDP
    >>> process = TabularMDP.from_env(Corridor(4))
    >>> process.value(process.optimal_policy())
    -2.0
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, length: int = 40, render_mode: None = None) -> None:
        if not length >= 2:
            raise ValueError(
                f"The 'length' of Corridor must be at least 2. Got {length}; pass 40."
            )
        self.length = int(length)
        self.render_mode = render_mode
        self.action_space = spaces.Discrete(2)
        self.observation_space = spaces.Discrete(self.length)
        self.P = {
            state: {action: [self._outcome(state, action)] for action in (0, 1)}
            for state in range(self.length)
        }
        starts = np.full(self.length, 1.0 / (self.length - 1))
        starts[0] = 0.0
        self.initial_state_distrib = starts
        self._state = 0

    def _outcome(self, state: int, action: int) -> tuple[float, int, float, bool]:
        if state == 0:
            return 1.0, 0, 0.0, True
        following = min(state + (1 if action else -1), self.length - 1)
        return 1.0, following, -1.0, following == 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Start an episode.

        Parameters
        ----------
        seed : int, default=None
            Starts a new stream of random numbers.
        options : dict, default=None
            ``{"state": s}`` starts in a certain state.

        Returns
        -------
        state : int
            Where it starts.
        info : dict
            Empty.
        """
        super().reset(seed=seed)
        given = (options or {}).get("state")
        drawn = self.np_random.integers(1, self.length) if given is None else given
        self._state = int(drawn)
        return self._state, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Take a step.

        Parameters
        ----------
        action : int
            0 to the left, 1 to the right.

        Returns
        -------
        state : int
            Where it leads.
        reward : float
            -1.
        terminated : bool
            Whether that is the goal.
        truncated : bool
            False.
        info : dict
            Empty.
        """
        _, self._state, reward, terminated = self.P[self._state][int(action)][0]
        return self._state, reward, terminated, False, {}


class Lottery(gymnasium.Env[Any, Any]):
    r"""Choose once between a safe reward and a lottery that is worth less.

    The case against weights by return: those who won took the lottery, so that
    imitating winners is a mistake. ``gymnasium.make("statlearn/Lottery-v0")``.

    Parameters
    ----------
    safe : float, default=0.6
        Reward of action 0.
    chance : float, default=0.3
        Probability of the reward 1 by action 1, which has the reward 0 otherwise.
    render_mode : None, default=None
        Nothing is drawn.

    Attributes
    ----------
    action_space : Discrete
        0 is safe, 1 is the lottery.
    observation_space : Discrete
        There is one state.
    P : dict
        Outcomes of each action, as in the toy tasks of gymnasium.
    initial_state_distrib : ndarray of shape (1,)
        One.

    See Also
    --------
    Corridor : Stochastic starts instead of outcomes.
    ReturnWeighting : The weights that are misled.

    Notes
    -----
    With as many trajectories of each action, safe reward 0.6 and chance q, weights
    :math:`e^{G/\alpha}` let the lottery look as if it were worth
    :math:`q x / (q x + 1 - q)` with :math:`x = e^{1/\alpha}`. At q = 0.3 that is more
    than the safe reward below :math:`\alpha = 1 / \ln 3.5 \approx 0.798`.

    Examples
    --------
    >>> from statlearn.offline_rl import Lottery, TabularMDP
    >>> process = TabularMDP.from_env(Lottery())
    >>> process.optimal_policy().predict([0])
    array([0])
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(
        self, safe: float = 0.6, chance: float = 0.3, render_mode: None = None
    ) -> None:
        if not 0.0 <= chance <= 1.0:
            raise ValueError(
                f"The 'chance' of Lottery must lie in [0, 1]. Got {chance}; pass 0.3."
            )
        self.safe, self.chance = float(safe), float(chance)
        self.render_mode = render_mode
        self.action_space = spaces.Discrete(2)
        self.observation_space = spaces.Discrete(1)
        self.P = {
            0: {
                0: [(1.0, 0, self.safe, True)],
                1: [(self.chance, 0, 1.0, True), (1.0 - self.chance, 0, 0.0, True)],
            }
        }
        self.initial_state_distrib = np.ones(1)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Start an episode.

        Parameters
        ----------
        seed : int, default=None
            Starts a new stream of random numbers.
        options : dict, default=None
            Not used.

        Returns
        -------
        state : int
            0.
        info : dict
            Empty.
        """
        super().reset(seed=seed)
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Take the safe reward, or play.

        Parameters
        ----------
        action : int
            0 is safe, 1 is the lottery.

        Returns
        -------
        state : int
            0.
        reward : float
            What was gained.
        terminated : bool
            True.
        truncated : bool
            False.
        info : dict
            Empty.
        """
        won = float(self.np_random.random() < self.chance)
        return 0, won if int(action) else self.safe, True, False, {}


register_environments()
