"""Random numbers that are a function of where they are used, not of what came before.

A generator is looked up by what it is for (its lane), the epoch and the number of a
block. So a stream can be entered anywhere, and every process computes the same one.
"""

from __future__ import annotations

from enum import IntEnum
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._rng import as_generator

Words = NDArray[np.uint64]

# Irrational steps fill the unit interval evenly, those of the golden ratio most.
GOLDEN = 0.6180339887498949
# Rounds of two halves each. Halves of few bits have few functions to choose from, so
# that orders of few rows need more of them to be equally likely.
_ROUNDS, _FEW_BITS, _ROUNDS_OF_FEW = 4, 10, 16


class Lane(IntEnum):
    """What random numbers are for; each purpose has its own."""

    DRAW = 0
    CALL = 1
    COUNT = 2
    ROW = 3
    ORDER = 4
    OFFSET = 5
    SHUFFLE = 6


def stream_key(random_state: Any) -> tuple[int, int]:
    """Return the key of a stream; an integer always gives the same one."""
    first, second = as_generator(random_state).integers(
        0, 2**64, size=2, dtype=np.uint64, endpoint=False
    )
    return int(first), int(second)


def generator_at(
    key: tuple[int, int], lane: Lane, epoch: int, block: int = 0
) -> np.random.Generator:
    """Return the generator of one block, in O(1) wherever the block lies."""
    # The first word of the counter runs while numbers are drawn.
    return np.random.Generator(
        np.random.Philox(key=list(key), counter=[0, block, epoch, int(lane)])
    )


def seed_of(seed: Any, caller: str) -> int:
    """Return the seed of a stream that several processes share."""
    whole = isinstance(seed, Integral) and not isinstance(seed, bool)
    if whole and int(seed) >= 0:
        return int(seed)
    raise ValueError(
        f"The 'seed' of {caller} must be an integer >= 0, the same in all processes. "
        f"Got {seed!r}; pass for example seed=0."
    )


class Shuffle:
    """Random orders of several domains, computed row by row instead of stored.

    A network of alternating halves (Feistel) with hashes of the key as its functions
    permutes the numbers below a power of two; numbers that fall outside the domain are
    sent through it again until they are inside, which leaves a permutation of it.

    Parameters
    ----------
    sizes : (K,) positive integers
    key : tuple of int
        Of the stream.
    epoch : int
    """

    def __init__(
        self, sizes: NDArray[np.int64], key: tuple[int, int], epoch: int
    ) -> None:
        generator = generator_at(key, Lane.SHUFFLE, epoch)
        self._salt = generator.integers(0, 2**64, size=2, dtype=np.uint64)
        self._sizes = sizes.astype(np.uint64)
        bits = np.array([int(n - 1).bit_length() for n in sizes], dtype=np.uint64)
        self._few = bits <= _FEW_BITS
        self._right = bits - bits // np.uint64(2)
        self._left_mask = (np.uint64(1) << (bits // np.uint64(2))) - np.uint64(1)
        self._right_mask = (np.uint64(1) << self._right) - np.uint64(1)

    def rows(
        self,
        domain: NDArray[np.intp],
        turn: NDArray[np.int64],
        position: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Return the row at a position in the order of a domain.

        Parameters
        ----------
        domain : (m,) integers
        turn : (m,) integers
            How often the domain has been gone through; each time in a new order.
        position : (m,) integers below the size of the domain
        """
        key = _mix(domain.astype(np.uint64) + self._salt[0])
        key = _mix(key ^ (turn.astype(np.uint64) + self._salt[1]))
        few = self._few[domain]
        if few.all() or not few.any():
            return self._walk(domain, key, position, bool(few[:1].any()))
        out = np.empty(len(domain), np.int64)
        for part, is_few in ((few, True), (~few, False)):
            out[part] = self._walk(domain[part], key[part], position[part], is_few)
        return out

    def _walk(
        self,
        domain: NDArray[np.intp],
        key: Words,
        position: NDArray[np.int64],
        few: bool,
    ) -> NDArray[np.int64]:
        """Encipher until every row (m,) is inside its domain."""
        n_rounds = _ROUNDS_OF_FEW if few else _ROUNDS
        value = self._encipher(position.astype(np.uint64), domain, key, n_rounds)
        outside = np.flatnonzero(value >= self._sizes[domain])
        while outside.size:
            again = domain[outside]
            moved = self._encipher(value[outside], again, key[outside], n_rounds)
            value[outside] = moved
            outside = outside[moved >= self._sizes[again]]
        return value.astype(np.int64)

    def _encipher(
        self, value: Words, domain: NDArray[np.intp], key: Words, n_rounds: int
    ) -> Words:
        right_bits = self._right[domain]
        left_mask, right_mask = self._left_mask[domain], self._right_mask[domain]
        left, right = value >> right_bits, value & right_mask
        for _ in range(n_rounds):
            key = key + np.uint64(0x9E3779B97F4A7C15)
            left = left ^ (_mix(right ^ key) & left_mask)
            key = key + np.uint64(0x9E3779B97F4A7C15)
            right = right ^ (_mix(left ^ key) & right_mask)
        return (left << right_bits) | right


def _mix(words: Words) -> Words:
    """Hash 64 bits to 64 bits so that each depends on all (the SplitMix64 finish)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
