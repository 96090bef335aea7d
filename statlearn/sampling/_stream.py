"""What all samplers share: a place in a stream, and the share of one process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from operator import length_hint
from typing import Any

from statlearn.sampling._counter import stream_key
from statlearn.utils._numbers import is_integer, positive_integer, real_number

_LAST_WORD = 2**64 - 1  # of the counter that random numbers are made from


class Stream:
    """A stream of ``n_steps`` items an epoch, each a function of epoch and step.

    A subclass sets ``_block_steps`` and implements ``_block(epoch, block)``, which
    returns a list of the items of that block, and ``_identity()``, which names what
    else the stream depends on.

    Parameters
    ----------
    n_steps : int
    random_state : int, Generator or None
    rank, world_size : int
    """

    _block_steps = 1
    _stride = 1  # of the shared stream that one item of this process stands for

    def __init__(
        self, n_steps: int, random_state: Any, rank: int, world_size: int
    ) -> None:
        self._n_steps = n_steps
        self._key = stream_key(random_state)
        self._rank, self._world_size = rank, world_size
        self._items: list[Any] = []
        self._seek(0, 0)

    def _seek(self, epoch: int, step: int) -> None:
        self._items.clear()  # ends an iteration that is under way
        self.epoch_, self._end = epoch, step
        self._pending: Iterator[Any] = iter(self._items)

    @property
    def step_(self) -> int:
        """Number of items handed out in this epoch."""
        # Counted by the iterator, in C, instead of here at every item.
        return self._end - length_hint(self._pending)

    def __len__(self) -> int:
        """Return the number of items of one epoch."""
        return self._n_steps

    def __iter__(self) -> Iterator[Any]:
        """Iterate from where the sampler stands to the end of the epoch.

        At its end, start the next epoch.
        """
        return chain.from_iterable(self._blocks())

    def _blocks(self) -> Iterator[Iterator[Any]]:
        if self.step_ == self._n_steps:
            self._seek(self.epoch_ + 1, 0)
        while (start := self.step_) < self._n_steps:
            block, offset = divmod(start, self._block_steps)
            items = self._block(self.epoch_, block)
            del items[:offset]
            self._seek(self.epoch_, start)
            self._items, self._pending = items, iter(items)
            self._end = start + len(items)
            yield self._pending

    def _item_at(self, step: int, name: str) -> Any:
        step = self._checked_step(step, name, self._n_steps - 1)
        block, offset = divmod(step, self._block_steps)
        return self._block(self.epoch_, block)[offset]

    def _checked_step(self, step: Any, name: str, last: int) -> int:
        if is_whole(step, last):
            return int(step)
        raise ValueError(
            f"The 'step' of {type(self).__name__}.{name} must be an integer from 0 to "
            f"{last}. Got {step!r}; count from zero in every epoch."
        )

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch; each has its own random numbers.

        An iteration that begins at the end of an epoch does so by itself.

        Parameters
        ----------
        epoch : int
            From 0.
        """
        if not is_whole(epoch, _LAST_WORD):
            raise ValueError(
                f"The 'epoch' of {type(self).__name__}.set_epoch must be an integer "
                f">= 0. Got {epoch!r}; pass 0, 1, 2, ..."
            )
        self._seek(int(epoch), 0)

    def state_dict(self, step: int | None = None) -> dict[str, Any]:
        """Return all that is needed to go on from here, as plain numbers and text.

        Parameters
        ----------
        step : int, default=None
            Number of items used in this epoch. By default what was handed out, which
            is more than that where a loader with workers reads ahead.

        Returns
        -------
        state : dict
            The same on every rank; it may be loaded with another ``world_size``.
        """
        if step is None:
            step = self.step_
        step = self._checked_step(step, "state_dict", self._n_steps)
        return {
            "sampler": type(self).__name__,
            **self._identity(),
            "key": list(self._key),
            "epoch": self.epoch_,
            "step": step * self._stride,
            **self._progress(step),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where a sampler of the same settings was.

        Parameters
        ----------
        state : dict
            What `state_dict` returned.

        Raises
        ------
        TypeError
            If the state is no dict.
        ValueError
            If it belongs to other data or settings, or no sampler has given it.
        """
        name = type(self).__name__
        if not isinstance(state, Mapping):
            raise TypeError(
                f"The 'state' of {name} must be a dict. Got {type(state).__name__}; "
                f"pass what its state_dict returned."
            )
        wanted = {"sampler": name, **self._identity()}
        missing = {*wanted, "key", "epoch", "step", *self._progress(0)} - {*state}
        if missing:
            raise ValueError(
                f"The 'state' of {name} must be what its state_dict returned. Got one "
                f"without {sorted(missing)}; save the whole dict."
            )
        for field, value in wanted.items():
            if state[field] != value:
                raise ValueError(
                    f"The 'state' of {name} must come from a sampler with the same "
                    f"{field}. Got {_short(state[field])} in the state and "
                    f"{_short(value)} here; build the sampler as it was when the state "
                    f"was saved."
                )
        if not self._can_stand_at(state):
            place = {field: state[field] for field in {*state} - {*wanted}}
            raise ValueError(
                f"The 'state' of {name} must stand at a step from 0 to "
                f"{self._n_steps * self._stride}, with the numbers that belong to it. "
                f"Got {_short(dict(sorted(place.items())))}; pass the state as it was "
                f"saved."
            )
        step, rest = divmod(state["step"], self._stride)
        if rest:
            raise ValueError(
                f"The 'state' of {name} must stand at a multiple of world_size. Got "
                f"step {state['step']} for {self._stride} processes; save the state "
                f"when all processes have drawn equally often."
            )
        self._key = (int(state["key"][0]), int(state["key"][1]))
        self._seek(int(state["epoch"]), int(step))
        self._restore(state)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the items of the current block out of a pickle."""
        return {
            **{k: v for k, v in vars(self).items() if k not in ("_items", "_pending")},
            "_end": self.step_,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Stand where the pickled sampler stood."""
        vars(self).update(state)
        self._items = []
        self._seek(self.epoch_, self._end)

    def _block(self, epoch: int, block: int) -> list[Any]:
        raise NotImplementedError

    def _identity(self) -> dict[str, Any]:
        raise NotImplementedError

    def _progress(self, step: int) -> dict[str, Any]:
        """Return what is known at a step beyond its number."""
        return {}

    def _can_stand_at(self, state: Mapping[str, Any]) -> bool:
        """Tell whether the numbers of a state are those of a place in the stream."""
        key = state["key"]
        return (
            isinstance(key, (list, tuple))
            and len(key) == 2
            and all(is_whole(word, _LAST_WORD) for word in key)
            and is_whole(state["epoch"], _LAST_WORD)
            and is_whole(state["step"], self._n_steps * self._stride)
        )

    def _restore(self, state: dict[str, Any]) -> None:
        """Take up what `_progress` returned."""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def is_whole(value: Any, most: int | None = None) -> bool:
    """Tell whether a value is an integer from 0 to the most that is allowed."""
    return is_integer(value) and value >= 0 and (most is None or value <= most)


def check_max_epochs(max_epochs: Any, caller: str) -> float | None:
    """Return how often rows may be repeated, None for any number of times."""
    if max_epochs is None:
        return None
    number = real_number(max_epochs, "max_epochs", caller)
    if number > 0.0:
        return number
    raise ValueError(
        f"The 'max_epochs' of {caller} must be a number above 0, or None. Got "
        f"{max_epochs!r}; pass how often a row may be drawn, or None for no limit."
    )


def check_ranks(rank: Any, world_size: Any, caller: str) -> tuple[int, int]:
    """Return the number of this process and of all processes."""
    world_size = positive_integer(
        world_size, "world_size", caller, "pass the number of processes"
    )
    if not is_whole(rank, world_size - 1):
        raise ValueError(
            f"The 'rank' of {caller} must be an integer from 0 to world_size - 1 = "
            f"{world_size - 1}. Got {rank!r}; pass the number of this process."
        )
    return int(rank), world_size


def check_shared_seed(random_state: Any, world_size: int, caller: str) -> None:
    """Refuse a seed that several processes cannot have in common."""
    if world_size > 1 and not is_integer(random_state):
        raise ValueError(
            f"The 'random_state' of {caller} must be an integer when world_size > 1. "
            f"Got {random_state!r}; pass the same number in all processes."
        )


def check_batch_size(batch_size: Any, world_size: int, caller: str) -> int:
    """Return the number of rows of a batch, over all processes."""
    size = positive_integer(
        batch_size, "batch_size", caller, "pass the rows of one batch"
    )
    if size % world_size:
        raise ValueError(
            f"The 'batch_size' of {caller} must be a multiple of world_size="
            f"{world_size}, since it counts the rows of all processes. Got {size}; "
            f"pass for example {size - size % world_size + world_size}."
        )
    return size
