"""Logged trajectories as flat arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.offline_rl import _mixing, _readers, _storage, _writers
from statlearn.offline_rl._checks import check_dataset, check_discount, checked_fields
from statlearn.offline_rl._recorded import Recorded
from statlearn.offline_rl._returns import discounted_returns
from statlearn.offline_rl._segmentation import rows_at
from statlearn.offline_rl._trajectory import Trajectory
from statlearn.utils._numbers import is_integer
from statlearn.utils._rng import as_generator

Array = NDArray[np.float64]

_OBSERVATIONS = ("observations", "next_observations")  # which may have NaN


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TrajectoryDataset(Recorded):
    r"""Logged trajectories as flat arrays, one row for each transition.

    Transitions of a trajectory are adjacent, in their order. Arrays are taken as they
    are: not copied, of any dtype, and mapped into memory if they were. Use one of the
    ``from_...`` methods to make a data set out of what was recorded.

    Attributes
    ----------
    observations : ndarray of shape (n_transitions, ...)
        What was seen before each action.
    actions : ndarray of shape (n_transitions, ...)
        What was done.
    rewards : ndarray of shape (n_transitions,)
        What it gave, finite.
    next_observations : ndarray of shape (n_transitions, ...)
        What was seen afterwards.
    terminations : ndarray of bool, shape (n_transitions,)
        Whether the episode ended by itself, so that nothing was to come.
    truncations : ndarray of bool, shape (n_transitions,)
        Whether the record was cut off, as by a time limit.
    offsets : ndarray of int64, shape (n_trajectories + 1,)
        Row at which each trajectory starts, and the number of rows.
    tail_rewards : ndarray of shape (n_trajectories,)
        Reward of the step after the last transition, if it was recorded without a next
        observation and so is no transition; else 0. Returns contain it.

    See Also
    --------
    ReturnWeighting : Weights that favour trajectories with large returns.
    minari.MinariDataset : Episodes on disk, one by one.

    Notes
    -----
    ``len(dataset)`` is the number of trajectories, ``dataset[i]`` one of them, without
    a copy. Methods that choose trajectories return views where those are adjacent.

    Two data sets are equal if all arrays are, NaN in observations included.

    Examples
    --------
    >>> from statlearn.offline_rl import TrajectoryDataset
    >>> dataset = TrajectoryDataset.from_arrays(
    ...     observations=[[0.0], [1.0], [0.0], [2.0]],
    ...     actions=[1, 1, 0, 1],
    ...     rewards=[0.0, 1.0, 0.0, 5.0],
    ...     terminals=[False, True, False, True],
    ... )
    >>> dataset
    TrajectoryDataset(n_trajectories=2, n_transitions=4,
                      observations=float64 (1,), actions=int64 ())
    >>> dataset.returns()
    array([1., 5.])
    >>> dataset.filter(dataset.returns() > 2.0).initial_observations
    array([[0.]])
    """

    observations: NDArray[Any]
    actions: NDArray[Any]
    rewards: NDArray[Any]
    next_observations: NDArray[Any]
    terminations: NDArray[np.bool_]
    truncations: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    tail_rewards: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, values in checked_fields(given, type(self).__name__).items():
            object.__setattr__(self, name, values)

    # -- what it holds ------------------------------------------------------------

    @property
    def n_trajectories(self) -> int:
        """Number of trajectories.

        Returns
        -------
        n : int
            At least 1.
        """
        return len(self.offsets) - 1

    @property
    def n_transitions(self) -> int:
        """Number of transitions of all trajectories.

        Returns
        -------
        n : int
            At least `n_trajectories`.
        """
        return len(self.rewards)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of transitions of each trajectory.

        Returns
        -------
        lengths : ndarray of shape (n_trajectories,)
            At least 1 each.
        """
        return np.diff(self.offsets)

    @property
    def initial_observations(self) -> NDArray[Any]:
        """First observation of each trajectory.

        Returns
        -------
        observations : ndarray of shape (n_trajectories, ...)
            A copy.
        """
        return rows_at(self.observations, self.offsets[:-1])

    def returns(self, gamma: float = 1.0) -> Array:
        r"""Return the discounted sum of the rewards of each trajectory.

        Parameters
        ----------
        gamma : float, default=1.0
            Discount from 0 to 1.

        Returns
        -------
        returns : ndarray of shape (n_trajectories,)
            :math:`\sum_t \gamma^t r_t` over all recorded rewards, in float64.

        Raises
        ------
        ValueError
            For a discount outside [0, 1], or a sum that overflows.
        """
        gamma = check_discount(gamma, "TrajectoryDataset.returns")
        found = discounted_returns(self.rewards, self.offsets, self._tail(), gamma)
        if not np.isfinite(found).all():
            raise ValueError(
                f"TrajectoryDataset.returns expected sums below 1.8e308. Got larger "
                f"ones in {np.sum(~np.isfinite(found))} of {len(found)} trajectories; "
                f"divide the rewards by their size."
            )
        return found

    def __len__(self) -> int:
        return self.n_trajectories

    def __getitem__(self, index: int) -> Trajectory:
        n = self.n_trajectories
        if not (is_integer(index) and -n <= index < n):
            raise IndexError(
                f"A TrajectoryDataset of {n} trajectories takes an index from {-n} to "
                f"{n - 1}. Got {index!r}; use subset for several of them."
            )
        index = index % n
        rows = slice(int(self.offsets[index]), int(self.offsets[index + 1]))
        return Trajectory(
            self.observations[rows],
            self.actions[rows],
            self.rewards[rows],
            self.next_observations[rows],
            self.terminations[rows],
            self.truncations[rows],
            float(self._tail()[index]),
        )

    def __iter__(self) -> Iterator[Trajectory]:
        return map(self.__getitem__, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TrajectoryDataset):
            return NotImplemented
        mine, theirs = self._fields(), other._fields()
        # Short arrays first, which are enough to tell most data sets apart.
        names = sorted(mine, key=lambda name: mine[name].size)
        return all(
            np.array_equal(mine[name], theirs[name], equal_nan=name in _OBSERVATIONS)
            for name in names
        )

    def __repr__(self) -> str:
        arrays = ", ".join(
            f"{name}={getattr(self, name).dtype} {getattr(self, name).shape[1:]}"
            for name in ("observations", "actions")
        )
        return (
            f"{type(self).__name__}(n_trajectories={self.n_trajectories}, "
            f"n_transitions={self.n_transitions}, {arrays})"
        )

    @classmethod
    def _of(cls, fields: _readers.Fields) -> TrajectoryDataset:
        return cls(**fields)

    def _fields(self) -> _readers.Fields:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _tail(self) -> NDArray[Any]:
        tail: Any = self.tail_rewards  # an array once the data set is made
        return tail

    # -- several of them ---------------------------------------------------------

    @classmethod
    def concatenate(cls, datasets: Iterable[TrajectoryDataset]) -> TrajectoryDataset:
        """Join data sets.

        Parameters
        ----------
        datasets : iterable of TrajectoryDataset
            With observations and actions of the same shapes.

        Returns
        -------
        dataset : TrajectoryDataset
            All trajectories, in order; numbers of different precision are promoted.

        Raises
        ------
        TypeError
            If one of them is something else.
        ValueError
            For no data set, other shapes, or discrete next to continuous actions.
        """
        parts = list(datasets)
        if not parts:
            raise ValueError(
                "TrajectoryDataset.concatenate expected at least one data set. Got "
                "none; pass a list of them."
            )
        for part in parts:
            check_dataset(part, "TrajectoryDataset.concatenate")
        return cls(**_mixing.concatenate([part._fields() for part in parts]))

    @classmethod
    def mix(
        cls,
        good: TrajectoryDataset,
        bad: TrajectoryDataset,
        ratio: float,
        size: int | None = None,
        *,
        random_state: Any = None,
        return_is_good: bool = False,
    ) -> Any:
        """Hide a share of good trajectories among bad ones.

        Parameters
        ----------
        good, bad : TrajectoryDataset
            Where trajectories are drawn from.
        ratio : float
            Share of good transitions, from 0 to 1. It is exceeded by a part of one
            trajectory, so that there is at least one unless the ratio is 0.
        size : int, default=None
            Number of transitions, exceeded likewise; that of `good` by default.
        random_state : int, Generator or None, default=None
            Which trajectories are drawn.
        return_is_good : bool, default=False
            Return also which trajectories are good.

        Returns
        -------
        dataset : TrajectoryDataset
            Good trajectories, drawn with replacement, then bad ones, of which none
            comes twice before all have come once.
        is_good : ndarray of bool, shape (n_trajectories,)
            Only if asked for.

        Raises
        ------
        TypeError
            If `good` or `bad` is something else.
        ValueError
            For a ratio outside [0, 1], a bad size, or data sets that do not fit.
        """
        for source in (good, bad):
            check_dataset(source, "TrajectoryDataset.mix")
        drawn = _mixing.mixture(
            good.lengths, bad.lengths, ratio, size, as_generator(random_state)
        )
        parts = [
            _mixing.take(source._fields(), chosen)
            for source, chosen in zip((good, bad), drawn, strict=True)
            if len(chosen)
        ]
        dataset = cls(**_mixing.concatenate(parts))
        if return_is_good:
            return dataset, np.arange(len(dataset)) < len(drawn[0])
        return dataset

    # -- parts of it ----------------------------------------------------------------

    def subset(self, indices: Any) -> TrajectoryDataset:
        """Return some trajectories.

        Parameters
        ----------
        indices : array-like of int, or of bool of shape (n_trajectories,)
            Positions, in any order and also repeated, or a mask.

        Returns
        -------
        dataset : TrajectoryDataset
            Views if the trajectories are adjacent and in order.

        Raises
        ------
        ValueError
            If there is none, or a position is out of range.
        """
        chosen = _mixing.read_choice(indices, len(self), "TrajectoryDataset.subset")
        return type(self)(**_mixing.take(self._fields(), chosen))

    def filter(self, condition: Any) -> TrajectoryDataset:
        """Return the trajectories that meet a condition.

        Parameters
        ----------
        condition : array-like of bool, shape (n_trajectories,), or callable
            A mask, or a function of a :class:`Trajectory` that returns a bool.

        Returns
        -------
        dataset : TrajectoryDataset
            In their order.

        Raises
        ------
        ValueError
            If none is left, or the mask has another shape.
        """
        if callable(condition):
            test: Callable[[Trajectory], Any] = condition
            condition = [bool(test(trajectory)) for trajectory in self]
        mask = _readers.flags(condition, "condition", "TrajectoryDataset.filter")
        chosen = _mixing.read_choice(mask, len(self), "TrajectoryDataset.filter")
        return type(self)(**_mixing.take(self._fields(), chosen))

    def split(
        self, test_size: float = 0.25, *, random_state: Any = None
    ) -> tuple[TrajectoryDataset, TrajectoryDataset]:
        """Divide the trajectories at random into two data sets.

        Parameters
        ----------
        test_size : float or int, default=0.25
            Share of the trajectories in the second data set, or their number.
        random_state : int, Generator or None, default=None
            Which trajectories these are.

        Returns
        -------
        train, test : TrajectoryDataset
            Each in the order of this one.

        Raises
        ------
        ValueError
            If one of them would be empty.
        """
        parts = _mixing.split(
            len(self), test_size, as_generator(random_state), "TrajectoryDataset.split"
        )
        train, test = (_mixing.take(self._fields(), chosen) for chosen in parts)
        return type(self)(**train), type(self)(**test)

    # -- where it goes --------------------------------------------------------------

    def save(self, path: Any, *, overwrite: bool = False) -> None:
        """Write the arrays to a directory, completely or not at all.

        Parameters
        ----------
        path : str or path-like
            Directory to make, with a ``.npy`` file for each array.
        overwrite : bool, default=False
            Replace a data set that is there already.

        Raises
        ------
        FileExistsError
            If something is there that is not to be replaced.
        """
        _storage.write(Path(path), self._fields(), overwrite=overwrite)

    @classmethod
    def load(cls, path: Any, *, mmap: bool = True) -> TrajectoryDataset:
        """Read what :meth:`save` has written, without pickle.

        Parameters
        ----------
        path : str or path-like
            The directory.
        mmap : bool, default=True
            Map the arrays into memory, read-only, so that rows are read when they are
            needed.

        Returns
        -------
        dataset : TrajectoryDataset
            Equal to the one saved.

        Raises
        ------
        FileNotFoundError
            If there is no such directory.
        ValueError
            If it holds something else.
        """
        names = [field.name for field in fields(cls)]
        return cls(**_storage.read(Path(path), names, mmap=mmap))

    def to_minari(
        self,
        dataset_id: str,
        *,
        env: Any = None,
        observation_space: Any = None,
        action_space: Any = None,
        **options: Any,
    ) -> Any:
        """Write the trajectories to the local storage of Minari.

        Parameters
        ----------
        dataset_id : str
            Name in Minari, such as ``"cartpole/mixed-v0"``.
        env : gymnasium.Env, EnvSpec or str, default=None
            The environment, which also tells the spaces.
        observation_space, action_space : gymnasium.Space, default=None
            Spaces of the rows. Without `env`, both are made from the arrays if they are
            not given: a Discrete space for integers of shape (n,), else an unbounded
            Box.
        **options : dict
            Handed on to ``minari.create_dataset_from_buffers``.

        Returns
        -------
        dataset : minari.MinariDataset
            In which images are stored without loss unless an option says otherwise.

        Raises
        ------
        ImportError
            If Minari is not installed.
        ValueError
            If transitions of a trajectory do not follow on each other.

        Warns
        -----
        DroppedRowsWarning
            If there are tail rewards, for which Minari has no place.
        """
        return _writers.to_minari(
            self,
            dataset_id,
            env=env,
            observation_space=observation_space,
            action_space=action_space,
            options=options,
        )
