"""Rows drawn in proportion to their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from statlearn.sampling._counter import Lane, generator_at
from statlearn.sampling._stream import (
    Stream,
    check_batch_size,
    check_ranks,
    check_shared_seed,
    is_whole,
)
from statlearn.sampling._table import CumulativeTable
from statlearn.utils._numbers import positive_integer

_CHUNK = 2**16  # draws that share one generator


class WeightedSampler(Stream):
    """Draw rows with replacement, each in proportion to its weight.

    For weights that change seldom. Takes any number of rows, never draws a row of
    weight zero, and can be stopped and taken up again at any draw. An epoch draws
    other rows than the one before. Give it to a loader of PyTorch as its `sampler`, or
    as its `batch_sampler` if `batch_size` is given.

    Parameters
    ----------
    weights : array-like or torch tensor of shape (n,)
        Non-negative, in any unit: the result of a rule of :mod:`statlearn.weights`,
        for example.
    n_samples : int, default=None
        Draws of an epoch, over all processes; n by default. It is rounded up to a
        multiple of `world_size`.
    batch_size : int, default=None
        Rows of a batch, over all processes. By default rows come one by one.
    random_state : int, Generator or None, default=None
        Seed. Several processes need the same integer.
    rank : int, default=0
        Number of this process.
    world_size : int, default=1
        Number of processes that share the draws: each takes every `world_size`-th.

    Attributes
    ----------
    n_samples_ : int
        Draws of an epoch, over all processes.
    step_ : int
        Items handed out in this epoch.
    epoch_ : int
        Number of the epoch, from 0.

    See Also
    --------
    DomainBatchSampler : Weights that belong to domains, not to rows, and change.
    statlearn.weights.get_rule : Weights from losses, residuals or groups.
    torch.utils.data.WeightedRandomSampler : At most 2^24 rows, cannot be resumed.

    Notes
    -----
    O(n) to build and O(1) on average for a draw, in float64: cumulative sums of the
    weights, 8 bytes a row, with an index into them of 16 bytes a row but 16 MB at most.
    The random numbers are those of a counter (Philox), keyed by the seed, the epoch and
    the position.

    References
    ----------
    Hui-Chuan Chen, Yoshinori Asau. On Generating Random Variates from an Empirical
    Distribution. AIIE Transactions, 1974.

    Examples
    --------
    >>> from statlearn.sampling import WeightedSampler
    >>> sampler = WeightedSampler([1, 0, 3], n_samples=4, random_state=0)
    >>> sampler.probabilities_
    array([0.25, 0.  , 0.75])
    >>> len(list(sampler))
    4
    """

    def __init__(
        self,
        weights: Any,
        *,
        n_samples: int | None = None,
        batch_size: int | None = None,
        random_state: Any = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        name = type(self).__name__
        rank, world_size = check_ranks(rank, world_size, name)
        check_shared_seed(random_state, world_size, name)
        self._table = CumulativeTable(weights, name)
        if n_samples is None:
            n_samples = len(self._table.cumulative)
        n_samples = positive_integer(n_samples, "n_samples", name, "pass the draws")
        self.n_samples_ = -(-n_samples // world_size) * world_size
        self.batch_size = batch_size
        if batch_size is None:
            self._stride = self._width = world_size
        else:
            self._width = check_batch_size(batch_size, world_size, name)
        self._block_steps = max(1, _CHUNK // self._width)
        super().__init__(
            -(-self.n_samples_ // self._width), random_state, rank, world_size
        )
        self._n_calls = 0
        self._checksum: int | None = None

    @property
    def probabilities_(self) -> NDArray[np.float64]:
        """Chance (n,) of each row to be the next one."""
        return self._table.probabilities()

    def sample(self, n: int) -> NDArray[np.int64]:
        """Draw rows at once, apart from the iteration.

        Parameters
        ----------
        n : int
            Number of draws.

        Returns
        -------
        rows : ndarray of shape (n,)
            Other ones in every call. Not divided between processes.
        """
        n = positive_integer(n, "n", f"{type(self).__name__}.sample", "pass the draws")
        generator = generator_at(self._key, Lane.CALL, 0, self._n_calls)
        self._n_calls += 1
        return self._table.draw(generator, n)

    def _block(self, epoch: int, block: int) -> list[Any]:
        start = block * self._block_steps * self._width
        stop = min(start + self._block_steps * self._width, self.n_samples_)
        rows = self._drawn(epoch, start, stop)[self._rank :: self._world_size]
        if self.batch_size is None:
            items: list[Any] = rows.tolist()
            return items
        # The last batch of an epoch may be shorter.
        share = self._width // self._world_size
        return [rows[i : i + share] for i in range(0, len(rows), share)]

    def _drawn(self, epoch: int, start: int, stop: int) -> NDArray[np.int64]:
        """Return draws from `start` to `stop` of the stream of all processes."""
        first, last = start // _CHUNK, -(-stop // _CHUNK)
        chunks = [
            self._table.draw(
                generator_at(self._key, Lane.DRAW, epoch, chunk),
                # Whole, so that their draws do not depend on where the epoch ends.
                _CHUNK if chunk + 1 < last else stop - chunk * _CHUNK,
            )
            for chunk in range(first, last)
        ]
        rows = chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
        return rows[start - first * _CHUNK :]

    def _identity(self) -> dict[str, Any]:
        if self._checksum is None:
            self._checksum = crc32(self._table.cumulative.data)
        return {
            "weights": self._checksum,
            "n_samples": self.n_samples_,
            "batch_size": self.batch_size,
        }

    def _progress(self, step: int) -> dict[str, Any]:
        return {"calls": self._n_calls}

    def _can_stand_at(self, state: Mapping[str, Any]) -> bool:
        return super()._can_stand_at(state) and is_whole(state["calls"])

    def _restore(self, state: dict[str, Any]) -> None:
        self._n_calls = int(state["calls"])
