"""Transitions of a data set by their numbers, with n-step returns if wanted."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from statlearn.offline_rl.trajectory_dataset import TrajectoryDataset

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Batch = dict[str, NDArray[Any]]

_CHUNK_BYTES = 2**22


class Rows(Protocol):
    """What gives the fields of transitions."""

    def take(self, rows: Integers, mask: Flags | None = None) -> Batch:
        """Return the fields of transitions, zeros where they are masked out.

        Parameters
        ----------
        rows : integers of any shape
        mask : bool of the same shape, or None
            Where to keep what was recorded.
        """
        ...


class RecordedRows:
    """Transitions taken from the arrays of a data set, one array after another.

    Parameters
    ----------
    dataset : TrajectoryDataset
    n_step : int
        Rewards to add up, at most.
    gamma : float
    dtype : dtype or None
        Of rewards, and of observations and actions if they are floating.
    """

    def __init__(
        self,
        dataset: TrajectoryDataset,
        n_step: int,
        gamma: float,
        dtype: np.dtype[Any] | None,
    ) -> None:
        self._dataset = dataset
        self._n_step, self._gamma, self._dtype = n_step, gamma, dtype

    def take(self, rows: Integers, mask: Flags | None = None) -> Batch:
        """Return the fields of transitions; see `Rows`."""
        data, last = self._dataset, self.last_rows(rows)
        batch = {
            "observations": self._numbers(data.observations, rows),
            "actions": self._numbers(data.actions, rows),
            "rewards": self._rewards(rows, last),
            "next_observations": self._numbers(data.next_observations, last),
            "terminations": data.terminations.take(last),
            "truncations": data.truncations.take(last),
        }
        if self._n_step > 1:
            discounts = np.power(self._gamma, last + 1 - rows)
            batch["discounts"] = self._real(discounts)
        if mask is not None:
            for values in batch.values():
                values[~mask] = 0
        return batch

    def bounds(self, rows: Integers) -> tuple[Integers, Integers]:
        """Return where the trajectories of transitions start, and where they end."""
        offsets = self._dataset.offsets
        after = np.searchsorted(offsets, rows, side="right")
        return offsets.take(after - 1), offsets.take(after)

    def last_rows(self, rows: Integers) -> Integers:
        """Return the last transitions whose rewards are added up with those given."""
        if self._n_step == 1:
            return rows
        data, last, (_, end) = self._dataset, rows.copy(), self.bounds(rows)
        for _ in range(1, self._n_step):
            # Of an episode that has ended, `last` stays where it is from then on.
            last += (last + 1 < end) & ~data.truncations.take(last)
        return last

    def _rewards(self, rows: Integers, last: Integers) -> NDArray[Any]:
        rewards = self._dataset.rewards
        if self._n_step == 1:
            return self._real(rewards.take(rows))
        total, factor = rewards.take(rows).astype(np.float64), 1.0
        for step in range(1, self._n_step):
            factor *= self._gamma
            inside = rows + step <= last
            more = rewards.take(np.where(inside, rows + step, rows))
            total += np.where(inside, factor * more, 0.0)
        return self._real(total)

    def _numbers(self, values: NDArray[Any], rows: Integers) -> NDArray[Any]:
        taken = np.take(values, rows, axis=0)
        return self._real(taken) if taken.dtype.kind == "f" else taken

    def _real(self, values: NDArray[Any]) -> NDArray[Any]:
        if self._dtype is None:
            return values
        return values.astype(self._dtype, copy=False)


class PackedRows:
    """Transitions copied into one array of records, each of which lies in one place.

    Parameters
    ----------
    source : Rows
    n : int
        Number of transitions.
    """

    def __init__(self, source: Rows, n: int) -> None:
        example = source.take(np.zeros(1, np.int64))
        self._names = tuple(example)
        fields: DTypeLike = np.dtype(
            [(name, part.dtype, part.shape[1:]) for name, part in example.items()],
            align=True,
        )
        self._records = np.empty(n, fields)
        size = max(1, _CHUNK_BYTES // self._records.itemsize)
        for start in range(0, n, size):
            rows = np.arange(start, min(start + size, n))
            for name, values in source.take(rows).items():
                self._records[name][rows[0] : rows[-1] + 1] = values

    def take(self, rows: Integers, mask: Flags | None = None) -> Batch:
        """Return the fields of transitions, views of one copy; see `Rows`."""
        taken = self._records.take(rows, mode="clip")  # the mode that needs no buffer
        if mask is not None:
            taken[~mask] = np.zeros((), taken.dtype)
        return {name: taken[name] for name in self._names}


def is_mapped(dataset: TrajectoryDataset) -> bool:
    """Tell whether an array of a data set lies in a file that is mapped into memory."""
    arrays = (dataset.observations, dataset.actions, dataset.next_observations)
    return any(_of_file(values) for values in arrays)


def _of_file(values: Any) -> bool:
    while values is not None and not isinstance(values, np.memmap):
        values = getattr(values, "base", None)
    return values is not None


def check_dtype(dtype: Any, caller: str) -> np.dtype[Any] | None:
    """Return the dtype of floating numbers, or say what it should be."""
    if dtype is None:
        return None
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.kind != "f":
        raise ValueError(
            f"The 'dtype' of {caller} must be a floating type of NumPy, or None. Got "
            f"{dtype!r}; pass for example 'float32'."
        )
    return found
