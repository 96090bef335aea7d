"""Where trajectories start and end in a long record, and which rows can be used.

A row without a next observation is no transition: it is left out, and its reward is
set aside, so that the return of its trajectory stays complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.exceptions import DroppedRowsWarning
from statlearn.utils._warn import warn

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Segments:
    """Trajectories as ranges of rows of the record.

    Attributes
    ----------
    starts : ndarray of shape (N,)
        First row of each trajectory.
    lengths : ndarray of shape (N,)
        Number of its transitions, at least 1.
    tail_rewards : ndarray of shape (N,)
        Reward of the row after the last transition, where there is one that has no
        next observation; else 0.
    cut : ndarray of bool, shape (N,)
        Whether the record of the trajectory ends without its being terminated.
    without_next : ndarray of bool, shape (N,)
        Whether the last transition is terminal and the record does not hold its next
        observation.
    """

    starts: Integers
    lengths: Integers
    tail_rewards: Array
    cut: Flags
    without_next: Flags


def rows_of(starts: Integers, lengths: Integers) -> slice | Integers:
    """Return the rows of ranges one after another, as a slice if they are adjacent."""
    if np.array_equal(starts[1:], starts[:-1] + lengths[:-1]):
        return slice(int(starts[0]), int(starts[-1] + lengths[-1]))
    ends = np.cumsum(lengths)
    rows = np.arange(ends[-1])
    rows += np.repeat(starts - (ends - lengths), lengths)
    return rows


def rows_at(values: NDArray[Any], rows: slice | Integers) -> NDArray[Any]:
    """Return rows of an array: a view for a slice, else a copy."""
    # Several times as fast as values[rows].
    if isinstance(rows, slice):
        return values[rows]
    # Plain, since a copy of what is mapped into memory is not mapped itself.
    return np.take(np.asarray(values), rows, axis=0)


def offsets_of(lengths: Integers) -> Integers:
    """Return where each of the ranges starts, and where the last one ends."""
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))


def segment(
    rewards: NDArray[Any],
    terminals: Flags,
    timeouts: Flags | None,
    *,
    has_next: bool,
    max_episode_steps: int | None,
    keep_incomplete: bool,
    autoreset_rows: bool,
    caller: str,
) -> Segments:
    """Cut a record of n rows into trajectories.

    Parameters
    ----------
    rewards : (n,) array
    terminals, timeouts : (n,) bool
        Where an episode ended by itself, and where it was cut off.
    has_next : bool
        Whether next observations are recorded. If not, that of a row is the
        observation of the next row of the same trajectory.
    max_episode_steps : int or None
        Rows after which an episode is cut off.
    keep_incomplete : bool
        Whether rows after the last end are a trajectory.
    autoreset_rows : bool
        Whether the row after an end shows the reset and belongs to no trajectory.
    caller : str
        For messages.
    """
    n, gap = len(rewards), int(autoreset_rows)
    ends = terminals if timeouts is None else terminals | timeouts
    if autoreset_rows:
        _check_autoreset(rewards, ends, caller)
    if max_episode_steps is not None:
        ends = _with_limit(ends, max_episode_steps)
    last = np.flatnonzero(ends)
    trailing = n - (int(last[-1]) + 1 + gap if len(last) else 0)
    if trailing > 0 and keep_incomplete:
        last = np.append(last, n - 1)
    elif trailing > 0:
        _warn_of_trailing(trailing, n, len(last), caller)
    starts = np.concatenate(([0], last[:-1] + (1 + gap)))
    # The row after an end shows the final observation only if it is a reset row.
    unseen = (last + gap >= n) if autoreset_rows else np.ones(len(last), bool)
    unseen &= not has_next
    dropped = unseen & ~terminals[last]
    lengths = last + 1 - starts - dropped
    tail = np.where(dropped, rewards[last], 0.0).astype(np.float64)
    used = lengths > 0
    if not used.all():
        warn_of_short(int(np.sum(~used)), len(used), caller)
    by_itself = terminals[last]
    return Segments(
        starts[used],
        lengths[used],
        tail[used],
        ~by_itself[used],
        (unseen & by_itself)[used],
    )


def _with_limit(ends: Flags, limit: int) -> Flags:
    """Return the ends (n,) together with those of every `limit` rows in between."""
    last = np.flatnonzero(ends)
    starts = np.concatenate(([0], last + 1))
    step = np.arange(len(ends))
    step -= np.repeat(starts, np.diff(np.append(starts, len(ends))))
    return ends | (step % limit == limit - 1)


def _check_autoreset(rewards: NDArray[Any], ends: Flags, caller: str) -> None:
    after = np.flatnonzero(ends[:-1]) + 1
    wrong = after[(rewards[after] != 0) | ends[after]]
    if len(wrong):
        raise ValueError(
            f"With autoreset_rows=True, {caller} expected a row of reward 0 that ends "
            f"nothing after each end of an episode. Got another one in {len(wrong)} of "
            f"{len(after)} places, the first at row {wrong[0]}; pass "
            f"autoreset_rows=False if resets are not recorded."
        )


def _warn_of_trailing(trailing: int, n: int, n_complete: int, caller: str) -> None:
    if n_complete == 0:
        raise ValueError(
            f"{caller} expected at least one episode that ends. Got {n} rows without "
            f"any terminal or timeout; pass timeouts or max_episode_steps, or "
            f"on_incomplete='keep' to take all rows as one trajectory."
        )
    warn(
        f"{caller} expected the last row to end an episode. Got {trailing} rows of "
        f"{n} after the last end, which are left out because their return is not "
        f"known; pass on_incomplete='keep' to take them as a trajectory.",
        DroppedRowsWarning,
    )


def warn_of_short(n_short: int, n: int, caller: str) -> None:
    """Say how many of n episodes have no transition; raise if none has one."""
    if n_short == n:
        raise ValueError(
            f"{caller} expected a trajectory with at least one transition. Got {n} "
            f"episodes of at most one row, without a next observation; pass "
            f"next_observations."
        )
    warn(
        f"{caller} expected a transition in every episode. Got {n_short} of {n} "
        f"episodes without one, which are left out; pass next_observations to keep "
        f"those of one row.",
        DroppedRowsWarning,
    )
