"""The arrays of one name in base and models, read as float64 by blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._state._powers_of_two import in_units, unit_of

Array = NDArray[np.float64]

# Most and fewest numbers in a block, and how many blocks a smaller array has: a call on
# fewer numbers costs more than the arithmetic, and several blocks are held at a time.
BLOCK, LEAST_BLOCK, BLOCKS = 32768, 4096, 8


@dataclass(frozen=True, slots=True)
class Entry:
    """The arrays of one name: that of the base, and one of each model.

    Attributes
    ----------
    name : str
        Key in the state dicts.
    base : ndarray of shape (...)
        Array of the base, in its own floating type.
    models : tuple of ndarray of shape (...)
        Arrays of the models, in theirs.
    """

    name: str
    base: NDArray[Any]
    models: tuple[NDArray[Any], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of each of the arrays."""
        return self.base.shape

    @property
    def size(self) -> int:
        """Numbers in each of the arrays."""
        return self.base.size

    @property
    def block_size(self) -> int:
        """Most numbers in a block, a small part of what the arrays hold."""
        return min(BLOCK, max(LEAST_BLOCK, -(-self.size // BLOCKS)))

    def blocks(self, size: int | None = None) -> Iterator[slice]:
        """Cut the flat arrays into slices of at most `size` numbers."""
        step = size or self.block_size
        for start in range(0, self.size, step):
            yield slice(start, min(start + step, self.size))

    def start(self, block: slice = slice(None), out: Array | None = None) -> Array:
        """Return numbers of the flat base, (b,) float64, in `out` if it is given."""
        flat = self.base.reshape(-1)[block]
        if out is None:
            return flat.astype(np.float64)
        out[: len(flat)] = flat
        return out[: len(flat)]

    def values(self, block: slice = slice(None), out: Array | None = None) -> Array:
        """Return numbers of the flat models, (T, b) float64, in `out` if given."""
        first, last, _ = block.indices(self.size)
        values = self.scratch(last - first) if out is None else out[:, : last - first]
        for row, model in zip(values, self.models, strict=True):
            row[:] = model.reshape(-1)[block]
        return values

    def updates(self, block: slice = slice(None), out: Array | None = None) -> Array:
        """Return what the models differ by from the base, flat, (T, b) float64."""
        updates = self.values(block, out)
        updates -= self.base.reshape(-1)[block]  # the difference is taken in float64
        return updates

    def scratch(self, length: int | None = None) -> Array:
        """Return memory for a block of all models, to be used again and again.

        Memory that is new for each block costs more than the arithmetic on it.
        """
        length = self.block_size if length is None else length
        return np.empty((len(self.models), min(length, self.size)))


def in_unit(entry: Entry) -> tuple[Entry, int]:
    """Return an entry in a unit in which products are doubles, and the power of two.

    Finite numbers are times two to this power what they were. Those of fewer than 64
    bits always have products.
    """
    if entry.base.dtype.itemsize < 8:
        return entry, 0
    arrays = (entry.base, *entry.models)
    power = unit_of(array.reshape(-1) for array in arrays)
    if not power:
        return entry, 0
    base, *models = (in_units(array.astype(np.float64), power) for array in arrays)
    return Entry(entry.name, base, tuple(models)), power
