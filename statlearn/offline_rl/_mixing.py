"""Trajectories chosen, joined and mixed.

Functions take and return the arrays of a :class:`TrajectoryDataset` by their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.offline_rl._readers import Fields, join
from statlearn.offline_rl._segmentation import offsets_of, rows_at, rows_of
from statlearn.utils._numbers import (
    closed_share,
    is_integer,
    positive_integer,
    real_number,
)

Integers = NDArray[np.int64]

_PER_TRAJECTORY = ("offsets", "tail_rewards")


def take(fields: Fields, chosen: Integers) -> Fields:
    """Return trajectories in the order given; views where they are adjacent."""
    offsets = fields["offsets"]
    lengths = np.diff(offsets)[chosen]
    rows = rows_of(offsets[chosen], lengths)
    out = {
        name: rows_at(values, rows)
        for name, values in fields.items()
        if name not in _PER_TRAJECTORY
    }
    return out | {
        "offsets": offsets_of(lengths),
        "tail_rewards": fields["tail_rewards"][chosen],
    }


def concatenate(parts: Sequence[Fields]) -> Fields:
    """Return the trajectories of all parts, one part after another."""
    joined = {
        name: join([part[name] for part in parts], name)
        for name in parts[0]
        if name != "offsets"
    }
    lengths = np.concatenate([np.diff(part["offsets"]) for part in parts])
    return joined | {"offsets": offsets_of(lengths)}


def read_choice(indices: Any, n: int, caller: str) -> Integers:
    """Return positions of trajectories from integers or a mask (n,)."""
    array = np.asarray(indices)
    if array.dtype == bool:
        if array.shape != (n,):
            raise ValueError(
                f"A mask for {caller} must have shape ({n},). Got {array.shape}; pass "
                f"True or False for each trajectory."
            )
        array = np.flatnonzero(array)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
        found = f"{array.dtype} of shape {array.shape}" if array.size else "none"
        raise ValueError(
            f"{caller} expected positions of at least one trajectory. Got {found}; "
            f"pass a list of integers, or a mask that is True somewhere."
        )
    chosen = array.astype(np.int64)
    if chosen.min() < -n or chosen.max() >= n:
        raise ValueError(
            f"{caller} expected positions from {-n} to {n - 1}. Got {chosen.min()} to "
            f"{chosen.max()}; there are {n} trajectories."
        )
    return np.where(chosen < 0, chosen + n, chosen)


def split(
    n: int, test_size: Any, generator: np.random.Generator, caller: str
) -> tuple[Integers, Integers]:
    """Return positions of trajectories to learn from and to hold out, ascending."""
    if is_integer(test_size):
        n_test = int(test_size)
    else:
        share = real_number(test_size, "test_size", caller)
        n_test = max(1, round(share * n)) if 0.0 < share < 1.0 else 0
    if not 0 < n_test < n:
        raise ValueError(
            f"The 'test_size' of {caller} must leave a trajectory on each side: a "
            f"share in (0, 1) or a number below {n}. Got {test_size!r} for {n} "
            f"trajectories; pass for example 0.25."
        )
    order = generator.permutation(n)
    return np.sort(order[n_test:]), np.sort(order[:n_test])


def mixture(
    good: Integers,
    bad: Integers,
    ratio: float,
    size: int | None,
    generator: np.random.Generator,
) -> tuple[Integers, Integers]:
    """Return which trajectories of lengths `good` and `bad` make a mixture.

    Parameters
    ----------
    good, bad : (N,) integers
        Lengths of the trajectories.
    ratio : float
        Share of good transitions.
    size : int or None
        Number of transitions; that of the good ones by default.
    """
    caller = "TrajectoryDataset.mix"
    ratio = closed_share(ratio, "ratio", caller, "pass the share of good transitions")
    if size is not None:
        size = positive_integer(size, "size", caller, "pass a number of transitions")
    total = int(good.sum()) if size is None else size
    empty = np.empty(0, np.int64)
    chosen, n_rows = empty, 0
    if ratio > 0.0:
        # One more than fits, so that there is at least one.
        chosen = _drawn(good, int(ratio * total) + 1, generator, replace=True)
        n_rows = int(good[chosen].sum())
    rest = total - n_rows
    filled = _drawn(bad, rest, generator, replace=False) if rest > 0 else empty
    return chosen, filled


def _drawn(
    lengths: Integers, wanted: int, generator: np.random.Generator, *, replace: bool
) -> Integers:
    """Draw trajectories until they have the wanted number of transitions.

    Without replacement every trajectory comes once before any comes again.
    """
    n, blocks, reached = len(lengths), [], 0
    while reached < wanted:
        block = generator.integers(n, size=n) if replace else generator.permutation(n)
        total = reached + np.cumsum(lengths[block])
        block = block[: int(np.searchsorted(total, wanted)) + 1]
        reached = int(total[min(len(block), n) - 1])
        blocks.append(block)
    return np.concatenate(blocks)
