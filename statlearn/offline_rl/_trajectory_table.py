"""Draws of transitions that are as likely as their trajectory says.

All transitions of a trajectory have one weight, so it is enough to draw the trajectory
by its total weight and then the transition evenly: no table is as long as the data.

Trajectories share out as many boxes of one size as there are of them, two to a box at
most (Walker's alias method). One uniform number names the box and the share of one of
the two in it, and by its place in that share also the transition.
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
from statlearn.utils._arrays import to_float64
from statlearn.utils._validation import weight_problem

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_WORDS = 4  # random numbers that a counter (Philox) gives at each of its values
_CHUNK = 2**13  # draws at once, so that what is made of them stays in the cache
_NARROW = 2.0**-40  # a second share of a box below this is left to the first
_ROUNDING = 2.0**-51  # bounds the rounding of a place, relative to its terms


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
        # Divided by their mean over all transitions that can be drawn.
        mean = mass.sum() / open_.sum()
        self.weights = np.where(open_ > 0, weights / weights.max() / mean, 0.0)
        self._chances = mass / mass.sum()
        possible = np.flatnonzero(mass)
        self._cuts, owners = _boxes(self._chances[possible])
        owners = possible[owners]
        self._slopes, self._origins = _lines(self._cuts, offsets[owners], open_[owners])
        self._owners = owners.ravel()
        self.checksum = crc32(open_.data, crc32(self._chances.data))

    def probabilities(self) -> Array:
        """Return the chance (N,) of each trajectory."""
        return self._chances.copy()

    def draw(
        self, key: tuple[int, int], lane: Lane, epoch: int, start: int, stop: int
    ) -> tuple[Integers, Integers]:
        """Return draws from `start` to `stop` of an endless sequence of them.

        Returns
        -------
        rows : (stop - start,) integers
            Transitions.
        shares : (stop - start,) integers
            Shares of boxes that these lie in; see `owners`.
        """
        block, skipped = divmod(start, _WORDS)
        generator = generator_at(key, lane, epoch)
        counter: Any = generator.bit_generator
        counter.advance(block)
        generator.random(skipped)
        n = stop - start
        rows, shares = np.empty(n, np.int64), np.empty(n, np.int64)
        for first in range(0, n, _CHUNK):
            part = slice(first, min(first + _CHUNK, n))
            self.find(generator.random(part.stop - first), rows[part], shares[part])
        return rows, shares

    def owners(self, shares: Integers) -> Integers:
        """Return the trajectories (m,) that shares (m,) of boxes belong to."""
        return self._owners.take(shares, mode="clip")

    def find(self, numbers: Array, rows: Integers, shares: Integers) -> None:
        """Write what numbers (m,) in [0, 1) stand for; they are used up."""
        # Stays below the number of boxes: the largest number below 1 times a double
        # rounds to the double before it.
        numbers *= len(self._cuts)
        box = np.floor(numbers)
        numbers -= box  # exact
        shares[:] = box
        second = numbers >= self._cuts.take(shares, mode="clip")
        shares += shares
        shares += second
        numbers *= self._slopes.take(shares, mode="clip")
        numbers += self._origins.take(shares, mode="clip")
        rows[:] = numbers


def _boxes(chances: Array) -> tuple[Array, Integers]:
    """Return where boxes are cut in two, and which rows share them.

    Parameters
    ----------
    chances : (K,) array
        Positive, of sum 1.

    Returns
    -------
    cuts : (K,) array
        Of [0, 1], the share of the first row.
    owners : (K, 2) integers
    """
    n = len(chances)
    size = 2**62 // n  # of a box; whole numbers add up without rounding
    amounts = np.rint(chances * float(size * n)).astype(np.int64)
    amounts[np.argmax(amounts)] += size * n - amounts.sum()
    small = amounts < size
    takers, givers = np.flatnonzero(small), np.flatnonzero(~small)
    # Rows with less than a box are filled up in turn by those with more. One that has
    # given more than it could spare is itself filled up by the next.
    filled = np.cumsum(size - amounts[takers])
    spared = np.cumsum(amounts[givers] - size)
    filled = np.concatenate((np.zeros(1, np.int64), filled))
    firsts = np.minimum(amounts, size)
    firsts[givers] += spared - filled[np.searchsorted(filled, spared)]
    seconds = np.arange(n)
    seconds[takers] = givers[np.searchsorted(spared, filled[:-1], side="right")]
    seconds[givers[:-1]] = givers[1:]
    cuts = firsts / size
    cuts[cuts > 1.0 - _NARROW] = 1.0
    return cuts, np.stack((np.arange(n), seconds), axis=1)


def _lines(cuts: Array, starts: Integers, counts: Integers) -> tuple[Array, Array]:
    """Return slopes (2 K,) and origins (2 K,) of the lines from places to rows.

    Parameters
    ----------
    cuts : (K,) array
    starts, counts : (K, 2) integers
        First rows of those that share a box, and how many these are.
    """
    left = np.stack((np.zeros_like(cuts), cuts), axis=1)
    widths = np.stack((cuts, 1.0 - cuts), axis=1)
    widths = np.maximum(widths, _NARROW / 2**20)  # of a part that no number falls into
    # Rounding is monotone, so it is enough to keep clear of both ends of a part.
    slack = _ROUNDING * (starts + counts * (1.0 + left / widths))
    slopes = (counts - 2.0 * slack) / widths
    return slopes.ravel(), (starts + slack - left * slopes).ravel()


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
    problem = weight_problem(values, (n,), (n_rows,))
    if problem:
        raise (ValueError if values.size else TypeError)(
            f"The '{name}' of {caller} must be a weighting such as ReturnWeighting(), "
            f"or {n} numbers >= 0, not all zero: the weight of the transitions of each "
            f"trajectory. Got {type(given).__name__}: {problem}; pass for example "
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
