"""Draws of transitions that are as likely as their trajectory says.

All transitions of a trajectory have one weight, so it is enough to draw the trajectory
by its total weight and then the transition evenly: no table is as long as the data.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from statlearn.offline_rl._weighting_base import TrajectoryWeighting
from statlearn.offline_rl.trajectory_dataset import TrajectoryDataset
from statlearn.sampling._counter import Lane, generator_at
from statlearn.sampling._table import CumulativeTable
from statlearn.utils._arrays import to_float64

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_WORDS = 4  # random numbers that a counter (Philox) gives at each of its values


class TrajectoryTable:
    """Trajectories by weight, and how many transitions of each can be drawn.

    Parameters
    ----------
    offsets : (N + 1,) integers
    weights : (N,) array
        Weight of each single transition of a trajectory.
    reserved : int
        Last transitions of each trajectory that are not drawn.
    caller : str
        For messages.
    """

    def __init__(
        self, offsets: Integers, weights: Array, reserved: int, caller: str
    ) -> None:
        lengths = np.diff(offsets)
        open_ = np.maximum(lengths - reserved, 0)
        mass = weights / weights.max() * open_
        if not mass.any():
            raise ValueError(
                f"The 'sequence_length' of {caller} must fit into a trajectory of "
                f"positive weight, the longest of which has "
                f"{lengths[weights > 0.0].max()} transitions. Got {reserved + 1}; pass "
                f"pad=True to fill up the sequences."
            )
        self._table = CumulativeTable(mass, caller)
        self._starts = offsets[:-1]
        self._open = open_.astype(np.float64)
        # Divided by their mean over all transitions that can be drawn.
        mean = mass.sum() / open_.sum()
        self.weights = np.where(open_ > 0, weights / weights.max() / mean, 0.0)
        self.checksum = crc32(open_.data, crc32(self._table.cumulative.data))

    def probabilities(self) -> Array:
        """Return the chance (N,) of each trajectory."""
        return self._table.probabilities()

    def draw(
        self, key: tuple[int, int], lane: Lane, epoch: int, start: int, stop: int
    ) -> tuple[Integers, Integers]:
        """Return draws from `start` to `stop` of an endless sequence of them.

        Returns
        -------
        rows : (stop - start,) integers
            Transitions.
        trajectories : (stop - start,) integers
            Which trajectories these belong to.
        """
        block, skipped = divmod(start, _WORDS)
        drawn, n = [], stop - block * _WORDS
        for purpose in range(2):
            generator = generator_at(key, lane, epoch, purpose)
            counter: Any = generator.bit_generator
            counter.advance(block)
            drawn.append(generator)
        trajectories = self._table.draw(drawn[0], n)[skipped:]
        place = drawn[1].random(n)[skipped:]
        # Stays below the number of transitions: the largest number below 1 times a
        # double rounds to the double before it.
        place *= self._open.take(trajectories)
        rows = place.astype(np.int64)
        rows += self._starts.take(trajectories)
        return rows, trajectories


def transition_weights(
    given: Any, dataset: TrajectoryDataset, name: str, caller: str
) -> Array:
    """Return the weight (N,) of each single transition of every trajectory.

    Parameters
    ----------
    given : TrajectoryWeighting, array-like of shape (N,) or (n,), or None
    dataset : TrajectoryDataset
    name, caller : str
        For messages.
    """
    if given is None:
        return np.ones(dataset.n_trajectories)
    if isinstance(given, TrajectoryWeighting):
        return _fitted_weights(given, dataset, name, caller)
    try:
        values, _ = to_float64(given)
    except (TypeError, ValueError):  # words, or rows of several lengths
        values = np.empty(0)
    n, n_rows = dataset.n_trajectories, dataset.n_transitions
    problem = None
    if values.shape not in ((n,), (n_rows,)):
        problem = f"{type(given).__name__} of shape {np.shape(values)}"
    elif not np.isfinite(values).all():
        problem = f"NaN or infinity, first at {np.argmin(np.isfinite(values))}"
    elif values.min() < 0.0:
        problem = f"{values.min()} at {np.argmin(values)}"
    elif not values.any():
        problem = "zeros only"
    if problem:
        raise (ValueError if values.size else TypeError)(
            f"The '{name}' of {caller} must be a weighting such as ReturnWeighting(), "
            f"or {n} numbers >= 0, not all zero: the weight of the transitions of each "
            f"trajectory. Got {problem}; pass for example "
            f"weighting.transition_probability_."
        )
    return values if len(values) == n else _shared(values, dataset, name, caller)


def _shared(values: Array, dataset: TrajectoryDataset, name: str, caller: str) -> Array:
    """Return weights (N,) of trajectories from equal ones (n,) of their transitions."""
    first = values[dataset.offsets[:-1]]
    wrong = np.flatnonzero(values != np.repeat(first, dataset.lengths))
    if len(wrong):
        raise ValueError(
            f"The '{name}' of {caller} must be the same for all transitions of a "
            f"trajectory. Got another one at transition {wrong[0]} than at the start "
            f"of its trajectory; use statlearn.sampling.WeightedSampler for weights of "
            f"single transitions."
        )
    return first


def _fitted_weights(
    weighting: TrajectoryWeighting, dataset: TrajectoryDataset, name: str, caller: str
) -> Array:
    if not hasattr(weighting, "transition_probability_"):
        weighting = clone(weighting).fit(dataset)
    elif not np.array_equal(weighting.lengths_, dataset.lengths):
        raise ValueError(
            f"The '{name}' of {caller} must be fitted to its data set, or not at all. "
            f"Got one that is fitted to {len(weighting.lengths_)} trajectories of "
            f"other lengths; pass sklearn.base.clone(weighting)."
        )
    return weighting.transition_probability_
