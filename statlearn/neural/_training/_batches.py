"""Batches: rows of arrays in an order that is a function of the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from reprlib import repr
from typing import Any

import numpy as np
import torch
from torch import Tensor

from statlearn.neural._training._identity import checksum, checksum_of_rows
from statlearn.sampling._counter import Lane, generator_at, stream_key
from statlearn.utils._arrays import to_labels
from statlearn.utils._numbers import is_integer, positive_integer
from statlearn.utils._validation import read_sample_weight

Key = tuple[int, int]

# Also where torch has been told to make tensors elsewhere.
_CPU = torch.device("cpu")
# Types that torch keeps, but has no selection of rows for.
_WITHOUT_ROWS = (torch.uint16, torch.uint32, torch.uint64)


class Batch(tuple[Tensor, ...]):
    """Rows of some arrays, with the base weights and groups of these rows.

    Parameters
    ----------
    parts : iterable of tensor
        One for each array, n rows each.
    sample_weight : tensor of shape (n,), default=None
        Base weights.
    groups : ndarray or tensor of shape (n,), default=None
        Labels for a rule that looks at groups.

    Attributes
    ----------
    sample_weight : tensor of shape (n,) or None
        Base weights.
    groups : ndarray or tensor of shape (n,) or None
        Labels.

    See Also
    --------
    Batches : Makes them.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural import Batch
    >>> X, y = batch = Batch([torch.eye(2), torch.ones(2)], torch.tensor([1.0, 3.0]))
    >>> batch.sample_weight
    tensor([1., 3.])
    """

    sample_weight: Tensor | None
    groups: Any

    def __new__(
        cls,
        parts: Iterable[Tensor],
        sample_weight: Tensor | None = None,
        groups: Any = None,
    ) -> Batch:
        """Make the tuple, and note what belongs to its rows."""
        batch = super().__new__(cls, parts)
        batch.sample_weight = sample_weight
        batch.groups = groups
        return batch


class Batches:
    """Batches of arrays in memory, in another order every epoch.

    For data that fit into memory; a ``DataLoader`` does for others. An epoch without a
    sampler can be entered at any batch, at no cost, when a run is taken up again.

    Parameters
    ----------
    *arrays : tensors or ndarrays, each of n rows
        What a batch has parts of. Arrays become tensors of the same dtype; a tensor is
        used as it is, on its device.
    batch_size : int, default=None
        Rows of a batch. None is for a sampler that gives batches.
    shuffle : bool, default=True
        Whether rows come in random order.
    drop_last : bool, default=False
        Whether a last batch of fewer rows is left out; not for a sampler of batches.
    sampler : iterable of rows or of arrays of rows, default=None
        Such as the samplers of :mod:`statlearn.sampling`, instead of `shuffle`. It must
        draw the rows of all processes: ``world_size=1``.
    sample_weight : array-like of shape (n,), default=None
        Non-negative base weights. Rows without weight are in no batch, unless a sampler
        draws them.
    groups : array-like of shape (n,), default=None
        Labels for a rule that looks at groups.
    random_state : int, Generator or None, default=None
        Order of the rows. None takes the seed of the loop that goes through them.

    Attributes
    ----------
    sampler : iterable or None
        As it was given.

    See Also
    --------
    statlearn.sampling.WeightedSampler : Rows in proportion to weights.
    torch.utils.data.DataLoader : Batches of data sets that are not in memory.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural import Batches
    >>> X, y = torch.randn(10, 3), torch.arange(10)
    >>> batches = Batches(X, y, batch_size=4, random_state=0)
    >>> [len(y) for X, y in batches]
    [4, 4, 2]
    """

    def __init__(
        self,
        *arrays: Any,
        batch_size: int | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
        sampler: Any = None,
        sample_weight: Any = None,
        groups: Any = None,
        random_state: Any = None,
    ) -> None:
        self._arrays = [_as_tensor(array) for array in arrays]
        self._n = _common_length(self._arrays)
        _check_modes(batch_size, sampler, drop_last)
        self._batch_size, self.sampler = batch_size, sampler
        self._shuffle, self._drop_last = shuffle, drop_last
        self._weight, rows = None, None
        if sample_weight is not None:
            weight = read_sample_weight(sample_weight, self._arrays[0], "Batches")
            self._weight = torch.as_tensor(weight, device=_CPU)
            rows = None if weight.all() else np.flatnonzero(weight)
        self._rows = np.arange(self._n) if rows is None else rows
        self._groups = None if groups is None else to_labels(groups)
        if self._groups is not None and self._groups.shape != (self._n,):
            raise ValueError(
                f"The 'groups' of Batches must have one label for each of {self._n} "
                f"rows. Got shape {self._groups.shape}; pass labels of the same rows."
            )
        self._seed = random_state if is_integer(random_state) else None
        self._key = None if random_state is None else stream_key(random_state)
        # Where nobody gives a seed: drawn once, and never in the place of a loop's.
        self._chance: Key | None = None

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        n = len(self._rows if self.sampler is None else self.sampler)
        size = self._batch_size or 1
        return n // size if self._drop_last else -(-n // size)

    def __iter__(self) -> Iterator[Batch]:
        """Go through the first epoch."""
        return self.epoch(0)

    def epoch(
        self, epoch: int, start: int = 0, *, key: Key | None = None
    ) -> Iterator[Batch]:
        """Go through an epoch, from one of its batches on.

        Parameters
        ----------
        epoch : int
            From 0.
        start : int, default=0
            Batches to leave out.
        key : tuple of int, default=None
            Of the loop, for batches that have no seed of their own.

        Returns
        -------
        batches : iterator of Batch
            What remains of the epoch.
        """
        key = self._key or key or self._chance
        if key is None:
            key = self._chance = stream_key(None)
        return map(self._take, islice(self._order(epoch, key), start, None))

    def identity(self) -> dict[str, Any]:
        """Return what another run must share for its batches to be the same.

        Returns
        -------
        identity : dict
            Numbers of rows, sizes, the kind of sampler, and sums that other rows,
            weights or groups hardly have; kept in checkpoints.
        """
        return {
            "rows": self._n,
            "batch_size": self._batch_size,
            "shuffle": self._shuffle,
            "drop_last": self._drop_last,
            "sampler": type(self.sampler).__name__,
            "order": self._seed,
            "data": checksum_of_rows(*self._arrays),
            "sample_weight": checksum(self._weight),
            "groups": checksum(self._groups),
        }

    def _order(self, epoch: int, key: Key) -> Iterable[Tensor]:
        """Return the rows of each batch of an epoch."""
        device = self._arrays[0].device
        if self.sampler is not None:
            set_epoch(self.sampler, epoch)
            return (_read_rows(rows, self._n).to(device) for rows in self._drawn())
        rows = self._rows
        if self._shuffle:
            rows = generator_at(key, Lane.ORDER, epoch).permutation(rows)
        order = torch.as_tensor(rows, device=_CPU)
        if device.type != "cpu":
            order = order.to(device)
        return islice(order.split(self._batch_size or 1), len(self))

    def _drawn(self) -> Iterator[Any]:
        """Yield what the sampler draws for each batch of an epoch."""
        if self._batch_size is None:
            yield from self.sampler
            return
        rows = iter(self.sampler)
        while batch := list(islice(rows, self._batch_size)):
            if len(batch) == self._batch_size or not self._drop_last:
                yield batch

    def _take(self, rows: Tensor) -> Batch:
        parts = [array.index_select(0, rows) for array in self._arrays]
        if self._weight is None and self._groups is None:
            return Batch(parts)
        rows = rows.cpu()
        weight = None if self._weight is None else self._weight[rows]
        groups = None if self._groups is None else self._groups[rows.numpy()]
        return Batch(parts, weight, groups)


def _check_modes(batch_size: Any, sampler: Any, drop_last: bool) -> None:
    """Refuse sizes that are not given, or that a sampler has already set."""
    if hasattr(sampler, "__next__"):
        raise TypeError(
            f"The 'sampler' of Batches must be an object that can be gone through in "
            f"every epoch. Got {type(sampler).__name__}; pass the object that it is an "
            f"iterator of, or a list."
        )
    if batch_size is not None:
        positive_integer(batch_size, "batch_size", "Batches", "pass rows of a batch")
    elif sampler is None:
        raise ValueError(
            "The 'batch_size' of Batches must be given where no sampler gives "
            "batches. Got None; pass for example batch_size=64."
        )
    elif drop_last:
        raise ValueError(
            "The 'drop_last' of Batches must be False where a sampler gives whole "
            "batches. Got True; let the sampler leave its last batch out, or pass a "
            "sampler of rows and batch_size."
        )


def _as_tensor(array: Any) -> Tensor:
    tensor = array if isinstance(array, Tensor) else _from_array(array)
    if tensor.dtype in _WITHOUT_ROWS:
        raise TypeError(
            f"The 'arrays' of Batches must be of a type that torch can take rows of. "
            f"Got dtype {tensor.dtype}; convert them, for example to int64."
        )
    return tensor


def _from_array(array: Any) -> Tensor:
    # A copy where NumPy forbids writing, goes backwards or has the bytes of another
    # machine, none of which torch can express.
    array = np.require(array, requirements=["W"])
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if any(stride < 0 for stride in array.strides):
        array = array.copy()
    try:
        return torch.as_tensor(array, device=_CPU)
    except TypeError as error:
        raise TypeError(
            f"The 'arrays' of Batches must hold numbers. Got dtype {array.dtype}; "
            f"encode texts as numbers, and make sparse tables dense."
        ) from error


def _common_length(arrays: list[Tensor]) -> int:
    lengths = {len(array) if array.ndim else 0 for array in arrays}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            f"The 'arrays' of Batches must be at least one, all with the same number "
            f"of rows, which is not 0. Got shapes "
            f"{[tuple(array.shape) for array in arrays]}; pass arrays of the same rows."
        )
    return lengths.pop()


def _read_rows(drawn: Any, n: int) -> Tensor:
    """Return the rows (m,) of a batch as a sampler draws them, numbers below n."""
    try:
        rows = np.asarray(drawn.cpu() if isinstance(drawn, Tensor) else drawn)
    except ValueError:  # of lists of unequal length
        rows = np.asarray(drawn, dtype=object)
    if not rows.size:
        rows = rows.astype(np.int64)
    whole = rows.ndim == 1 and rows.dtype.kind in "iu"
    if not whole or (rows.size and not 0 <= rows.min() <= rows.max() < n):
        raise ValueError(
            f"The 'sampler' of Batches must draw numbers of rows, whole ones from 0 to "
            f"{n - 1}. Got {repr(drawn)} for a batch; pass batch_size for a sampler "
            f"that draws one row at a time, and leave it out for one of arrays."
        )
    return torch.from_numpy(rows.astype(np.int64))


def set_epoch(source: Any, epoch: int) -> None:
    """Tell what gives batches, or rows for them, which epoch begins."""
    for part in (source, *(getattr(source, n, None) for n in _SAMPLERS)):
        if callable(move := getattr(part, "set_epoch", None)):
            move(epoch)


_SAMPLERS = ("sampler", "batch_sampler")
