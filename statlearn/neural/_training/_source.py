"""One epoch after another from anything that gives batches, from any batch on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice
from typing import Any

from torch.utils.data import TensorDataset

from statlearn.neural._training._batch_rows import mapped
from statlearn.neural._training._batches import Batches, set_epoch
from statlearn.neural._training._identity import checksum, checksum_of_rows
from statlearn.neural._training._seeding import Key, seed_at

_END = object()


class Source:
    """Batches with seeds, and with the knowledge of which one is the last.

    Parameters
    ----------
    batches : re-iterable
        Of any batches; those of `Batches` can be entered anywhere at no cost.
    """

    def __init__(self, batches: Any) -> None:
        if hasattr(batches, "__next__") or not hasattr(batches, "__iter__"):
            raise TypeError(
                f"The 'batches' of TrainingLoop must be an object that can be gone "
                f"through in every epoch. Got {type(batches).__name__}; pass Batches, "
                f"a DataLoader or a list of batches."
            )
        self._batches = batches
        try:
            self.n_batches: int | None = len(batches)
        except TypeError:  # such as a loader of a stream
            self.n_batches = None

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Return what a run must share with this one to go on from it."""
        batches = self._batches
        own: dict[str, Any] = {}
        if isinstance(batches, Batches):
            own = batches.identity()
        elif isinstance(batches, (list, tuple)) and batches:
            # Of the last one too, which is often the smaller one.
            own = {"data": checksum(*_tensors(batches[0]), *_tensors(batches[-1]))}
        elif hasattr(batches, "dataset"):
            own = _identity_of_loader(batches)
        return {"number of batches": self.n_batches, **own}

    def epoch(
        self, key: Key, epoch: int, start: int, seed: Callable[[int], object]
    ) -> Iterator[tuple[Any, bool]]:
        """Yield the batches of an epoch, each with whether it is the last.

        Parameters
        ----------
        key : tuple of int
            Of the run.
        epoch : int
        start : int
            Batches that have been used already.
        seed : callable
            Seeds the generators that batches may be drawn with: before the epoch, as a
            loader draws its order then, and before each batch.
        """
        seed(seed_at(key, epoch, -1))
        batches = self._batches
        if isinstance(batches, Batches):
            number, iterator = start, batches.epoch(epoch, start, key=key)
        else:
            set_epoch(batches, epoch)
            number, iterator = 0, iter(batches)

        def fetch() -> Iterator[Any]:
            nonlocal number
            while True:
                seed(seed_at(key, epoch, number))
                number += 1
                batch = next(iterator, _END)
                yield batch
                if batch is _END:
                    return

        found = islice(fetch(), start - number, None)
        batch = next(found, _END)
        if batch is _END and start == 0:
            raise ValueError(
                f"The 'batches' of TrainingLoop must hold at least one batch. Got none "
                f"in epoch {epoch}; pass data, or a smaller batch_size if drop_last is "
                f"on."
            )
        while batch is not _END:
            after = next(found, _END)
            yield batch, after is _END
            batch = after


def _identity_of_loader(loader: Any) -> dict[str, Any]:
    """Return what a loader says of its data, without going through them."""
    dataset = loader.dataset
    found = {"batch_size": getattr(loader, "batch_size", None)}
    if hasattr(dataset, "__len__"):
        found["rows"] = len(dataset)
    if isinstance(dataset, TensorDataset):
        found["data"] = checksum_of_rows(*dataset.tensors)
    return found


def _tensors(batch: Any) -> list[Any]:
    """Return the tensors, arrays and lists of texts of a batch."""
    found: list[Any] = []

    def note(part: Any) -> Any:
        found.append(part)
        return part

    mapped(batch, note)
    return found
