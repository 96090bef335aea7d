"""What the arrays of trajectories must be like."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.offline_rl._readers import Fields, as_array, check_rows, column, flags
from statlearn.offline_rl._recorded import Recorded
from statlearn.utils._numbers import closed_share


def check_dataset(dataset: Any, caller: str) -> None:
    """Refuse what is no data set of trajectories."""
    # Its base, since the class itself needs this file.
    if not isinstance(dataset, Recorded):
        raise TypeError(
            f"{caller} expected a TrajectoryDataset. Got {type(dataset).__name__}; "
            f"make one, for example with TrajectoryDataset.from_arrays."
        )


def check_discount(gamma: Any, caller: str) -> float:
    """Return a discount as a float, or say what it should be."""
    return closed_share(gamma, "gamma", caller, "pass 1 for the plain sum of rewards")


def checked_fields(given: dict[str, Any], caller: str) -> Fields:
    """Return the arrays of a data set, or say what is wrong with them."""
    names = ("observations", "actions", "next_observations")
    rows = {name: as_array(given[name], name, caller) for name in names}
    rows["rewards"] = column(given["rewards"], "rewards", caller)
    for name in ("terminations", "truncations"):
        rows[name] = flags(given[name], name, caller)
    check_rows(rows, caller)
    for name in names:
        if rows[name].dtype.kind not in "fiub":
            raise ValueError(
                f"The '{name}' of {caller} must be an array of numbers. Got dtype "
                f"{rows[name].dtype}; flatten them, for example with gymnasium."
            )
    shape, other = (rows[name].shape for name in ("observations", "next_observations"))
    if shape != other:
        raise ValueError(
            f"The 'next_observations' of {caller} must have the shape of the "
            f"observations, {shape}. Got {other}; pass one for each transition."
        )
    _check_rewards(rows["rewards"], "rewards", caller)
    offsets = _offsets(given["offsets"], shape[0], caller)
    _check_ends(rows["terminations"], offsets, caller)
    n = len(offsets) - 1
    tail = given["tail_rewards"]
    tail = np.zeros(n) if tail is None else column(tail, "tail_rewards", caller)
    if len(tail) != n:
        raise ValueError(
            f"The 'tail_rewards' of {caller} must hold one number for each of {n} "
            f"trajectories. Got {len(tail)}; pass 0 where there is none."
        )
    _check_rewards(tail, "tail_rewards", caller)
    return rows | {"offsets": offsets, "tail_rewards": tail}


def _check_rewards(rewards: NDArray[Any], name: str, caller: str) -> None:
    finite = np.isfinite(rewards)
    if not finite.all():
        raise ValueError(
            f"The '{name}' of {caller} must be finite. Got NaN or infinity in "
            f"{np.sum(~finite)} of {len(finite)} places, the first at "
            f"{np.argmin(finite)}; correct them, or drop their episodes."
        )


def _check_ends(
    terminations: NDArray[np.bool_], offsets: NDArray[np.int64], caller: str
) -> None:
    """Refuse trajectories that go on after a termination."""
    inside = terminations.copy()
    inside[offsets[1:] - 1] = False
    if inside.any():
        raise ValueError(
            f"The 'terminations' of {caller} must be in the last rows of trajectories. "
            f"Got {inside.sum()} before, the first in row {np.argmax(inside)}; start a "
            f"new trajectory after each, in 'offsets'."
        )


def _offsets(values: Any, n: int, caller: str) -> NDArray[np.int64]:
    """Return offsets (N + 1,) of n rows as int64."""
    array = as_array(values, "offsets", caller)
    right = array.ndim == 1 and array.size >= 2 and array.dtype.kind in "iu"
    if right:
        array = array.astype(np.int64, copy=False)
        right = array[0] == 0 and array[-1] == n and bool(np.all(np.diff(array) > 0))
    if not right:
        raise ValueError(
            f"The 'offsets' of {caller} must be increasing integers from 0 to the "
            f"number of transitions, {n}, of at least one trajectory. Got "
            f"{np.array2string(array, threshold=6)}; pass the row at which each "
            f"trajectory starts, and the number of rows."
        )
    return array
