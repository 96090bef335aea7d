"""Batches of the numbers of transitions, as a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.offline_rl._trajectory_table import TrajectoryTable
from statlearn.sampling._counter import Lane
from statlearn.sampling._stream import (
    Stream,
    check_batch_size,
    check_ranks,
    check_shared_seed,
    is_whole,
)
from statlearn.utils._numbers import positive_integer

Integers = NDArray[np.int64]
Ahead = tuple[int, Integers, Integers]  # number of the first draw; what was drawn
Drawn = tuple[Integers, Integers, slice]  # of which only a part is meant

_MOST_AHEAD = 2**20  # draws at once


def drawn_ahead(size: int, prefetch: int) -> int:
    """Return how many batches of a size are drawn at once."""
    return max(1, min(prefetch, _MOST_AHEAD // size))


class TransitionBatches(Stream):
    """Numbers of transitions, in batches; each a function of epoch and step.

    Parameters
    ----------
    table : TrajectoryTable
    batch_size : int
        Draws of a batch, over all processes.
    n_batches : int or None
        Batches of an epoch; by default as many draws as there are transitions.
    n_transitions : int
    prefetch : int
        Batches drawn at once.
    random_state : int, Generator or None
    rank, world_size : int
    caller : str
        For messages.
    """

    def __init__(
        self,
        table: TrajectoryTable,
        *,
        batch_size: int,
        n_batches: int | None,
        n_transitions: int,
        prefetch: int,
        random_state: Any,
        rank: int,
        world_size: int,
        caller: str,
    ) -> None:
        rank, world_size = check_ranks(rank, world_size, caller)
        check_shared_seed(random_state, world_size, caller)
        self.batch_size = check_batch_size(batch_size, world_size, caller)
        prefetch = positive_integer(
            prefetch, "prefetch", caller, "pass the batches to draw at once"
        )
        if n_batches is None:
            n_batches = -(-n_transitions // self.batch_size)
        n_batches = positive_integer(
            n_batches, "n_batches", caller, "pass the batches of an epoch"
        )
        self._table = table
        self._prefetch = prefetch
        self._block_steps = drawn_ahead(self.batch_size, prefetch)
        super().__init__(n_batches, random_state, rank, world_size)

    @property
    def probabilities_(self) -> NDArray[np.float64]:
        """Chance (N,) of each trajectory."""
        return self._table.probabilities()

    def _block(self, epoch: int, block: int) -> list[Any]:
        rows, _ = self._draws(epoch, block)
        return [rows[part] for part in self._parts(rows)]

    def _draws(self, epoch: int, block: int) -> tuple[Integers, Integers]:
        """Return what is drawn in a block, as far as it is for this process."""
        first = block * self._block_steps
        last = min(first + self._block_steps, self._n_steps)
        rows, shares = self._table.draw(
            self._key,
            Lane.DRAW,
            epoch,
            first * self.batch_size,
            last * self.batch_size,
        )
        if self._world_size == 1:
            return rows, shares
        mine = slice(self._rank, None, self._world_size)
        return rows[mine].copy(), shares[mine].copy()

    def _parts(self, rows: Integers) -> list[slice]:
        """Return where the batches of a block lie in it."""
        size = self.batch_size // self._world_size
        return [slice(i, i + size) for i in range(0, len(rows), size)]

    def _identity(self) -> dict[str, Any]:
        return {
            "weights": self._table.checksum,
            "batch_size": self.batch_size,
            "n_batches": self._n_steps,
        }


class TransitionDraws(TransitionBatches):
    """Transitions and the shares of the table they lie in, in batches or any number.

    Batches of the iteration are drawn in blocks; so are draws apart from it, which have
    random numbers of their own in every process. Both are kept for later calls.
    """

    def __init__(self, table: TrajectoryTable, **options: Any) -> None:
        super().__init__(table, **options)
        self._n_apart = 0
        self._start_over()

    def _start_over(self) -> None:
        """Forget what was drawn ahead."""
        self._running: Iterator[Any] = iter(())
        empty = np.empty(0, np.int64)
        self._ahead: Ahead = (0, empty, empty)

    def _change(self, table: TrajectoryTable) -> None:
        """Go on with the draws of another table."""
        self._table = table
        self._start_over()
        self._seek(self.epoch_, self.step_)

    def _block(self, epoch: int, block: int) -> list[Any]:
        rows, shares = self._draws(epoch, block)
        return [(rows, shares, part) for part in self._parts(rows)]

    def _next(self, size: int | None, method: str, parameter: str) -> Drawn:
        """Return rows, shares, and where in them the next draws are."""
        if size is None or size == self.batch_size // self._world_size:
            for drawn in self._running:
                return drawn
            self._running = super().__iter__()
            return next(self._running)
        size = positive_integer(
            size, parameter, f"{type(self).__name__}.{method}", "pass the draws"
        )
        first, rows, shares = self._ahead
        start, stop = self._n_apart, self._n_apart + size
        if start < first or stop > first + len(rows):
            first, ahead = start, size * drawn_ahead(size, self._prefetch)
            rows, shares = self._table.draw(
                self._key, Lane.CALL, self._rank, start, start + ahead
            )
            self._ahead = (first, rows, shares)
        self._n_apart = stop
        return rows, shares, slice(start - first, stop - first)

    def __getstate__(self) -> dict[str, Any]:
        """Leave what was drawn ahead out of a pickle."""
        state = super().__getstate__()
        return {k: v for k, v in state.items() if k not in ("_running", "_ahead")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Stand where the pickled sampler stood."""
        super().__setstate__(state)
        self._start_over()

    def _progress(self, step: int) -> dict[str, Any]:
        return {"calls": self._n_apart}

    def _can_stand_at(self, state: Mapping[str, Any]) -> bool:
        return super()._can_stand_at(state) and is_whole(state["calls"])

    def _restore(self, state: dict[str, Any]) -> None:
        self._n_apart = int(state["calls"])
        self._start_over()
