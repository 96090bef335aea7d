"""Batches whose numbers of rows from each domain are given, step by step.

The rows of a domain come in shuffled order, so where a step begins depends on all
counts before it. These are functions of the step too, and are added up once, as the
sampler goes along or after a jump.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.sampling._counter import Shuffle
from statlearn.sampling._stream import Stream, is_whole

Integers = NDArray[np.int64]

_BLOCK_ELEMENTS = 2**16


def steps_of_block(batch_size: int, n_domains: int) -> int:
    """Return the steps of one block; never a function of ranks or of the run's end."""
    return max(1, min(1024, _BLOCK_ELEMENTS // max(batch_size, n_domains)))


class Composition(Stream):
    """A stream of batches with known counts; keeps the account of them.

    A subclass implements ``_counts(epoch, block)``, which returns the rows (S, K) that
    each step of a block takes of each domain.
    """

    batch_size: int
    _sizes: Integers
    _known: tuple[int, int, Integers]  # counts before a block of an epoch

    def _start_counting(self) -> None:
        self._known = (0, 0, np.zeros(len(self._sizes), np.int64))
        self._shuffle: tuple[int, Shuffle] | None = None

    def _counts(self, epoch: int, block: int) -> Integers:
        raise NotImplementedError

    def _counts_before(self, epoch: int, block: int) -> Integers:
        """Return the counts (K,) of all steps before a block."""
        known_epoch, start, total = self._known
        if known_epoch != epoch or start > block:
            start, total = 0, np.zeros(len(self._sizes), np.int64)
        for between in range(start, block):
            total = total + self._counts(epoch, between).sum(axis=0)
        self._known = (epoch, block, total)
        return total

    def _note(self, epoch: int, block: int, counts: Integers) -> None:
        """Add the counts (S, K) of a block to the account, if all before are known."""
        if block == 0:
            self._known = (epoch, 0, np.zeros(len(self._sizes), np.int64))
        if self._known[:2] == (epoch, block):
            total = self._known[2] + counts.sum(axis=0)
            self._known = (epoch, block + 1, total)

    def _counts_at(self, epoch: int, step: int) -> Integers:
        """Return the counts (K,) of all steps before a step."""
        block, offset = divmod(step, self._block_steps)
        total = self._counts_before(epoch, block)
        if not offset:
            return total
        return total + self._counts(epoch, block)[:offset].sum(axis=0)

    @property
    def counts_(self) -> Integers:
        """Rows (K,) handed out of each domain in this epoch, over all processes."""
        return self._counts_at(self.epoch_, self.step_).copy()

    def _shuffled(
        self, epoch: int, block: int, counts: Integers, turned: Integers | int = 0
    ) -> tuple[NDArray[np.intp], Integers]:
        """Return the domain and the row within it, (S * B,), sorted within a step.

        Parameters
        ----------
        epoch, block : int
        counts : (S, K) integers
        turned : (K,) integers
            By how many rows the order of each domain is turned to the left.
        """
        before = self._counts_before(epoch, block)
        running = before + np.cumsum(counts, axis=0)
        self._note(epoch, block, counts)
        domain, within = runs(counts)
        place = np.repeat((running - counts).ravel(), counts.ravel()) + within
        turn, position = np.divmod(place, self._sizes[domain])
        if np.any(turned):
            position = position + np.broadcast_to(turned, self._sizes.shape)[domain]
            position %= self._sizes[domain]
        return domain, self._order(epoch, domain, turn, position)

    def _order(
        self, epoch: int, domain: NDArray[np.intp], turn: Integers, position: Integers
    ) -> Integers:
        """Return rows within domains from positions in their order."""
        if self._shuffle is None or self._shuffle[0] != epoch:
            self._shuffle = (epoch, Shuffle(self._sizes, self._key, epoch))
        return self._shuffle[1].rows(domain, turn, position)

    def _progress(self, step: int) -> dict[str, Any]:
        return {"counts": self._counts_at(self.epoch_, step).tolist()}

    def _can_stand_at(self, state: Mapping[str, Any]) -> bool:
        counts = state["counts"]
        return (
            super()._can_stand_at(state)
            and isinstance(counts, (list, tuple))
            and len(counts) == len(self._sizes)
            and all(map(is_whole, counts))
            and sum(counts) == state["step"] * self.batch_size
        )

    def _restore(self, state: dict[str, Any]) -> None:
        block, offset = divmod(self._end, self._block_steps)
        total = np.array(state["counts"], dtype=np.int64)
        if offset:
            total = total - self._counts(self.epoch_, block)[:offset].sum(axis=0)
        self._known = (self.epoch_, block, total)
        self._shuffle = None


def runs(counts: Integers) -> tuple[NDArray[np.intp], Integers]:
    """Return the column of each of the counted rows, and its number in its cell."""
    n_steps, n_domains = counts.shape
    flat = counts.ravel()
    domain = np.repeat(np.tile(np.arange(n_domains), n_steps), flat)
    return domain, np.arange(len(domain)) - np.repeat(np.cumsum(flat) - flat, flat)
