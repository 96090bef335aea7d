"""One epoch after another from anything that gives batches, from any batch on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from torch.utils.data import TensorDataset

from statlearn.neural._training._batch_rows import mapped
from statlearn.neural._training._batches import Batches, set_epoch
from statlearn.neural._training._distributed import World
from statlearn.neural._training._identity import checksum, checksum_of_rows
from statlearn.neural._training._seeding import Key, seed_at

# What comes after the last batch.
END = object()


class Source:
    """Batches with seeds, and with the knowledge of which one is the last.

    Parameters
    ----------
    batches : re-iterable
        Of any batches; those of `Batches` without a sampler can be entered anywhere
        at no cost.
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

    def check_lengths(self, world: World) -> None:
        """Refuse numbers of batches with which processes would wait for each other."""
        if world.size == 1:
            return
        found = world.gather_labels([self.n_batches])
        if len(set(found)) > 1:
            raise ValueError(
                f"The number of 'batches' of TrainingLoop must be the same in all "
                f"processes, which average gradients after each. Got {found}; divide "
                f"the rows evenly, or repeat some."
            )

    def epoch(
        self, key: Key, epoch: int, start: int, seed: Callable[[int], object]
    ) -> Iterator[Any]:
        """Yield the batches of an epoch, each drawn when it is asked for.

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
        # Torch's samplers draw a whole epoch with the seed of its first batch, so what
        # they give is gone through from there, as are loaders.
        if isinstance(batches, Batches):
            number = start if batches.sampler is None else 0
            iterator = batches.epoch(epoch, number, key=key)
        else:
            set_epoch(batches, epoch)
            number, iterator = 0, iter(batches)
        while True:
            seed(seed_at(key, epoch, number))
            batch = next(iterator, END)
            if batch is END:
                break
            number += 1
            if number > start:
                yield batch
        if number <= start:
            count = number if self.n_batches is None else min(number, self.n_batches)
            raise ValueError(
                f"The number of 'batches' of TrainingLoop must be at least {start + 1} "
                f"in epoch {epoch}, of which {start} have been used. Got {count}; pass "
                f"the batches that the epoch began with, or more data, or a smaller "
                f"batch_size if drop_last is on."
            )


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
