"""The k largest of many numbers, exactly, without holding the numbers.

Numbers come in blocks that are computed anew at each pass. A sample brackets the k-th
largest one; one pass counts what lies outside the bracket and collects what lies inside
of it, a few of n numbers, and the k-th largest is found among these (Floyd and Rivest).
A sample that misleads costs further passes, never exactness. Equal numbers count in
their order: the first ones are the larger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._state._entry import Array, Entry

# So many numbers are collected at once: one megabyte.
FEW = 131072

# Makes the passes over the numbers: each call starts from the first block. A block
# may be written over by the next.
Blocks = Callable[[], Iterable[Array]]


@dataclass(frozen=True, slots=True)
class Cut:
    """Border below the k largest numbers.

    Attributes
    ----------
    value : float
        All numbers above it are in.
    ties : int
        So many of the numbers that equal it, the first ones, are in too.
    equal : int
        Numbers that equal it.
    """

    value: float
    ties: int
    equal: int


class Above:
    """Tells which numbers lie above a cut, block after block in their order.

    Parameters
    ----------
    cut : Cut
    last : bool, default=False
        Whether the last ones of equal numbers are in instead of the first.
    """

    def __init__(self, cut: Cut, *, last: bool = False) -> None:
        if cut.ties in (0, cut.equal):  # none or all of the equal ones, in any order
            last = cut.ties > 0
            self._left = 0
        else:
            self._left = cut.equal - cut.ties if last else cut.ties
        self._value, self._last = cut.value, last

    def __call__(self, numbers: Array) -> NDArray[np.bool]:
        """Return a mask of the next block, (b,) numbers to (b,)."""
        value = self._value
        mask = numbers >= value if self._last else numbers > value
        if self._left:
            first = np.flatnonzero(numbers == value)[: self._left]
            mask[first] = not self._last
            self._left -= len(first)
        return mask


def cut_below(
    k: int, n: int, blocks: Blocks, sample: Callable[[int], Array] | None = None
) -> Cut:
    """Find the border below the k largest of n numbers.

    Parameters
    ----------
    k : int
        From 0 to n.
    n : int
    blocks : callable
        Passes over the numbers, none of them NaN.
    sample : callable, default=None
        About m of the numbers for an m; by default a pass over the blocks draws them.
    """
    if k <= 0:
        return Cut(inf, 0, 0)
    if k >= n:
        return Cut(-inf, 0, 0)
    low, high = -inf, inf  # the border lies strictly between
    beyond, inside = 0, n  # numbers >= high, numbers between
    probe = sample(_sample_size(n)) if sample is not None and n > FEW else None
    while True:
        if inside > FEW:
            if probe is None:
                probe = _strided(blocks, low, high, inside)
            first, last = _bracket(np.sort(probe), (k - beyond) / inside)
        else:
            first, last = low, high
        over, to_last, to_inner, to_first, inner = _tally(blocks, first, last, inside)
        if over < k <= to_last:
            return Cut(last, k - over, to_last - over)
        if to_inner < k <= to_first:
            return Cut(first, k - to_inner, to_first - to_inner)
        if to_last < k <= to_inner and inner is not None:
            return _cut_within(inner, k - to_last)
        if k <= over:
            low, inside = last, over - beyond
        elif k > to_first:
            high, inside, beyond = first, inside - (to_first - beyond), to_first
        else:
            low, high = first, last
            inside, beyond = to_inner - to_last, to_last
        probe = None


def _sample_size(n: int) -> int:
    return int(n ** (2 / 3))


def _bracket(probe: Array, share: float) -> tuple[float, float]:
    """Return two sampled numbers around the border below a share of the largest."""
    m = len(probe)
    guess = (1.0 - share) * m  # rank from below
    margin = 4.0 * sqrt(m * share * (1.0 - share)) + 2.0
    first = max(0, int(guess - margin))
    last = min(m - 1, int(guess + margin))
    return float(probe[first]), float(probe[last])


def _tally(
    blocks: Blocks, first: float, last: float, inside: int
) -> tuple[int, int, int, int, Array | None]:
    """Count numbers > last, >= last, > first and >= first; collect those between.

    Nothing is collected if it turns out to be many.
    """
    over = to_last = to_inner = to_first = collected = 0
    inner: list[Array] | None = []
    limit = max(FEW, inside // 8)
    for numbers in blocks():
        above, below = numbers > first, numbers < last
        over += int(np.count_nonzero(numbers > last))
        to_last += numbers.size - int(np.count_nonzero(below))
        to_inner += int(np.count_nonzero(above))
        to_first += int(np.count_nonzero(numbers >= first))
        if inner is not None:
            above &= below
            inner.append(numbers[above])
            collected += len(inner[-1])
            inner = inner if collected <= limit else None
    between = None if inner is None else np.concatenate(inner)
    return over, to_last, to_inner, to_first, between


def _cut_within(numbers: Array, k: int) -> Cut:
    """Find the border below the k largest of numbers that are at hand."""
    place = len(numbers) - k
    value = float(np.partition(numbers, place)[place])
    over = np.count_nonzero(numbers > value)
    equal = np.count_nonzero(numbers == value)
    return Cut(value, int(k - over), int(equal))


def _strided(blocks: Blocks, low: float, high: float, inside: int) -> Array:
    """Draw every so-manieth of the numbers strictly between two others."""
    step = max(1, inside // _sample_size(inside))
    drawn: list[Array] = []
    skip = 0
    for numbers in blocks():
        between = numbers[(numbers > low) & (numbers < high)]
        drawn.append(between[skip::step].copy())  # a view would keep the block
        skip = (skip - len(between)) % step
    return np.concatenate(drawn)


# --- magnitudes of updates -------------------------------------------------


def model_cuts(entry: Entry, k: int) -> list[Cut]:
    """Find the border below the k largest updates of each model of one array."""
    alone = [(Entry(entry.name, entry.base, (model,)),) for model in entry.models]
    return [magnitude_cut(k, entry.size, partial(iter, part)) for part in alone]


def magnitude_cut(k: int, n: int, entries: Callable[[], Iterable[Entry]]) -> Cut:
    """Find the border below the k largest updates of one model, by magnitude.

    Parameters
    ----------
    k : int
    n : int
        Numbers in all entries.
    entries : callable
        Passes over entries with one model; their numbers count as one vector.
    """

    def blocks() -> Iterator[Array]:
        for entry in entries():
            scratch = entry.scratch()
            for block in entry.blocks():
                updates = entry.updates(block, scratch)[0]
                yield np.abs(updates, out=updates)

    def sample(m: int) -> Array:
        return np.abs(
            np.concatenate([spread_updates(entry, m, n)[0] for entry in entries()])
        )

    return cut_below(k, n, blocks, sample)


def spread_updates(entry: Entry, m: int, n: int) -> Array:
    """Return the share of one entry in about m of n updates, (T, b) for some b."""
    wanted = -(-m * entry.size // n)
    # Steps of the golden section meet all rows and columns of a matrix alike.
    places = np.arange(wanted) * (int(0.6180339887498949 * entry.size) | 1)
    places %= max(1, entry.size)
    flat = entry.base.reshape(-1)[places]
    models = tuple(model.reshape(-1)[places] for model in entry.models)
    return Entry(entry.name, flat, models).updates()


# --- how many ------------------------------------------------------------------


def count_of(share: float, n: int) -> int:
    """Return a share of n, rounded down; 0.29 of 100 are 29, not 28."""
    return min(n, int(share * n * (1.0 + 1e-12)))
