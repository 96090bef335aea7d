"""Batches of transitions, drawn by the weights of their trajectories."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.offline_rl import _d3rlpy, _sb3
from statlearn.offline_rl._checks import check_dataset, check_discount
from statlearn.offline_rl._sequences import sequences
from statlearn.offline_rl._trajectory_table import TrajectoryTable, transition_weights
from statlearn.offline_rl._transition_rows import (
    Batch,
    PackedRows,
    RecordedRows,
    Rows,
    check_dtype,
    is_mapped,
)
from statlearn.offline_rl._transition_stream import TransitionBatches, TransitionDraws
from statlearn.offline_rl.trajectory_dataset import TrajectoryDataset
from statlearn.utils._numbers import positive_integer

Integers = NDArray[np.int64]


class TrajectorySampler(TransitionDraws):
    r"""Draw batches of transitions, those of good trajectories more often.

    For any training loop on logged data: ``batch = sampler.sample()``. Only the batches
    change, not the learner. Use it with learners that stay close to the data, such as
    behaviour cloning, IQL, CQL or TD3+BC: weights take actions out of sight, and
    without such a constraint values of actions that are hardly seen are made up. Draw
    from the unweighted data to estimate the value of a policy.

    Parameters
    ----------
    dataset : TrajectoryDataset
        The trajectories.
    weighting : TrajectoryWeighting or array-like, default=None
        A weighting, which is fitted to `dataset` if it is not yet; or the weight of
        each transition of a trajectory, of shape (n_trajectories,), or repeated for all
        of them, (n_transitions,). By default all transitions are equally likely.
    batch_size : int, default=256
        Transitions of a batch, or sequences, over all processes.
    random_state : int, Generator or None, default=None
        Seed. Several processes need the same integer.
    prefetch : int, default=32
        Batches whose transitions are drawn at once. It does not change what is drawn.
    sequence_length : int, default=None
        Draw this many transitions that follow each other, with their first one by
        weight. By default draw single transitions.
    pad : bool, default=True
        Whether a sequence may start near the end of its trajectory and is filled up
        with zeros; else shorter trajectories are left out.
    n_step : int, default=1
        Add up as many rewards, unless the episode ends before; `next_observations`,
        `terminations` and `truncations` are those of the last of them.
    gamma : float, default=0.99
        Discount of these rewards.
    dtype : dtype, default="float32"
        Of rewards and weights, and of observations and actions if they are floating;
        None leaves them as they are. Integers stay what they are.
    pack : bool, default=None
        Whether to copy all fields into one array, which makes batches several times as
        fast. By default True, unless the data are mapped into memory from a file.
    n_batches : int, default=None
        Batches of an epoch, which is where an iteration ends. By default as many as
        hold `n_transitions` draws.
    rank : int, default=0
        Number of this process, or of a worker that draws by itself.
    world_size : int, default=1
        Number of processes that share each batch.

    Attributes
    ----------
    dataset : TrajectoryDataset
        The trajectories.
    step_ : int
        Batches handed out in this epoch.
    epoch_ : int
        Number of the epoch, from 0.

    See Also
    --------
    ReturnWeighting : Weights that favour trajectories with large returns.
    statlearn.sampling.WeightedSampler : Weights of single rows.
    torch.utils.data.WeightedRandomSampler : One number for each transition.
    d3rlpy.dataset.ReplayBuffer : Uniform draws, one transition at a time.

    Notes
    -----
    With a weight :math:`w_i` of each of the :math:`T_i` transitions of trajectory i, a
    transition of it is drawn with probability :math:`w_i / \sum_j T_j w_j`,
    independently and with replacement; those of weight zero never. One uniform double
    makes a draw, by an alias table over :math:`T_i w_i`; its chances are within
    :math:`2^{-50} n` of these, as those of cumulative sums over all n transitions are.
    With ``pad=False``, :math:`T_i` counts the possible starts of a sequence.

    A batch is a dict of arrays with one row for each draw, or of shape
    (batch_size, sequence_length, ...):

    - `observations, actions, rewards, next_observations, terminations, truncations`;
    - `indices`: the rows of the data set, or the first ones of the sequences;
    - `weights`: how many times as likely the draw is as a uniform one. Multiply losses
      by their inverse to undo the weighting;
    - `mask`, for sequences: False where they are filled up;
    - `discounts`, if ``n_step > 1``: what the value of `next_observations` is to be
      multiplied by, :math:`\gamma^k` for k rewards. A target is
      ``rewards + discounts * ~terminations * value(next_observations)``: a time limit
      cuts off the rewards, but not the value.

    A reward that was recorded without a next observation counts in returns, but is not
    in any batch.

    O(1) for a draw, whatever the number of transitions, and O(N log N) to set up, 80
    bytes a trajectory. Packed fields take the memory of the data set once more, or
    half of it if it is in float64, and O(n) time. Draws are those of a counter
    (Philox): the state is a few numbers, and any batch can be taken up again.

    References
    ----------
    Zhang-Wei Hong, Pulkit Agrawal, Rémi Tachet des Combes, Romain Laroche. Harnessing
    Mixed Offline Reinforcement Learning Datasets via Trajectory Weighting. ICLR, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.offline_rl import (
    ...     ReturnWeighting,
    ...     TrajectoryDataset,
    ...     TrajectorySampler,
    ... )
    >>> ends = np.arange(1000) % 10 == 9
    >>> dataset = TrajectoryDataset.from_arrays(
    ...     observations=np.arange(1000.0)[:, np.newaxis],
    ...     actions=np.arange(1000) % 2,
    ...     rewards=np.arange(1000) == 555,
    ...     terminals=ends,
    ... )
    >>> sampler = TrajectorySampler(dataset, ReturnWeighting(0.1), random_state=0)
    >>> batch = sampler.sample()
    >>> batch["observations"].shape, batch["weights"].shape
    ((256, 1), (256,))
    >>> bool(np.mean(batch["indices"] // 10 == 55) > 0.9)
    True
    """

    def __init__(
        self,
        dataset: TrajectoryDataset,
        weighting: Any = None,
        *,
        batch_size: int = 256,
        random_state: Any = None,
        prefetch: int = 32,
        sequence_length: int | None = None,
        pad: bool = True,
        n_step: int = 1,
        gamma: float = 0.99,
        dtype: Any = "float32",
        pack: bool | None = None,
        n_batches: int | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        name = type(self).__name__
        check_dataset(dataset, name)
        if sequence_length is not None:
            positive_integer(
                sequence_length,
                "sequence_length",
                name,
                "pass how many transitions follow each other, or None for single ones",
            )
        n_step = positive_integer(n_step, "n_step", name, "pass the rewards to add up")
        gamma = check_discount(gamma, name)
        real = check_dtype(dtype, name)
        self.dataset = dataset
        self.sequence_length, self._pad = sequence_length, bool(pad)
        self.n_step, self.gamma, self._dtype = n_step, gamma, real
        super().__init__(
            self._table_of(weighting, "weighting"),
            batch_size=batch_size,
            n_batches=n_batches,
            n_transitions=dataset.n_transitions,
            prefetch=prefetch,
            random_state=random_state,
            rank=rank,
            world_size=world_size,
            caller=name,
        )
        self._recorded = RecordedRows(dataset, n_step, gamma, real)
        self._rows: Rows = self._recorded
        if pack or (pack is None and not is_mapped(dataset)):
            self._rows = PackedRows(self._recorded, dataset.n_transitions)

    # -- batches --------------------------------------------------------------------

    def sample(self, batch_size: int | None = None) -> Batch:
        """Draw the next batch.

        Parameters
        ----------
        batch_size : int, default=None
            By default the share of this process in the `batch_size` of the sampler,
            and the batch is the next one of the iteration; draws of any other size are
            apart from it.

        Returns
        -------
        batch : dict of ndarray
            See the Notes of the class. The arrays may be views of one copy; writing
            into them changes no data.

        Raises
        ------
        ValueError
            For a size below one.
        """
        return self._batch(*self._next(batch_size, "sample", "batch_size"))

    def sample_indices(self, m: int | None = None) -> Integers:
        """Draw transitions, without their data.

        Parameters
        ----------
        m : int, default=None
            Number of draws; by default those of the next batch, as in :meth:`sample`.

        Returns
        -------
        rows : ndarray of int64, shape (m,)
            Rows of the data set. Other ones in every process.

        Raises
        ------
        ValueError
            For a number below one.
        """
        rows, _, part = self._next(m, "sample_indices", "m")
        return rows[part]

    def gather(self, indices: Any) -> Batch:
        """Return transitions, or sequences that start with them, by their rows.

        ``sampler[indices]`` is the same.

        Parameters
        ----------
        indices : array-like of int, shape (m,)
            Rows of the data set.

        Returns
        -------
        batch : dict of ndarray
            As of :meth:`sample`.

        Raises
        ------
        IndexError
            If there is no such row.
        """
        rows, n = np.asarray(indices), self.dataset.n_transitions
        right = rows.ndim == 1 and (rows.dtype.kind in "iu" or not rows.size)
        if not right or np.any((rows < 0) | (rows >= n)):
            raise IndexError(
                f"The 'indices' of {type(self).__name__}.gather must be integers from "
                f"0 to {n - 1} of shape (m,). Got "
                f"{np.array2string(rows, threshold=6)}; pass the rows of the "
                f"transitions."
            )
        rows = rows.astype(np.int64, copy=False)
        after = np.searchsorted(self.dataset.offsets, rows, side="right")
        return self._gathered(rows, after - 1)

    def epoch(self, n_batches: int) -> Iterator[Batch]:
        """Iterate over a number of batches, from where the sampler stands.

        Parameters
        ----------
        n_batches : int
            Number of batches.

        Returns
        -------
        batches : iterator of dict
            What as many calls of :meth:`sample` return.

        Raises
        ------
        ValueError
            For a number below one.
        """
        n_batches = positive_integer(
            n_batches, "n_batches", f"{type(self).__name__}.epoch", "pass the batches"
        )
        return (self.sample() for _ in range(n_batches))

    def __iter__(self) -> Iterator[Batch]:
        """Iterate over batches, from where the sampler stands to the end of the epoch.

        At its end, start the next epoch.
        """
        return (self._batch(*drawn) for drawn in super().__iter__())

    def __getitem__(self, indices: Any) -> Batch:
        """Return transitions by their rows, as a loader of PyTorch asks for them."""
        return self.gather(indices)

    def set_weights(self, weights: Any) -> None:
        """Go on with other weights.

        Parameters
        ----------
        weights : TrajectoryWeighting, array-like or None
            As `weighting` of the class.

        Raises
        ------
        ValueError
            For negative weights, zeros only, or another number of them.
        """
        self._change(self._table_of(weights, "weights"))

    # -- other libraries ------------------------------------------------------------

    def to_torch_batch_sampler(self) -> TransitionBatches:
        """Return the rows of all batches as a sampler for a loader of PyTorch.

        Returns
        -------
        sampler : iterable of ndarray of int64
            An epoch of the rows that this sampler draws, from its start. It has a
            place and a state of its own, with the methods of this class for them.

        Notes
        -----
        This sampler serves as the data set, so that workers gather whole batches. Turn
        the batching of the loader off::

            rows = sampler.to_torch_batch_sampler()
            loader = DataLoader(sampler, sampler=rows, batch_size=None, num_workers=2)

        Workers may read ahead; ``rows.state_dict(step=...)`` names a batch that has
        been used.
        """
        batches = TransitionBatches(
            self._table,
            batch_size=self.batch_size,
            n_batches=self._n_steps,
            n_transitions=self.dataset.n_transitions,
            prefetch=self._prefetch,
            random_state=0,  # replaced by the key of this sampler
            rank=self._rank,
            world_size=self._world_size,
            caller=type(self).__name__,
        )
        batches._key = self._key
        return batches

    def to_d3rlpy(self, *, action_size: int | None = None) -> Any:
        """Return a replay buffer for the algorithms of d3rlpy.

        Parameters
        ----------
        action_size : int, default=None
            Number of discrete actions; by default what the data show.

        Returns
        -------
        buffer : d3rlpy.dataset.ReplayBufferBase
            For ``algorithm.fit(buffer, ...)``. It draws from this sampler and cannot
            be added to. `gamma` and `n_step` have to be those of the algorithm.

        Raises
        ------
        ImportError
            If d3rlpy is not installed.
        ValueError
            If the sampler draws sequences: d3rlpy asks for them itself.
        """
        return _d3rlpy.replay_buffer(self, self._recorded, action_size)

    def to_sb3(
        self, observation_space: Any, action_space: Any, *, device: Any = "auto"
    ) -> Any:
        """Return a replay buffer for Stable-Baselines3.

        Parameters
        ----------
        observation_space, action_space : gymnasium.Space
            Those of the model. Continuous actions are scaled to [-1, 1] by the bounds
            of their space, as off-policy models expect them.
        device : torch.device or str, default="auto"
            Where tensors go.

        Returns
        -------
        buffer : stable_baselines3.common.buffers.ReplayBuffer
            For ``model.replay_buffer``, followed by ``model.train(gradient_steps,
            batch_size)``. It cannot be added to.

        Raises
        ------
        ImportError
            If Stable-Baselines3 is not installed.
        ValueError
            If the sampler draws sequences, or actions have no bounds.
        """
        return _sb3.replay_buffer(self, observation_space, action_space, device)

    # -- private ----------------------------------------------------------------------

    def _table_of(self, given: Any, parameter: str) -> TrajectoryTable:
        name = type(self).__name__
        if parameter == "weights":
            name += ".set_weights"
        reserved = 0 if self._pad else (self.sequence_length or 1) - 1
        weights = transition_weights(given, self.dataset, parameter, name)
        table = TrajectoryTable(self.dataset.offsets, weights, reserved, name)
        self._weights = table.weights.astype(self._dtype or np.float64)
        return table

    def _batch(self, rows: Integers, shares: Integers, part: slice) -> Batch:
        return self._gathered(rows[part], self._table.owners(shares[part]))

    def _gathered(self, rows: Integers, trajectories: Integers) -> Batch:
        if self.sequence_length is None:
            batch = self._rows.take(rows)
        else:
            ends = self.dataset.offsets.take(trajectories + 1)
            batch = sequences(self._rows, rows, ends, self.sequence_length)
        batch["indices"] = rows
        batch["weights"] = self._weights.take(trajectories)
        return batch
