"""Data sets of trajectories made of what was recorded, elsewhere or now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from statlearn.offline_rl import _readers, _rollout


class Recorded:
    """The ways to make a :class:`TrajectoryDataset`."""

    __slots__ = ()

    @classmethod
    def _of(cls, fields: _readers.Fields) -> Self:
        """Return a data set of the arrays with these names."""
        raise NotImplementedError

    @classmethod
    def from_arrays(
        cls,
        observations: Any,
        actions: Any,
        rewards: Any,
        terminals: Any,
        timeouts: Any = None,
        next_observations: Any = None,
        *,
        max_episode_steps: int | None = None,
        on_incomplete: str = "drop",
        autoreset_rows: bool = False,
    ) -> Self:
        """Cut one long record into trajectories.

        Parameters
        ----------
        observations, actions : array-like of shape (n, ...)
            What was seen and done in each step.
        rewards : array-like of shape (n,)
            What it gave.
        terminals : array-like of shape (n,)
            Whether the episode ended by itself in this step.
        timeouts : array-like of shape (n,), default=None
            Whether it was cut off after this step.
        next_observations : array-like of shape (n, ...), default=None
            What was seen after each step. By default the observation of the row below,
            in the same episode; see the Notes.
        max_episode_steps : int, default=None
            Time limit of the environment, for records without `timeouts`.
        on_incomplete : {"drop", "keep"}, default="drop"
            What to do with rows after the last end: their return is not known. To drop
            them warns.
        autoreset_rows : bool, default=False
            Whether the row after an end shows the reset, with an action that was
            ignored, as vector environments of gymnasium 1.0 and later produce it.

        Returns
        -------
        dataset : TrajectoryDataset
            Views of the arrays if no row had to be left out.

        Raises
        ------
        ValueError
            For arrays of different lengths, a record without an end, a reward in a
            reset row, or rewards that are not finite.

        Warns
        -----
        DroppedRowsWarning
            If rows after the last end, or episodes of one row, are left out.

        Notes
        -----
        Without `next_observations`, the last row of an episode that was cut off leads
        to an observation that was not recorded, since the row below starts another
        episode. Such a row is no transition; its reward goes to `tail_rewards`. The
        last row of an episode that ended by itself is kept, with its own observation in
        place of the next one, which `terminations` says not to use.

        A record of several environments, of shape (n, n_envs, ...), is read one
        environment at a time and joined by :meth:`concatenate`.
        """
        return cls._of(
            _readers.from_arrays(
                observations,
                actions,
                rewards,
                terminals,
                timeouts,
                next_observations,
                max_episode_steps=max_episode_steps,
                on_incomplete=on_incomplete,
                autoreset_rows=autoreset_rows,
                caller="TrajectoryDataset.from_arrays",
            )
        )

    @classmethod
    def from_d4rl(
        cls,
        data: Any,
        *,
        max_episode_steps: int | None = None,
        on_incomplete: str = "drop",
    ) -> Self:
        """Read a record in the layout of D4RL.

        Parameters
        ----------
        data : dict of arrays or h5py.File
            With observations, actions, rewards and terminals, perhaps also timeouts and
            next_observations. It is not changed.
        max_episode_steps : int, default=None
            Time limit of the environment, for records without timeouts.
        on_incomplete : {"drop", "keep"}, default="drop"
            What to do with rows after the last end.

        Returns
        -------
        dataset : TrajectoryDataset
            As of :meth:`from_arrays`.

        Raises
        ------
        TypeError
            If `data` is neither.
        ValueError
            For a missing array, and as in :meth:`from_arrays`.
        """
        return cls._of(
            _readers.from_d4rl(
                data,
                max_episode_steps=max_episode_steps,
                on_incomplete=on_incomplete,
                caller="TrajectoryDataset.from_d4rl",
            )
        )

    @classmethod
    def from_episodes(cls, episodes: Iterable[Any]) -> Self:
        """Join episodes.

        Parameters
        ----------
        episodes : iterable of dict or object
            With observations, of T + 1 rows or of T rows; actions and rewards of T
            rows; `terminations` or `terminated`, for each row or one for the last;
            perhaps `truncations` or `truncated`, next_observations of T rows, and
            `tail_reward`. Episodes of Minari and d3rlpy and the trajectories of a data
            set have this form.

        Returns
        -------
        dataset : TrajectoryDataset
            With a trajectory for each episode.

        Raises
        ------
        TypeError
            If it is no list of episodes.
        ValueError
            For no episode, missing or ragged arrays, or rewards that are not finite.

        Warns
        -----
        DroppedRowsWarning
            If episodes have no transition.

        Notes
        -----
        With T observations and no next ones, the last row of an episode that did not
        end by itself is no transition; its reward goes to `tail_rewards`.
        """
        return cls._of(
            _readers.from_episodes(episodes, "TrajectoryDataset.from_episodes")
        )

    @classmethod
    def from_minari(cls, dataset: Any) -> Self:
        """Read a data set of Minari.

        Parameters
        ----------
        dataset : minari.MinariDataset
            Or a filtered or split view, of which only the episodes it shows are read.

        Returns
        -------
        dataset : TrajectoryDataset
            Observations and actions of Dict and Tuple spaces are flattened as by
            ``gymnasium.spaces.flatten``.

        Raises
        ------
        TypeError
            If `dataset` is something else.
        ValueError
            For a space that has no flat form, or as in :meth:`from_episodes`.
        """
        return cls._of(_readers.from_minari(dataset, "TrajectoryDataset.from_minari"))

    @classmethod
    def rollout(
        cls,
        env: Any,
        policy: Any = None,
        *,
        n_episodes: int | None = None,
        n_steps: int | None = None,
        max_episode_steps: int | None = None,
        n_envs: int = 1,
        seed: Any = None,
    ) -> Self:
        """Collect trajectories from an environment.

        Parameters
        ----------
        env : gymnasium.Env or str
            An environment, which is reset first, or the name of one.
        policy : callable, object with ``act``, or None, default=None
            ``policy(observation)`` or ``policy.act(observation, rng)`` gives an action;
            by default actions are random. It sees observations as they are stored. An
            object with ``act_batch(observations, rng)``, such as the policies here, is
            asked for the actions of all environments at once.
        n_episodes : int, default=None
            Number of episodes; give this or `n_steps`.
        n_steps : int, default=None
            Collect whole episodes until there are as many transitions.
        max_episode_steps : int, default=None
            Cut episodes off after this many steps, for environments without a limit.
        n_envs : int, default=1
            Number of copies of the environment to run side by side. Episodes are others
            with each number, of the same law; where a prediction is slow, many are
            faster.
        seed : int, Generator or None, default=None
            Of the environment, random actions, and ``rng``.

        Returns
        -------
        dataset : TrajectoryDataset
            Of whole episodes, which end by themselves or at the time limit.
            Observations of Dict and Tuple spaces are flattened.

        Raises
        ------
        TypeError
            If `env` is no environment of gymnasium or `policy` gives no actions.
        ValueError
            If not exactly one of `n_episodes` and `n_steps` is given.

        Notes
        -----
        With several environments, each plays one episode of a round, and waits for the
        others before the next. So short episodes are not preferred.
        """
        found = _rollout.episodes(
            env,
            policy,
            n_episodes=n_episodes,
            n_steps=n_steps,
            max_episode_steps=max_episode_steps,
            n_envs=n_envs,
            seed=seed,
        )
        return cls._of(_readers.from_episodes(found, "TrajectoryDataset.rollout"))
